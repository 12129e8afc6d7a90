"""Erasure end to end: after compaction, only the rows of the table that wait for their retention know the person."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from rocksdict import BottommostLevelCompaction, CompactOptions

from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from streams.wire.retention import rows
from tests.harness import records
from tests.harness.stack import Stack, open_stack

ERIKA, ADDRESS, NAME = "erika-4711", "erika.mustermann@example.org", "Erika Mustermann"
#: The personal data that must be gone, as bytes.
PERSON = {"id": ERIKA.encode(), "address": ADDRESS.encode(), "name": NAME.encode()}
#: A broker that deletes the files of compacted segments at once, and looks for new ones all the time.
EAGER = {
    "log.cleaner.backoff.ms": "200",
    "log.segment.delete.delay.ms": "50",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.cleaner.min.cleanable.ratio": "0.0",
}
#: Segments that end after a tenth of a second, and tombstones that go with the next compaction.
SHORT = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "50",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own. A day lasts an hour, so that timers wait, and a deferred email is tried again after seconds."""
    with open_stack(tmp_path, day_s=3600.0, broker=EAGER) as stack:
        yield stack


def neighbour(stack: Stack) -> str:
    """Return another customer of the same partition."""
    names = (f"neighbour-{number}" for number in count())
    partitions = stack.settings.partitions
    return next(
        name for name in names if partition_of(name.encode(), partitions) == partition_of(ERIKA.encode(), partitions)
    )


def place(stack: Stack, customer: str, order_id: str, **changes: Any) -> None:
    """Place an order now."""
    now = datetime.now(UTC)
    values = {"order_id": order_id, "customer_id": customer, "placed_at": now, "occurred_at": now, **changes}
    stack.produce(topics.ORDERS, customer.encode(), records.order(**values))


def compacted(stack: Stack) -> list[str]:
    """Return the compacted topics that may know a person: those of the table, and the changelogs."""
    changelogs = [name for name in stack.admin.list_topics(timeout=30).topics if name.endswith("-changelog")]
    return [*(spec.name for spec in topics.TOPICS if spec.cleanup == "compact"), *changelogs]


def segments(stack: Stack, names: Iterable[str]) -> dict[str, bytes]:
    """Return the content of the log files of topics. The broker may replace files meanwhile; those of a topic are then read again."""
    logs = stack.brokers[0].data_dir / "logs"
    found: dict[str, bytes] = {}

    def read(name: str) -> bool:
        files = [path for folder in logs.glob(f"{name}-[0-9]*") for path in sorted(folder.glob("*.log"))]
        assert files, name
        try:
            found[name] = b"".join(path.read_bytes() for path in files)
        except FileNotFoundError:
            return False
        return True

    for name in names:
        stack.wait_until(partial(read, name), f"the files of {name}")
    return found


def knows(content: dict[str, bytes]) -> dict[str, set[str]]:
    """Return what each of some contents knows of the person."""
    found = {name: {what for what, text in PERSON.items() if text in raw} for name, raw in content.items()}
    return {name: what for name, what in found.items() if what}


def readable(stack: Stack, names: Iterable[str]) -> dict[str, bytes]:
    """Return the records of topics as a consumer gets them: in the log files they may be compressed."""
    return {
        name: b"\n".join(
            part or b""
            for record in found
            for part in (record.key(), record.value(), *(value for _, value in record.headers() or ()))
        )
        for name, found in read_all(stack.settings.kafka(), names).items()
    }


def compact(stack: Stack, names: list[str]) -> None:
    """Make the broker compact topics until no file of them knows the person. The processes are stopped."""
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in SHORT.items()]
    resources = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name in names]
    for future in stack.admin.incremental_alter_configs(resources, request_timeout=30).values():
        future.result()
    producer = Producer(stack.settings.kafka())
    numbers = {name: len(topic.partitions) for name, topic in stack.admin.list_topics(timeout=30).topics.items()}

    def is_clean() -> bool:
        # A segment ends only with the next record, and is compacted only once it has ended.
        for name in names:
            for number in range(numbers[name]):
                producer.produce(name, b"roll", b"roll", partition=number)
        assert producer.flush(30) == 0
        time.sleep(0.2)  # the age of a segment at which the next record ends it
        return not knows(segments(stack, names))

    stack.wait_until(is_clean, "compacted topics without the person")


def rewritten(folder: Path) -> dict[str, bytes]:
    """Return the files of all tables after RocksDB has rewritten them, as it does each week."""
    paths = sorted(path.parent for path in folder.glob("state*/**/CURRENT"))
    assert paths
    # Without this, files of the last level stay as they are. The periodic compaction rewrites them too.
    options = CompactOptions()
    options.set_bottommost_level_compaction(BottommostLevelCompaction.force())
    # The second opening replaces the list of files, which has the first and the last key of each.
    for path in [*paths, *paths]:
        store = PartitionStore(path, Memory(16))
        store.flush()
        for family in (store._data, store._meta, store._local):
            family.compact_range(None, None, options)
        store.close()
        del family  # RocksDB holds its lock while anything refers to it
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for path in folder.glob("state*")
        for file in path.rglob("*")
        if file.is_file()
    }


@pytest.mark.campaign
def test_only_what_waits_for_its_retention_is_left(stack: Stack) -> None:
    """A customer with a profile, emails, a deferred email, timers and a dead letter is erased; no other customer is.

    The oracle finds the same states and effects. After compaction no compacted topic and no table knows the id, the address or the name. The
    topics that do are those of the table that wait, and they know no more than it says.
    """
    other = neighbour(stack)
    now = datetime.now(UTC)
    place(stack, other, "o-other", email="other@example.org", name="Other")
    stack.produce(
        topics.CUSTOMERS, ERIKA.encode(), records.profile(customer_id=ERIKA, email=ADDRESS, name=NAME, occurred_at=now)
    )
    place(stack, ERIKA, "o-1", email=ADDRESS, name=NAME)
    place(stack, ERIKA, "o-broken", email=ADDRESS, name=NAME, currency="kr")
    stack.wait_until(lambda: bool(stack.inbox.mails(ADDRESS)), "the confirmation")
    stack.inbox.on_recipient = lambda address: "450 4.2.0 try later" if address == ADDRESS else None
    place(stack, ERIKA, "o-2", email=ADDRESS, name=NAME)
    stack.wait_until(
        lambda: any(event["outcome"] == "deferred" for event in stack.records(topics.EVENTS)), "a deferred email"
    )
    known = json.loads(stack.takk("export", ERIKA))
    assert known["state"]["profile"]["name"] == NAME
    assert known["timers"]
    assert known["sends"]
    assert {topics.ORDERS, topics.CUSTOMERS, topics.COMMANDS} <= known["records"].keys()
    assert [letter["reason"] for letter in known["dead_letters"]] == ["bad_currency"]
    changelogs = compacted(stack)
    assert "takk-flows-customers-changelog" in knows(readable(stack, changelogs))

    assert "2 orders" in stack.takk("forget", ERIKA, "--dry-run")
    stack.takk("forget", ERIKA, "--yes")
    stack.wait_until(
        lambda: any(decision["rule"] == "erased" for decision in stack.records(topics.DECISIONS)), "the erasure"
    )
    stack.inbox.on_recipient = lambda address: None
    stack.wait_until_idle()
    left = json.loads(stack.takk("export", ERIKA))
    assert (left["state"], left["timers"]) == (None, [])
    place(stack, other, "o-other-2", email="other@example.org", name="Other")
    stack.wait_until(lambda: len(stack.inbox.mails("other@example.org")) == 2, "the next email of another customer")

    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
    assert verdict.states.keys() == {other.encode()}
    assert len(stack.inbox.mails(ADDRESS)) == 1

    compact(stack, changelogs)
    assert knows(readable(stack, changelogs)) == {}
    assert knows(rewritten(stack.folder)) == {}
    table = {row.name: row for row in rows()}
    waiting = [spec.name for spec in topics.TOPICS if spec.cleanup == "delete"]
    found = knows(readable(stack, waiting))
    assert knows(segments(stack, waiting)).keys() <= found.keys()
    assert found.keys() == {
        topics.ORDERS, topics.DELAYS, topics.DUE, topics.COMMANDS, topics.EVENTS, topics.DECISIONS, topics.WITHDRAWALS, topics.DEAD_LETTERS,
        topics.SALES,
    }  # fmt: skip
    for name, what in found.items():
        row = table[name]
        assert row.contains, name
        assert row.rest.startswith("after "), name
        assert "address" in row.contains or name == topics.DEAD_LETTERS or what == {"id"}, (name, what)
    logs = {path.name: path.read_bytes() for path in stack.folder.glob("*.log")}
    assert logs
    assert not {what for each in knows(logs).values() for what in each} - {"id"}
