"""Suppressed and capped addresses as a global table. The mailer checks it right before it sends an email."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import structlog

from streams.agents.global_tables.global_table import Partition, TableView
from streams.core.model.address_state import NOTHING_SUPPRESSED, Suppression
from streams.observability import metrics
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

TOPICS = (topics.SUPPRESSIONS,)
#: A cap that ended is kept for as long: an email commanded before its end may be sent later. Most expire within a week.
KEPT_AFTER_CAP = timedelta(days=7)


class SuppressedAddresses(TableView):
    """The limits of each address. Caps that ended are removed, so that the table has the refusing addresses and the busy ones.

    Args:
        decoder: decodes the records.
        bounds: as in `TableView`.
        now: returns the current time, UTC.

    Attributes:
        by_address: the hash of an address -> what is known of it.
    """

    def __init__(
        self,
        decoder: Decoder,
        bounds: Mapping[Partition, tuple[int, int]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(bounds)
        self.by_address: dict[bytes, Suppression] = {}
        self._decoder = decoder
        self._now = now
        #: The addresses that are only capped, those whose record is oldest first.
        self._capped: dict[bytes, datetime] = {}

    def on_caught_up(self) -> None:
        """Set the time at which all suppressions had last been read."""
        metrics.SUPPRESSIONS_READ.set_to_current_time()
        metrics.SUPPRESSED_ADDRESSES.set(len(self.by_address) - len(self._capped))

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply the record of an address. An invalid record is logged and has no effect."""
        try:
            if value is None:
                self._remove(bytes.fromhex((key or b"").decode("ascii")))
                return
            address, suppression = self._decoder.suppression(value)
        except InvalidRecord as error:
            log.error("invalid suppression ignored", reason=error.reason, detail=error.detail)
            return
        except ValueError:  # the key of a tombstone; it may contain anything, so it is not logged
            log.error("invalid suppression ignored", reason="bad_id", detail="the key is not a hash")
            return
        self._set(bytes.fromhex(address), _shared(suppression))
        # Each record removes up to two caps that have ended, so the table stays small.
        for capped, until in list(self._capped.items())[:2]:
            if self._now() - until > KEPT_AFTER_CAP:
                self._remove(capped)

    def _set(self, address: bytes, suppression: Suppression) -> None:
        self._remove(address)
        if suppression == NOTHING_SUPPRESSED:
            return
        if not suppression.suppressed:
            ends = [until for _, until in suppression.capped]
            until = max([*ends, *([suppression.limited_until] if suppression.limited_until is not None else [])])
            if self._now() - until > KEPT_AFTER_CAP:
                return
            self._capped[address] = until
        self.by_address[address] = suppression

    def _remove(self, address: bytes) -> None:
        self.by_address.pop(address, None)
        self._capped.pop(address, None)


@lru_cache(maxsize=1024)
def _shared(suppression: Suppression) -> Suppression:
    """Return an equal object. Most refusing addresses have the same few values, which then take memory once."""
    return suppression
