"""The withdrawn mails in memory: what the mailer looks at right before a mail leaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from streams.agents.global_tables.global_table import Place, TableView
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

TOPICS = (topics.WITHDRAWALS,)


class WithdrawalsTable(TableView):
    """Which sends were withdrawn, and by which rule. Forgotten when their commands have left the topic of commands.

    Args:
        decoder: decodes the records.
        bounds: as for `View`.
    """

    def __init__(self, decoder: Decoder, bounds: Mapping[Place, tuple[int, int]]) -> None:
        super().__init__(bounds)
        #: Send id to the rule that forbids it now.
        self.rules: dict[str, str] = {}
        self._decoder = decoder
        self._known: dict[str, datetime] = {}

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take in a withdrawal; a record that cannot be read withdraws nothing, and is logged."""
        try:
            withdrawal = self._decoder.withdrawal(value)
        except InvalidRecord as broken:
            log.error("a withdrawal cannot be read", reason=broken.reason, detail=broken.detail)
            return
        self.rules[withdrawal.send_id] = withdrawal.rule
        self._known[withdrawal.send_id] = withdrawal.withdrawn_at
        for send_id, at in list(self._known.items())[:2]:  # two out for each one in: they never pile up
            if withdrawal.withdrawn_at - at > topics.COMMANDS_RETENTION:
                del self._known[send_id], self.rules[send_id]
