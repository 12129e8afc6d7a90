"""State on disk: one RocksDB per table and partition.

Column families: `data` holds the table, `meta` the changelog position, and `local` values of this disk alone, which are not part
of the changelog. All partitions of a process share one block cache and one memory budget.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, ReadOptions, WriteBatch, WriteBufferManager

POSITION = b"position"
WRITTEN_AT = b"written_at_ms"
MEBIBYTE = 1 << 20


class Memory:
    """The memory that all stores of one process share: a third of `budget_mb` MiB for memtables, the rest for cached blocks."""

    def __init__(self, budget_mb: int = 256) -> None:
        self.cache = Cache(budget_mb * MEBIBYTE * 2 // 3)
        self.writes = WriteBufferManager.new_write_buffer_manager_with_cache(
            budget_mb * MEBIBYTE // 3, False, self.cache
        )

    def options(self) -> Options:
        """Return the options of one column family or database within this budget."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_manager(self.writes)
        options.set_write_buffer_size(16 * MEBIBYTE)
        options.set_keep_log_file_num(2)
        options.set_max_open_files(256)
        # Every scan of the timers passes the tombstones of fired ones, so files that are mostly tombstones are compacted early.
        options.add_compact_on_deletion_collector_factory(4096, 2048, 0.5)
        table = BlockBasedOptions()
        table.set_block_cache(self.cache)
        table.set_bloom_filter(10, False)
        table.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(table)
        return options


class PartitionStore:
    """One partition of one table.

    `write` stores changed values and the changelog position in one atomic batch. The store therefore always equals the changelog up to
    `position`.

    Args:
        path: the directory of the database, created if missing.
        memory: the memory shared with the other stores.
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
        """Close the database, and drop every handle: RocksDB releases its file lock with the last of them."""
        db = self._db
        del self.get
        self._handles = self._data = self._meta = self._local = self._db = None
        db.close()

    def wipe(self) -> None:
        """Delete all content, and reopen the store empty."""
        self.close()
        shutil.rmtree(self.path)
        self._open()

    @property
    def position(self) -> int:
        """The next changelog offset to apply; 0 if the store is new."""
        value = self._meta.get(POSITION)
        return int(value) if value else 0

    @property
    def written_at_ms(self) -> int:
        """The wall clock of the last write, in milliseconds since 1970; 0 before the first write."""
        value = self._meta.get(WRITTEN_AT)
        return int(value) if value else 0

    def meta(self, key: bytes) -> bytes | None:
        """Return a value stored beside the position, such as a cursor, or None."""
        value: bytes | None = self._meta.get(key)
        return value

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Store `changes` (None deletes), the changelog `position` and `meta` values in one atomic batch."""
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

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a value outside the changelog, or delete it if `value` is None. It survives the process, but not the disk."""
        if value is None:
            self._local.delete(key)
        else:
            self._local.put(key, value)

    def get_local(self, key: bytes) -> bytes | None:
        """Return the value of `put_local` under `key`, or None."""
        value: bytes | None = self._local.get(key)
        return value

    def estimate(self) -> int:
        """Return RocksDB's own estimate of the number of keys, which costs nothing."""
        return int(self._data.property_int_value("rocksdb.estimate-num-keys") or 0)

    def size(self) -> int:
        """Return the size of the files on disk in bytes, without the memtables."""
        return int(self._data.property_int_value("rocksdb.total-sst-files-size") or 0)

    def items(self, lower: bytes | None = None, upper: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries with lower <= key < upper, ordered by key."""
        options = ReadOptions()
        if upper is not None:
            options.set_iterate_upper_bound(upper)
        # `set_iterate_lower_bound` would not do: in rocksdict 0.3.29 a lower bound without an upper bound yields nothing.
        yield from self._data.items(from_key=lower, read_opt=options)
