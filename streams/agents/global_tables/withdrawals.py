"""Withdrawn emails as a global table. The mailer checks it right before it sends an email."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from streams.agents.global_tables.global_table import Partition, TableView
from streams.observability import metrics
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

TOPICS = (topics.WITHDRAWALS,)


class WithdrawalsTable(TableView):
    """The withdrawn sends and the rule of each. A withdrawal is removed once its send command has been deleted from the topic.

    Args:
        decoder: decodes the records.
        bounds: as in `TableView`.
        on_withdrawn: called with the record's key and the send id of each email that is withdrawn after the table was read to its end. For
            earlier withdrawals nobody knows whether they were reported before.

    Attributes:
        rules: send id -> the rule that now forbids it.
    """

    def __init__(
        self,
        decoder: Decoder,
        bounds: Mapping[Partition, tuple[int, int]],
        on_withdrawn: Callable[[bytes, str], None] = lambda key, send_id: None,
    ) -> None:
        super().__init__(bounds)
        self._on_withdrawn = on_withdrawn
        self.rules: dict[str, str] = {}
        self._decoder = decoder
        self._withdrawn_at: dict[str, datetime] = {}

    def on_caught_up(self) -> None:
        """Set the time at which all withdrawals had last been read."""
        metrics.WITHDRAWALS_READ.set_to_current_time()

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply a withdrawal. An invalid record is logged and has no effect."""
        try:
            withdrawal = self._decoder.withdrawal(value)
        except InvalidRecord as error:
            log.error("invalid withdrawal ignored", reason=error.reason, detail=error.detail)
            return
        if withdrawal.send_id not in self.rules and self.is_ready:
            self._on_withdrawn(key or b"", withdrawal.send_id)
        self.rules[withdrawal.send_id] = withdrawal.rule
        self._withdrawn_at[withdrawal.send_id] = withdrawal.withdrawn_at
        # Each new withdrawal removes up to two that have expired, so the table stays small.
        for send_id, at in list(self._withdrawn_at.items())[:2]:
            if withdrawal.withdrawn_at - at > topics.COMMANDS_RETENTION:
                del self._withdrawn_at[send_id], self.rules[send_id]
