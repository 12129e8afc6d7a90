"""The templates of a gateway: its pages and their brand, which a reload replaces."""

from __future__ import annotations

import asyncio
import sys

import structlog

from streams.agents.brand_check import placeholder_problem
from streams.agents.instrumentation import Instrumentation
from streams.agents.process_templates import open_templates
from streams.agents.reload import RefusedTemplates, Reloader, Switch, published_table
from streams.definitions.layers import Layers
from streams.definitions.problems import FlowFileError
from streams.gateway.pages.base.site import InvalidPages, new_site, use_site
from streams.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds to wait at the stop for the thread that reads the published version. While Kafka is away, one request may take half a minute.
STOP_TIMEOUT_S = 5.0


class PageTemplates:
    """The templates of the pages.

    Args:
        settings: the settings.
        instrumentation: decodes the published version.

    Raises:
        SystemExit: the templates or the brand cannot be used; the message says why.
    """

    def __init__(self, settings: Settings, instrumentation: Instrumentation) -> None:
        self._settings = settings
        copies = open_templates(settings, "gateway")
        try:
            use_site(settings, new_site(settings, copies.layers.path))
        except FlowFileError as error:
            sys.exit("\n".join(["cannot start:", *[str(copies.layers.located(each)) for each in error.problems]]))
        except InvalidPages as error:
            sys.exit(f"cannot start: {error}")
        if placeholder := placeholder_problem(copies.layers.path):
            log.warning("the legal lines are those of the example", detail=placeholder)
        self._published = published_table(settings, instrumentation)
        self._reloader = Reloader(copies, self.load, self._published.view)
        self._reloading: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """The version in use and the published one, for people."""
        return self._reloader.state

    def start(self) -> None:
        """Follow the published version. Its topic exists."""
        self._reloading = asyncio.create_task(self._reloader.run(), name="takk-gateway-templates")

    async def stop(self) -> None:
        """Stop following."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)
            await self._published.stop(STOP_TIMEOUT_S)

    async def load(self, layers: Layers) -> Switch:
        """Read the pages and the brand of a copy of the templates folder, and return the switch to them.

        Raises:
            FlowFileError: the brand has errors.
            RefusedTemplates: a page has errors.
        """
        try:
            site = await asyncio.to_thread(new_site, self._settings, layers.path)
        except InvalidPages as error:
            raise RefusedTemplates(str(error), "invalid") from error

        async def switch() -> None:
            use_site(self._settings, site)

        return switch
