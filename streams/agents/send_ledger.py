"""Writes the send ledger of one batch: sends about to begin, their outcomes, and their reports.

Before an email may begin, the broker must have acknowledged its entry `in_flight`. The entry is part of a transaction that is committed later,
so acknowledging a slice costs one request. A later owner of the partition finds entries that were not committed: see
`runtime/state/uncommitted.py`. Outcomes are acknowledged in the same way, so that few sends are in doubt at any time.

Reports are published in the same transaction as their outcomes. It is committed with the source offsets at the end of the batch, and about
once a second before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from streams.core.model.events import MailOutcome
from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.ledger import ACCEPTED_AGAIN, UNANSWERED, UNANSWERED_AGAIN, Entry, State
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.recording import Planned
from streams.mail.delivery.window import Lease, Window, clock
from streams.mail.report import Report
from streams.runtime import failpoints
from streams.runtime.kafka.producer_record import ProducerRecord

STATES: dict[MailOutcome, State] = {
    "sent": "sent", "refused": "refused", "deferred": "retry", "expired": "expired", "suppressed": "suppressed", "unknown": "unknown"
}  # fmt: skip
#: Seconds after which a transaction is committed before its batch ends. The readers of its topics wait for it, and the broker aborts it
#: after a minute.
COMMIT_S = 1.0


class SendsBatch(Protocol):
    """The part of a batch that the ledger uses."""

    now_ms: int

    @property
    def has_uncommitted(self) -> bool:
        """Whether the batch has an open transaction."""

    def get(self, key: bytes) -> Any:
        """Return the entry under `key`, or None."""

    def put(self, key: bytes, value: Any) -> None:
        """Set the entry under `key`; None deletes it."""

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Any = None) -> None:
        """Publish a record with the commit."""

    async def acknowledge(self) -> None:
        """Wait until the broker has the changes so far."""

    async def checkpoint(self) -> None:
        """Commit the changes and outputs so far without the source offsets."""


class BatchLedger:
    """The ledger of the sends of one batch.

    Args:
        batch: the batch.
        marks: the marks of the partition.
        window: the emails in doubt of the process.
        lease: the lease of the partition.
        encode: returns the records of a report.
        on_reported: called with each report once it is committed.
    """

    def __init__(
        self,
        batch: SendsBatch,
        marks: DeliveryMarks,
        window: Window,
        lease: Lease,
        encode: Callable[[Report], Iterable[ProducerRecord]],
        on_reported: Callable[[Report], None],
    ) -> None:
        self._batch = batch
        self._marks = marks
        self._window = window
        self._lease = lease
        self._encode = encode
        self._on_reported = on_reported
        #: The entry that each send in flight had before.
        self._before: dict[bytes, Entry | None] = {}
        #: The sends whose outcome is not acknowledged yet.
        self._in_doubt: set[bytes] = set()
        self._advanced = 0
        self._unpublished: list[Report] = []
        self._uncommitted: list[Report] = []
        self._committed_at = clock()

    @property
    def sharers(self) -> int:
        """How many batches are sent at once."""
        return self._window.sharers

    def room_after(self, done: Sequence[Report]) -> int:
        """Return how many emails more may be in doubt when the outcomes `done` are recorded before them."""
        known = self._in_doubt.intersection([report.command.send_id.encode() for report in done])
        return self._window.room_after(len(self._in_doubt), len(known))

    @property
    def may_begin(self) -> bool:
        """Whether emails that were recorded may still begin."""
        return self._lease.is_valid

    @property
    def is_overdue(self) -> bool:
        """Whether the transaction is open for too long."""
        return self._batch.has_uncommitted and clock() - self._committed_at > COMMIT_S

    def add_listener(self, on_room: Callable[[], None]) -> None:
        """Call `on_room` whenever there may be more room."""
        self._window.add_listener(on_room)

    def remove_listener(self, on_room: Callable[[], None]) -> None:
        """No longer call `on_room`."""
        self._window.remove_listener(on_room)

    async def advance(self, begin: Sequence[Planned], done: Sequence[Report]) -> None:
        """Record outcomes, and sends about to begin. Return when the broker has both.

        The outcomes come first: the sends may have their places in the window.

        Raises:
            PartitionRevoked: another process owns the partition.
        """
        started, batch = clock(), self._batch
        self._unpublished += done
        self._advanced += len(done)
        is_overdue = self.is_overdue
        if is_overdue:
            self._publish()
        else:
            for report in done:
                self._put_unreported(report)
        for command, plan in begin:
            key = command.send_id.encode()
            if plan == "resend":
                # Keeps the doubt over another crash: the old mark may be on another disk.
                self._marks.mark_begun(command.send_id)
            if key not in self._before:
                self._before[key] = batch.get(key)
                self._in_doubt.add(key)
                self._window.take(1)
            batch.put(key, Entry("in_flight", command.attempt, utc_from_ms(batch.now_ms), disk=self._marks.disk))
        failpoints.reach("mailer.planned")
        if is_overdue:
            await batch.checkpoint()
            self._note_committed()
        elif begin or done:
            await batch.acknowledge()
        if begin or done:
            self._lease.renew(started)
        self._release(report.command.send_id.encode() for report in done)
        failpoints.reach("mailer.marked")

    def _put_unreported(self, report: Report) -> None:
        """Put the outcome of a send whose report is not published yet.

        After a crash, an entry `sent` that is not committed says only that the server accepted the email: see `ledger.in_doubt`.
        """
        key = report.command.send_id.encode()
        if report.is_unanswered:
            return  # without its report, the send is in doubt like every other in flight
        if report.outcome == "sent":
            self._batch.put(key, _entry(report))
        elif report.outcome != "unknown" and key in self._before:
            self._batch.put(key, self._before[key])

    def _publish(self) -> None:
        """Put the outcomes so far, and publish their reports."""
        for report in self._unpublished:
            key = report.command.send_id.encode()
            entry = self._unanswered_entry(key, report) if report.is_unanswered else _entry(report)
            if self._batch.get(key) != entry:  # the changelog has most outcomes already
                self._batch.put(key, entry)
            for record in self._encode(report):
                self._batch.send(*record)
            self._before.pop(key, None)
        self._uncommitted += self._unpublished
        self._unpublished = []

    def _unanswered_entry(self, key: bytes, report: Report) -> Entry:
        """Return the entry of a send that the mail server may still accept: its next attempt looks at its mark."""
        before: Entry | None = self._batch.get(key)
        is_again = report.is_resend or (before is not None and before.is_resend)
        disk = before.disk if before is not None else self._marks.disk
        state = UNANSWERED_AGAIN if is_again else UNANSWERED
        return Entry("in_flight", report.command.attempt + 1, report.at, state, disk)

    def _note_committed(self) -> None:
        self._marks.clear_all(report.command.send_id for report in self._uncommitted if not report.is_unanswered)
        for report in self._uncommitted:
            self._on_reported(report)
        self._uncommitted = []
        self._committed_at = clock()

    def _release(self, keys: Iterable[bytes]) -> None:
        known = self._in_doubt.intersection(keys)
        self._in_doubt -= known
        self._window.give_back(len(known))

    def conclude(self, reports: Sequence[Report]) -> bool:
        """Put the outcomes and reports that remain. Return whether each send that was recorded has one.

        A send that was recorded and has not begun gets its earlier entry again: it cannot have left. One that has begun stays in flight.

        Args:
            reports: all reports of the batch. Those given to `advance` come first.
        """
        self._unpublished += reports[self._advanced :]
        self._publish()
        for key, entry in self._before.items():
            if self._marks.crash_state(key.decode(), self._marks.disk) == "none":
                self._batch.put(key, entry)
        return not self._before

    def close(self) -> None:
        """Note that the batch is committed: its reports are final, and none of its sends is in doubt."""
        self._note_committed()
        self.abandon()

    def abandon(self) -> None:
        """Give back the room of the sends in doubt."""
        self._release(list(self._in_doubt))


def _entry(report: Report) -> Entry:
    """Return the entry of a send with an outcome."""
    again = ACCEPTED_AGAIN if report.outcome in ("sent", "deferred") and report.is_resend else None
    return Entry(STATES[report.outcome], report.command.attempt, report.at, report.queue_id, again)
