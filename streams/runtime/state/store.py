"""State on disk: one RocksDB per table and partition, behind Faust's store interface.

Column families: `data` holds the table, `meta` where the changelog stands, `local` what this machine alone knows
(never replayed, lost with the disk). All partitions of a process share one block cache and one memory budget.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.stores.base import SerializedStore
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, ReadOptions, WriteBatch, WriteBufferManager

from streams.runtime.errors import StoreError

POSITION = b"position"
WRITTEN_AT = b"written_at_ms"
MEBIBYTE = 1 << 20


class Memory:
    """What all stores of one process may use: a third of `budget_mb` MiB for memtables, the rest for cached blocks."""

    def __init__(self, budget_mb: int = 256) -> None:
        self.cache = Cache(budget_mb * MEBIBYTE * 2 // 3)
        self.writes = WriteBufferManager.new_write_buffer_manager_with_cache(
            budget_mb * MEBIBYTE // 3, False, self.cache
        )

    def options(self) -> Options:
        """Options for one column family or database under this budget."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_manager(self.writes)
        options.set_write_buffer_size(16 * MEBIBYTE)
        options.set_keep_log_file_num(2)
        options.set_max_open_files(256)
        # A deleted key at the head of the timers costs every later scan: files that are mostly tombstones are compacted early.
        options.add_compact_on_deletion_collector_factory(4096, 2048, 0.5)
        table = BlockBasedOptions()
        table.set_block_cache(self.cache)
        table.set_bloom_filter(10, False)
        table.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(table)
        return options


class PartitionStore:
    """One partition of one table.

    `write` stores changed values and the changelog position in one atomic batch, so what is on disk is always the
    changelog up to `position`, exactly.
    """

    def __init__(self, path: Path, memory: Memory) -> None:
        self.path = path
        self._memory = memory
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        families = {name: self._memory.options() for name in ("data", "meta", "local")}
        self._db: Any = Rdict(str(self.path), self._memory.options(), column_families=families)
        self._data: Any = self._db.get_column_family("data")
        self._meta: Any = self._db.get_column_family("meta")
        self._local: Any = self._db.get_column_family("local")
        self._handles: Any = {n: self._db.get_column_family_handle(n) for n in ("data", "meta", "local")}
        self.get = self._data.get

    def close(self) -> None:
        """Close the database; every handle is dropped, since RocksDB frees its lock with the last of them."""
        db = self._db
        del self.get
        self._handles = self._data = self._meta = self._local = self._db = None
        db.close()

    def wipe(self) -> None:
        """Delete everything and begin again, empty."""
        self.close()
        shutil.rmtree(self.path)
        self._open()

    @property
    def position(self) -> int:
        """The next changelog offset that is not yet in the store; 0 when it is new."""
        value = self._meta.get(POSITION)
        return int(value) if value else 0

    @property
    def written_at_ms(self) -> int:
        """Wall clock of the last write in milliseconds since 1970; 0 when there was none."""
        value = self._meta.get(WRITTEN_AT)
        return int(value) if value else 0

    def meta(self, key: bytes) -> bytes | None:
        """A value stored beside the position, such as a cursor."""
        value: bytes | None = self._meta.get(key)
        return value

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Store `changes` (None deletes) and the changelog `position` together, or nothing of them."""
        batch: Any = WriteBatch(raw_mode=True)
        data, info = self._handles["data"], self._handles["meta"]
        put, delete = batch.put, batch.delete
        for key, value in changes.items():
            if value is None:
                delete(key, data)
            else:
                put(key, value, data)
        if position is not None:
            put(POSITION, b"%d" % position, info)
            put(WRITTEN_AT, b"%d" % int(time.time() * 1000), info)
        for key, value in (meta or {}).items():
            put(key, value, info)
        self._db.write(batch)

    def note(self, key: bytes, value: bytes | None) -> None:
        """Write (or delete) a note that lives on this disk alone; it survives the process, not the disk."""
        if value is None:
            self._local.delete(key)
        else:
            self._local.put(key, value)

    def noted(self, key: bytes) -> bytes | None:
        """The note under `key`, if this disk has one."""
        value: bytes | None = self._local.get(key)
        return value

    def estimate(self) -> int:
        """About how many keys there are: RocksDB's own estimate, at no cost."""
        return int(self._data.property_int_value("rocksdb.estimate-num-keys") or 0)

    def size(self) -> int:
        """Bytes of the files on disk, without what is only in memory yet."""
        return int(self._data.property_int_value("rocksdb.total-sst-files-size") or 0)

    def items(self, lower: bytes | None = None, upper: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Entries with lower <= key < upper, in the order of their keys."""
        options = ReadOptions()
        if upper is not None:
            options.set_iterate_upper_bound(upper)
        # Not set_iterate_lower_bound: in rocksdict 0.3.29 a lower bound without an upper one yields nothing at all.
        yield from self._data.items(from_key=lower, read_opt=options)


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
