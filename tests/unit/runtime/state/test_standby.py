"""Standbys: the lag that they report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from streams.runtime.state import standby
from streams.runtime.state.standby import Standbys
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_fakes import CHANGELOG


class SilentConsumer:
    """A consumer of a changelog with ten offsets whose broker answers no fetch."""

    def get_watermark_offsets(self, tp: TopicPartition, timeout: float = 0.0, cached: bool = False) -> tuple[int, int]:
        return (-1001, -1001) if cached else (0, 10)

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def unassign(self) -> None:
        pass

    def consume(self, count: int, wait_s: float) -> list[Any]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    """An empty store."""
    return PartitionStore(tmp_path / "0", Memory(16))


def test_the_lag_is_that_of_the_standbys_followed(store: PartitionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby counts as behind before its first read. Once none is followed, the lag is 0 and not the last one."""
    monkeypatch.setattr(standby, "changelog_reader", lambda kafka, group_id: SilentConsumer())
    lags: list[int] = []
    standbys = Standbys({}, "app-standby", lags.append)
    standbys.follow({(CHANGELOG, 0): store})
    assert set(lags) == {10}
    standbys.follow({})
    assert lags[-1] == 0
    standbys.close()
    store.close()
