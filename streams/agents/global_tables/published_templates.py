"""The published version of the templates folder, as a global table."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from streams.agents.global_tables.global_table import Partition, TableView
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.published_templates import PublishedTemplates

log = structlog.get_logger(__name__)

TOPICS = (topics.PUBLISHED_TEMPLATES,)


class PublishedTemplatesTable(TableView):
    """The newest record of this app.

    Args:
        decoder: decodes the records.
        app_id: the key of the app's records.
        bounds: as in `TableView`.

    Attributes:
        published: the version that the processes of the app use; None if none was ever published.
    """

    def __init__(self, decoder: Decoder, app_id: str, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        super().__init__(bounds)
        self.published: PublishedTemplates | None = None
        self._decoder = decoder
        self._key = app_id.encode()

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply a record. A record without a value withdraws the publication; an invalid one is logged and has no effect."""
        if key != self._key:
            return
        if value is None:
            self.published = None
            return
        try:
            self.published = self._decoder.published_templates(value)
        except InvalidRecord as error:
            log.error("invalid publication of templates ignored", reason=error.reason, detail=error.detail)
