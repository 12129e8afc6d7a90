"""Faust's store interface over the partition stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faust.stores.base import SerializedStore

from streams.runtime.errors import StoreError
from streams.runtime.state.store import Memory, PartitionStore


def advice(error: Exception) -> str:
    """Return what to do about a store that cannot be opened although its files are not damaged. A damaged one is restored without help."""
    text = str(error).lower()
    if "lock" in text or "resource temporarily unavailable" in text:
        return "Another process uses this directory: give each worker its own TAKK_STATE_DIR."
    if "too many open files" in text:
        return "Raise the limit of open files of this process (ulimit -n, or LimitNOFILE of systemd): a partition needs about 50."
    if "no space left" in text or "quota" in text:
        return "Free space on this volume, or enlarge it."
    if "permission denied" in text or "read-only" in text:
        return "Give the worker's user the right to write there."
    return "Nothing was changed. Start the worker again when the cause is removed."


class Store(SerializedStore):  # type: ignore[misc]
    """Faust's store of one table: opens a `PartitionStore` for every partition that the worker owns.

    Faust only reads through it. Batches write to the partition stores directly.
    """

    #: The memory that all stores of the process share.
    memory: Memory | None = None

    def __init__(self, url: Any, app: Any, table: Any, **kwargs: Any) -> None:
        super().__init__(url, app, table, **kwargs)
        self._partitions: dict[int, PartitionStore] = {}
        self._table = table

    def partition(self, number: int) -> PartitionStore:
        """Return the open store of partition `number`. Open it if it is not open yet.

        Raises:
            StoreError: the store cannot be opened.
        """
        store = self._partitions.get(number)
        if store is None:
            if Store.memory is None:
                Store.memory = Memory()
            path = Path(self.app.conf.tabledir) / self.table_name / str(number)
            try:
                store = self._partitions[number] = PartitionStore(path, Store.memory)
            except Exception as error:
                raise StoreError(f"cannot open the state in {path}: {error}. {advice(error)}") from error
        return store

    def release(self, number: int) -> None:
        """Close partition `number`, which another worker now owns."""
        store = self._partitions.pop(number, None)
        if store is not None:
            store.close()

    async def on_stop(self) -> None:
        """Do nothing: Faust stops tables before consumers. The tasks still write then, and close their stores themselves."""

    def persisted_offset(self, tp: Any) -> int | None:
        """Return the changelog position of the store. Faust asks for it; Takk's own restore does not use it."""
        store = self._partitions.get(tp.partition)
        return store.position if store else None

    def reset_state(self) -> None:
        """Raise StoreError: the restore wipes single partitions instead."""
        raise StoreError(
            "cannot reset the state: stop the workers and delete TAKK_STATE_DIR; the state is then restored from Kafka"
        )

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Raise StoreError: the changelog is the backup."""
        raise StoreError("backups are not supported: the changelog is the backup of a table")

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Raise StoreError: the changelog is the backup."""
        raise StoreError("backups are not supported: the changelog is the backup of a table")

    def _get(self, key: bytes) -> bytes | None:
        for store in self._partitions.values():
            value: bytes | None = store.get(key)
            if value is not None:
                return value
        return None

    def _set(self, key: bytes, value: bytes | None) -> None:
        raise StoreError("Faust tables are read-only: use batch.put")

    def _del(self, key: bytes) -> None:
        raise StoreError("Faust tables are read-only: use batch.put(key, None)")

    def _clear(self) -> None:
        raise StoreError("Faust tables are read-only")

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
