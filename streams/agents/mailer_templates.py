"""The parts of a mailer that come from its templates folder: renderers, versions of flows, limits of addresses, and the brand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from streams.agents.brand_check import placeholder_problem, reaches_customers
from streams.agents.process_templates import ProcessTemplates
from streams.agents.reload import RefusedTemplates, Switch
from streams.agents.renderers import open_renderer
from streams.agents.zeros import zero_messages
from streams.core.sending.address_limits import AddressRules
from streams.definitions.layers import Layers
from streams.definitions.loader import Templates, load_email_brand, read_templates
from streams.definitions.message_errors import CheckFailed, refuse_message_errors
from streams.definitions.problems import FlowFileError
from streams.mail.address_check import AddressCheck
from streams.mail.command import Command
from streams.mail.links import Links, Sender
from streams.mail.mailer import Mailer
from streams.mail.renderers.messages import Setup
from streams.mail.renderers.pool import RendererFailed, RendererPool
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.mail.rendering.template_folders import messages_by_flow
from streams.settings import Settings

log = structlog.get_logger(__name__)


class OwnRenderer:
    """The renderer in the mailer's process, which a reload replaces.

    Attributes:
        renderer: the one in use.
    """

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    def render(self, command: Command, links: Links) -> RenderedEmail:
        """Return the rendered email."""
        return self.renderer.render(command, links)


class MailerTemplates:
    """The parts of a mailer that come from its templates, as they are at the start; `load` replaces them.

    Args:
        settings: the settings.
        sender: the sender of the emails.
        templates: the copies of the folder.

    Attributes:
        renderer: what renders.
        newest_versions: flow -> its newest version.
        rules: the limits of every address.
        holds_marketing: whether emails that are not transactional wait, because the brand names no company.

    Raises:
        SystemExit: the brand contains errors.
    """

    def __init__(self, settings: Settings, sender: Sender, templates: ProcessTemplates) -> None:
        self._settings = settings
        self._sender = sender
        root = templates.layers.path
        opened = open_renderer(settings, sender, root)
        self.renderer: OwnRenderer | RendererPool = opened if isinstance(opened, RendererPool) else OwnRenderer(opened)
        content = read_templates(templates.layers)
        self.newest_versions = versions_of(content)
        self.rules = self._rules(content)
        self.holds_marketing = self._holds_marketing(root)
        self._addresses: AddressCheck | None = None
        self._mailer: Mailer | None = None

    def attach(self, mailer: Mailer, addresses: AddressCheck | None) -> None:
        """Set the parts of the mailer that `load` changes."""
        self._mailer, self._addresses = mailer, addresses

    async def load(self, layers: Layers) -> Switch:
        """Check a copy of the folder, and return the switch to it.

        Raises:
            FlowFileError: it has errors.
            RefusedTemplates: the renderers do not start with it, or it cannot be checked.
            OSError: a process cannot be started.
        """
        root = layers.path
        content = await asyncio.to_thread(read_templates, layers)
        if content.errors:
            raise FlowFileError(content.errors)
        brand = await asyncio.to_thread(load_email_brand, root, self._sender.name)
        try:
            await refuse_message_errors(layers)
        except CheckFailed as error:
            raise RefusedTemplates(str(error), "invalid") from error
        messages = messages_by_flow(root)

        async def switch() -> None:
            if isinstance(self.renderer, RendererPool):
                try:
                    await self.renderer.switch(Setup(root, self._sender, brand))
                except RendererFailed as error:
                    raise RefusedTemplates(str(error), "invalid") from error
            else:
                self.renderer.renderer = Renderer(root, brand)
            self.newest_versions.clear()
            self.newest_versions.update(versions_of(content))
            if self._addresses is not None:
                self._addresses.rules = self._rules(content)
            if self._mailer is not None:
                self._mailer.holds_marketing = self._holds_marketing(root)
            zero_messages(messages)

        return switch

    def _rules(self, content: Templates) -> AddressRules:
        settings = self._settings
        return AddressRules(content.rules.caps, settings.transactional_per_address, settings.day_scale)

    def _holds_marketing(self, root: Path) -> bool:
        placeholder = placeholder_problem(root)
        if not placeholder:
            return False
        is_holding = reaches_customers(self._settings)
        outcome = "only transactional emails are sent" if is_holding else "the links are local, so all emails are sent"
        log.warning("the legal lines are those of the example", detail=placeholder, outcome=outcome)
        return is_holding


def versions_of(content: Templates) -> dict[str, int]:
    """Return the newest version of each flow."""
    return {flow.name: flow.version for flow in content.newest}
