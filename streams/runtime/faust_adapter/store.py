"""Faust's store interface over the partition stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faust.stores.base import SerializedStore

from streams.runtime.errors import StoreError
from streams.runtime.state.store import Memory, PartitionStore


class Store(SerializedStore):  # type: ignore[misc]
    """Faust's store of one table: opens a `PartitionStore` for every partition the worker owns.

    Faust reads through it; writing is the checkpoint's business alone.
    """

    memory: Memory | None = None

    def __init__(self, url: Any, app: Any, table: Any, **kwargs: Any) -> None:
        super().__init__(url, app, table, **kwargs)
        self._partitions: dict[int, PartitionStore] = {}
        self._table = table

    def partition(self, number: int) -> PartitionStore:
        """The open store of partition `number`; opened now if need be."""
        store = self._partitions.get(number)
        if store is None:
            if Store.memory is None:
                Store.memory = Memory()
            path = Path(self.app.conf.tabledir) / self.table_name / str(number)
            try:
                store = self._partitions[number] = PartitionStore(path, Store.memory)
            except Exception as error:
                raise StoreError(
                    f"cannot open the state in {path}: {error}. If another worker uses this folder, give each its own "
                    "TAKK_STATE_DIR; if the files are damaged, delete the folder and the state is restored from Kafka."
                ) from error
        return store

    def release(self, number: int) -> None:
        """Close partition `number`, which now belongs to another worker."""
        store = self._partitions.pop(number, None)
        if store is not None:
            store.close()

    async def on_stop(self) -> None:
        """Do nothing: Faust stops tables before consumers, and the tasks, which still write, close their stores themselves."""

    def persisted_offset(self, tp: Any) -> int | None:
        """Where the changelog stands in the store: Faust asks, Takk's own restore decides."""
        store = self._partitions.get(tp.partition)
        return store.position if store else None

    def reset_state(self) -> None:
        """Refuse: state is given up partition by partition, by the restore."""
        raise StoreError("stop the workers and delete TAKK_STATE_DIR: the state is restored from the changelog")

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Refuse: the changelog is the backup."""
        raise StoreError("the changelog is the backup of a table")

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Refuse: the changelog is the backup."""
        raise StoreError("the changelog is the backup of a table")

    def _get(self, key: bytes) -> bytes | None:
        for store in self._partitions.values():
            value: bytes | None = store.get(key)
            if value is not None:
                return value
        return None

    def _set(self, key: bytes, value: bytes | None) -> None:
        raise StoreError("tables are written by the checkpoint alone: use unit.put")

    def _del(self, key: bytes) -> None:
        raise StoreError("tables are written by the checkpoint alone: use unit.put(key, None)")

    def _clear(self) -> None:
        raise StoreError("tables are written by the checkpoint alone")

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for store in self._partitions.values():
            yield from store.items()

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes | None]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None
