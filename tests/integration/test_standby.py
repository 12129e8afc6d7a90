"""Standbys: each worker replicates the partitions of the other one, and a takeover starts from the replica."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.kafka.committed import read_all
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.stack import Stack, open_stack

pytestmark = pytest.mark.campaign

SESSION_S = "6"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with two workers and a short session timeout."""
    with open_stack(tmp_path, env={"TAKK_SESSION_TIMEOUT_S": SESSION_S}, workers=2) as stack:
        yield stack


def contents(folder: Path) -> dict[int, dict[bytes, bytes]]:
    """Return the entries of each partition of the customers table under `folder`."""
    partitions = {}
    for path in sorted((folder / "flows").rglob("customers/*")):
        store = PartitionStore(path, Memory(16))
        partitions[int(path.name)] = dict(store.items())
        store.close()
    return partitions


def owned(process: Process) -> float:
    """Return the number of partitions that the flows stage of `process` owns."""
    return process.series().get('takk_assigned_partitions{stage="flows"}', 0.0)


def test_replicas_are_equal_and_a_takeover_starts_from_them(stack: Stack) -> None:
    """Both workers store equal entries for every partition; after one is killed, the other continues from its replica."""
    first, second = stack.workers
    stack.wait_until(lambda: owned(first) == owned(second) == 2, "two partitions each")
    stack.run_shop(6.0, 40.0).join()
    stack.wait_until_idle()
    stack.wait_until(
        lambda: first.metrics().get("takk_standby_lag_offsets") == 0, "the replicas of the first worker are current"
    )
    stack.wait_until(
        lambda: second.metrics().get("takk_standby_lag_offsets") == 0, "the replicas of the second worker are current"
    )
    changelog = f"{stack.settings.app_id}-flows-customers-changelog"
    logged = len(read_all(stack.settings.kafka(), [changelog])[changelog])
    restored = second.metrics().get("takk_restored_records_total", 0.0)
    assert logged > 200

    first.kill()
    stack.wait_until(lambda: owned(second) == 4, "the second worker has taken over")
    emails = stack.inbox.accepted
    stack.run_shop(3.0, 40.0, seed=4).join()
    stack.wait_until_idle()
    assert stack.inbox.accepted > emails + 50
    assert second.metrics().get("takk_restored_records_total", 0.0) - restored < logged / 10

    first.start()
    first.await_ready()
    stack.wait_until(lambda: owned(first) == owned(second) == 2, "two partitions each again")
    stack.wait_until_idle()
    for process in (first, second):
        stack.wait_until(
            lambda process=process: process.metrics().get("takk_standby_lag_offsets") == 0, "the replicas are current"
        )
    for process in (first, second):
        process.stop()  # other tests check the exit code: here a slow machine may lose the short session
    first_disk, second_disk = contents(stack.state_dir(0)), contents(stack.state_dir(1))
    assert len(first_disk) == stack.settings.partitions
    assert first_disk == second_disk
    assert sum(len(entries) for entries in first_disk.values()) > 100
    dead_letters = [
        stack.codec.decode("dead_letter", record.value())
        for record in read_all(stack.settings.kafka(), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    ]
    assert dead_letters == []
