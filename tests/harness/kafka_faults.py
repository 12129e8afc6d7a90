"""Faults of stores and topics that tests cause: damaged files, deleted records, deleted topics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.stack import wait_until

#: RocksDB's size of a block.
BLOCK_BYTES = 4096


def damage(path: Path, first_key: bytes) -> None:
    """Overwrite 64 bytes of each block in the first half of each file with values. The process must have ended.

    The index is at the end of a file, and the values are before it. All other files stay as they are.

    Args:
        path: the directory of the store.
        first_key: the start of the keys of the table, which no other column family has.
    """
    store = PartitionStore(path, Memory(16))
    store._data.flush()
    files = [file["name"] for file in store._data.live_files() if file["start_key"].startswith(first_key)]
    store.close()
    assert files
    for name in files:
        file = path / name.lstrip("/")
        with file.open("r+b") as content:
            for at in range(0, file.stat().st_size // 2 + 1, BLOCK_BYTES):
                content.seek(at)
                content.write(bytes(64))


def delete_records(admin: AdminClient, topic: str, before: Mapping[int, int]) -> None:
    """Delete the records of a topic before an offset of each partition. `OFFSET_END` deletes all."""
    partitions = [TopicPartition(topic, number, offset) for number, offset in before.items()]
    for answer in admin.delete_records(partitions).values():
        answer.result()


def delete_topic(admin: AdminClient, name: str) -> None:
    """Delete a topic, and wait until the broker no longer lists it."""
    admin.delete_topics([name])[name].result()
    wait_until(lambda: name not in admin.list_topics(timeout=10).topics, f"{name} is deleted")
