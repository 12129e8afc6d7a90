"""Standbys: each worker keeps a following copy of the other's partitions, equal to the original, and a takeover starts from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.oracle import read_all
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.stack import Town, await_that, open_town

SESSION_S = "6"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town whose workers are missed after a few seconds."""
    with open_town(tmp_path, env={"TAKK_SESSION_TIMEOUT_S": SESSION_S}, workers=2) as town:
        yield town


def contents(folder: Path) -> dict[int, dict[bytes, bytes]]:
    """The entries of each partition of the customers' table under `folder`."""
    found = {}
    for path in sorted((folder / "flows").rglob("customers/*")):
        store = PartitionStore(path, Memory(16))
        found[int(path.name)] = dict(store.items())
        store.close()
    return found


def owned(process: Process) -> float:
    """Partitions that the flows stage of `process` owns."""
    return process.series().get('takk_assigned_partitions{stage="flows"}', 0.0)


def test_copies_are_equal_and_carry_a_takeover(town: Town) -> None:
    """With two workers every partition is on both disks, entry by entry; after kill -9 of one, the other goes on from its copy."""
    first, second = town.workers
    await_that(lambda: owned(first) == owned(second) == 2, "two partitions each")
    town.trade(6.0, 40.0).join()
    town.rest()
    await_that(lambda: first.metrics()["takk_standby_lag_offsets"] == 0, "the first worker's copies caught up")
    await_that(lambda: second.metrics()["takk_standby_lag_offsets"] == 0, "the second worker's copies caught up")
    changelog = f"{town.settings.app_id}-flows-customers-changelog"
    logged = len(read_all(town.settings.kafka(), [changelog])[changelog])
    restored = second.metrics().get("takk_restored_records_total", 0.0)
    assert logged > 200

    first.kill()
    await_that(lambda: owned(second) == 4, "the second worker has taken over")
    mails = town.inbox.accepted
    town.trade(3.0, 40.0, seed=4).join()
    town.rest()
    assert town.inbox.accepted > mails + 50
    assert second.metrics().get("takk_restored_records_total", 0.0) - restored < logged / 10

    first.start()
    first.await_ready()
    await_that(lambda: owned(first) == owned(second) == 2, "two partitions each again")
    town.rest()
    for process in (first, second):
        await_that(lambda process=process: process.metrics()["takk_standby_lag_offsets"] == 0, "copies caught up")
    for process in (first, second):
        process.stop()  # how it ends is another test's: here a slow machine may lose the short session meanwhile
    first_disk, second_disk = contents(town.disk(0)), contents(town.disk(1))
    assert len(first_disk) == town.settings.partitions
    assert first_disk == second_disk
    assert sum(len(entries) for entries in first_disk.values()) > 100
    dead = [
        town.codec.decode("dead_letter", r.value())
        for r in read_all(town.settings.kafka(), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    ]
    assert dead == []
