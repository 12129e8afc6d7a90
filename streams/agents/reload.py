"""Reload: a process uses the published version of the templates folder as soon as the folder has its files.

`takk templates publish` writes the version. The files arrive at each process on their own way and at another time, so a process compares
them with the version every second. Another content is ignored, and a version with errors is refused: the present one stays.

In every process that follows `published-templates`, these statements hold:

- A process reads its templates from a copy (`process_templates.py`), so an edit that is not published has no effect, and a renderer
  that is started again reads the same files.
- The worker replaces one reference, in the event loop. Each partition switches when its next batch begins, before its walks and records,
  also if it has nothing to read. A batch is decided by one ruleset from its first record to its last.
- The journal entry of a batch has the hash of the ruleset that decided, in the transaction with the outputs. So the point of the switch
  is recorded for each partition, and a replay decides every record by the rules that decided it: the oracle does exactly that.
- A crash before the commit leaves neither outputs nor an entry. The next life reads the batch again, and decides by the folder as it is then.
- Steps of walks are not part of the journal. A walk that only the newer flows have starts after the switch, and each visits a customer once.
- The limits of addresses change with the caps in `rules.yaml`. An earlier record on `suppressions` stays until the next event of its address.
- A mailer starts renderers with the newer templates before it ends the others. An email is rendered by one version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeAlias

import structlog

from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.global_tables.published_templates import TOPICS, PublishedTemplatesTable
from streams.agents.instrumentation import Instrumentation
from streams.agents.process_templates import ProcessTemplates
from streams.agents.zeros import RefusalReason
from streams.definitions.layers import Layers, Snapshot, read_snapshot
from streams.definitions.problems import FlowFileError
from streams.observability import metrics
from streams.runtime import failpoints
from streams.settings import Settings
from streams.wire.decode.published_templates import PublishedTemplates

log = structlog.get_logger(__name__)

#: Seconds between two looks at the published version, and at a folder that does not have it.
LOOK_S = 1.0
#: Looks after which a folder without the published version is read less often, and seconds between two of them: reading it takes some 30 ms.
OFTEN, SELDOM_S = 120, 10.0
#: Errors of a refused version in the log.
_SHOWN = 5
#: Starts to use a loaded version, or raises RefusedTemplates. It is called in the event loop.
Switch: TypeAlias = Callable[[], Awaitable[None]]
#: Loads a copy of the folder, and returns the switch to it.
Load: TypeAlias = Callable[[Layers], Awaitable[Switch]]


def published_table(settings: Settings, instrumentation: Instrumentation) -> GlobalTable[PublishedTemplatesTable]:
    """Return the table with the published version, which is read from its first use on."""
    return GlobalTable(
        settings.kafka(),
        TOPICS,
        partial(PublishedTemplatesTable, instrumentation.decoder, settings.app_id),
        prepare=instrumentation.load_schemas,
    )


class RefusedTemplates(Exception):
    """A version that this process cannot use. The text says why.

    Attributes:
        reason: whether a restart helps.
    """

    def __init__(self, text: str, reason: RefusalReason = "restart") -> None:
        super().__init__(text)
        self.reason = reason


class Published(Protocol):
    """The table with the published version."""

    published: PublishedTemplates | None


class Reloader:
    """Follows the published version.

    Args:
        templates: the copies of the folder.
        load: loads a copy. Raises FlowFileError if it has errors, and RefusedTemplates.
        fetch: returns the table with the published version, once it was read.
    """

    def __init__(self, templates: ProcessTemplates, load: Load, fetch: Callable[[], Awaitable[Published]]) -> None:
        self._templates = templates
        self._load = load
        self._fetch = fetch
        self._published: str | None = None
        self._refused = ""
        self._looks = 0
        self._show()

    @property
    def state(self) -> str:
        """The version in use and the published one, for people."""
        state = f"templates {self._templates.version or 'missing'}"
        if self._published is None:
            return f"{state}, none published"
        if self._published == self._templates.version:
            return f"{state}, published"
        reason = "refused" if self._published == self._refused else "not in the folder yet"
        return f"{state}; published: {self._published} ({reason})"

    async def run(self) -> None:
        """Follow the published version until the task is cancelled."""
        try:
            table = await self._fetch()
            while True:
                await self.look(table.published)
                await asyncio.sleep(LOOK_S if self._looks < OFTEN else SELDOM_S)
        except Exception as error:
            # Emails matter more than their newest words: the process goes on with what it has, and the gauge shows it.
            metrics.TEMPLATES_PUBLISHED.set(0)
            log.exception("templates are no longer reloaded", error=type(error).__name__)

    async def look(self, published: PublishedTemplates | None) -> None:
        """Use the published version if the folder has it and it is not in use yet."""
        version = None if published is None else published.version
        if version != self._published:
            self._published, self._refused, self._looks = version, "", 0
        if version is not None and version not in (self._templates.version, self._refused):
            self._looks += 1
            snapshot = None
            with suppress(
                OSError
            ):  # files that are just being replaced; the gauge shows that the version is not in use
                snapshot = await asyncio.to_thread(read_snapshot, self._templates.root)
            if snapshot is not None and snapshot.version == version:
                await self._use(snapshot)
        elif version is not None:
            self._looks = 0
        self._show()

    async def _use(self, snapshot: Snapshot) -> None:
        version = snapshot.version
        try:
            layers = await asyncio.to_thread(self._templates.write, snapshot)
        except OSError as error:  # such as a full disk
            log.warning("cannot copy the published templates, trying again", version=version, error=error)
            return
        try:
            switch = await self._load(layers)
            failpoints.reach("templates.loaded")
            await switch()
        except OSError as error:
            self._templates.drop(layers.path)
            log.warning("cannot load the published templates, trying again", version=version, error=error)
            return
        except FlowFileError as error:
            self._refuse(version, layers, "invalid", [str(layers.located(problem)) for problem in error.problems])
            return
        except RefusedTemplates as error:
            self._refuse(version, layers, error.reason, [str(error)])
            return
        previous = self._templates.version
        self._templates.use(version, layers)
        metrics.TEMPLATES_INFO.remove(previous)
        log.info("published templates in use", version=version, previous=previous)
        failpoints.reach("templates.used")

    def _refuse(self, version: str, layers: Layers, reason: RefusalReason, errors: list[str]) -> None:
        self._refused = version
        self._templates.drop(layers.path)
        metrics.TEMPLATES_REFUSED.labels(reason).inc()
        log.error(
            "published templates refused, the present ones stay in use",
            version=version,
            previous=self._templates.version,
            reason=reason,
            count=len(errors),
            detail="; ".join(errors[:_SHOWN]),
        )

    def _show(self) -> None:
        metrics.TEMPLATES_INFO.labels(self._templates.version).set(1)
        metrics.TEMPLATES_PUBLISHED.set(self._published in (None, self._templates.version))
