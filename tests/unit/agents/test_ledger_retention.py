"""Retention of the send ledger: old entries go, in slices, and no entry that a command may still need."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from streams.agents import mailer
from streams.agents.ledger_retention import INTERVAL_MS, LEDGER_RETENTION, LedgerRetention
from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.ledger import Entry, encode_entry
from streams.runtime.state.store import Memory, PartitionStore
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.accepting_mailer import AT, AcceptingMailer
from tests.harness.agents import CODEC, Agent
from tests.harness.effects import SEND
from tests.harness.records import AT_MS

DAY = timedelta(days=1)
DAY_MS = 86_400_000
NOW = utc_from_ms(AT_MS)


class LedgerBatch:
    """A batch that keeps what is deleted."""

    def __init__(self, now_ms: int = AT_MS) -> None:
        self.now_ms = now_ms
        self.values: dict[bytes, Any] = {}
        self.meta: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: Any) -> None:
        """Note a change."""
        self.values[key] = value

    def put_meta(self, key: bytes, value: bytes) -> None:
        """Note a value beside the table."""
        self.meta[key] = value

    def commit(self, store: PartitionStore) -> None:
        """Write the deletions and the position to the store."""
        store.write({key: None for key, value in self.values.items() if value is None}, None, self.meta)


def ledger(folder: Path, entries: dict[bytes, datetime]) -> PartitionStore:
    """Return a store with sent emails."""
    store = PartitionStore(folder, Memory(16))
    store.write({key: encode_entry(Entry("sent", 1, at)) for key, at in entries.items()}, 1)
    return store


def test_old_entries_are_deleted(tmp_path: Path) -> None:
    """An entry goes once no command of its email can be read any more. One that the batch uses stays, and so does one of a newer mailer."""
    store = ledger(
        tmp_path, {b"a": NOW - LEDGER_RETENTION - DAY, b"b": NOW - LEDGER_RETENTION + DAY, b"c": NOW - 90 * DAY}
    )
    store.write({b"d": b"\xfe newer"}, 2)
    batch = LedgerBatch()
    batch.values[b"c"] = Entry("sent", 1, NOW)
    assert LedgerRetention(store).read_slice(batch) == 1
    batch.commit(store)
    assert [key for key, _ in store.items()] == [b"b", b"c", b"d"]


def test_retention_is_longer_than_commands_can_be_read() -> None:
    """Commands stay for 30 days, and with the last segment of their topic a week longer."""
    assert topics.COMMANDS_RETENTION + 7 * DAY < LEDGER_RETENTION


def test_slices_continue_after_a_restart(tmp_path: Path) -> None:
    """Each slice is bounded and due an interval after the last one; the position survives a restart, and then the table is read again."""
    store = ledger(tmp_path, {b"%02d" % number: NOW - 90 * DAY for number in range(25)})
    deleted = []
    for number in range(3):
        retention, batch = LedgerRetention(store, limit=10), LedgerBatch(AT_MS + number)
        assert not retention.is_due(batch.now_ms)
        assert retention.is_due(batch.now_ms + INTERVAL_MS)
        deleted.append(retention.read_slice(batch))
        assert not retention.is_due(batch.now_ms + INTERVAL_MS - 1)
        batch.commit(store)
    assert deleted == [10, 10, 5]
    assert LedgerRetention(store).read_slice(LedgerBatch()) == 0


def test_the_mailer_deletes_old_entries_while_it_has_nothing_to_send(tmp_path: Path) -> None:
    """An entry of a sent email is deleted 45 days later, and not before."""
    work: Any = AcceptingMailer()
    agent = Agent(tmp_path, lambda app, instrumentation: mailer.register(app, instrumentation, work))
    _, key, value, *_ = Encoder(CODEC).effects.encode(SEND, AT)
    agent.run([(topics.COMMANDS, key, value)], at_ms=AT_MS)
    for days, count in ((40, 1), (60, 0)):
        at_ms = AT_MS + days * DAY_MS
        agent.app.task_manager.now_ms = at_ms
        assert agent.is_due or agent.task.context.retention.is_due(at_ms + INTERVAL_MS)
        agent.run([], at_ms=at_ms + INTERVAL_MS)
        assert len(list(agent.store.items())) == count
