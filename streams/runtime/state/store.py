"""State on disk: one RocksDB per table and partition.

Column families: `data` holds the table, `meta` the changelog position, and `local` values of this disk alone, which are not part
of the changelog. All partitions of a process share one block cache and one memory budget.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, ReadOptions, WriteBatch, WriteBufferManager

from streams.runtime.errors import StateError
from streams.runtime.state.quarantine import is_damage, mark_damaged, quarantine, quarantine_marked, unmark

log = structlog.get_logger(__name__)

POSITION = b"position"
WRITTEN_AT = b"written_at_ms"
MEBIBYTE = 1 << 20
#: RocksDB rewrites each file after this time, so that deleted values of people leave the disk: within a week, whatever else is written.
COMPACTION_S = 7 * 86_400
#: Seconds between two flushes of all memtables. The log of writes contains deleted values until every family of columns is flushed. The two
#: small ones would never fill a memtable.
FLUSH_INTERVAL_S = 86_400.0


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

    Every method but `close` raises StateError when RocksDB fails. If files are damaged, it also notes that, and the next start restores the store.

    Args:
        path: the directory of the database, created if missing. A damaged one is moved away first.
        memory: the memory shared with the other stores.

    Attributes:
        is_damaged: whether damage was noted since it was opened.
        is_quarantined: whether a damaged store was moved away, so that this one started empty.

    Raises:
        Exception: RocksDB cannot open the store, although its files are not damaged.
    """

    def __init__(self, path: Path, memory: Memory) -> None:
        self.path = path
        self._memory = memory
        self.is_damaged = False
        self.is_quarantined = quarantine_marked(path) is not None
        try:
            self._open()
        except Exception as error:
            if not is_damage(error):
                raise
            self.mark_damaged(str(error))
            quarantine(path)
            self.is_damaged = False
            self.is_quarantined = True
            self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        families = {name: self._memory.options() for name in ("data", "meta", "local")}
        self._db: Any = Rdict(str(self.path), self._memory.options(), column_families=families)
        self._data: Any = self._db.get_column_family("data")
        self._meta: Any = self._db.get_column_family("meta")
        self._local: Any = self._db.get_column_family("local")
        self._handles: Any = {n: self._db.get_column_family_handle(n) for n in ("data", "meta", "local")}
        for family in (self._data, self._local):
            family.set_options({"periodic_compaction_seconds": str(COMPACTION_S)})
        self._flushed_at = time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether the store is open."""
        return self._db is not None

    def close(self) -> None:
        """Close the database, and drop every handle: RocksDB releases its file lock with the last of them.

        An error is logged and not raised, since the owner could not end otherwise. The changelog has what is missing on the disk.
        """
        db = self._db
        self._handles = self._data = self._meta = self._local = self._db = None
        if db is None:
            return
        try:
            db.close()
        except Exception as error:  # noqa: BLE001 - rocksdict raises no other class; logged
            log.error("cannot close the state", at=str(self.path), error=error)
            if is_damage(error):
                self.mark_damaged(str(error))

    def reopen(self) -> None:
        """Close the store and open it again. If that fails, it stays closed, and this can be repeated.

        Raises:
            Exception: RocksDB cannot open the store.
        """
        self.close()
        self._open()

    def wipe(self) -> None:
        """Delete all content, and reopen the store empty."""
        self.close()
        shutil.rmtree(self.path)
        unmark(self.path)
        self.is_damaged = False
        self._open()

    def mark_damaged(self, reason: str) -> None:
        """Note that the content cannot be used. The next start restores the store from its changelog."""
        self.is_damaged = True
        mark_damaged(self.path, reason)

    def _failed(self, action: str, error: Exception) -> StateError:
        """Return the error to raise after RocksDB failed. Note damaged files."""
        if is_damage(error):
            self.mark_damaged(str(error))
        return StateError(f"cannot {action} the state in {self.path}: {error}")

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        try:
            value: bytes | None = self._data.get(key)
        except Exception as error:
            raise self._failed("read", error) from error
        return value

    @property
    def position(self) -> int:
        """The next changelog offset to apply; 0 if the store is new."""
        value = self.meta(POSITION)
        return int(value) if value else 0

    @property
    def written_at_ms(self) -> int:
        """The wall clock of the last write, in milliseconds since 1970; 0 before the first write."""
        value = self.meta(WRITTEN_AT)
        return int(value) if value else 0

    def meta(self, key: bytes) -> bytes | None:
        """Return a value stored beside the position, such as a cursor, or None."""
        try:
            value: bytes | None = self._meta.get(key)
        except Exception as error:
            raise self._failed("read", error) from error
        return value

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Store `changes` (None deletes), the changelog `position` and `meta` values in one atomic batch."""
        batch: Any = WriteBatch(raw_mode=True)
        # Faster than to pass the column family with each of thousands of changes.
        batch.set_default_column_family(self._handles["data"])
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch[key] = value
        put, info = batch.put, self._handles["meta"]
        if position is not None:
            put(POSITION, b"%d" % position, info)
            put(WRITTEN_AT, b"%d" % int(time.time() * 1000), info)
        for key, value in (meta or {}).items():
            put(key, value, info)
        try:
            self._db.write(batch)
            if time.monotonic() - self._flushed_at > FLUSH_INTERVAL_S:
                self.flush()
        except Exception as error:
            raise self._failed("write", error) from error

    def flush(self) -> None:
        """Write all memtables to files, after which RocksDB deletes its log of writes."""
        self._flushed_at = time.monotonic()
        for family in (self._data, self._meta, self._local):
            family.flush()

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a value outside the changelog, or delete it if `value` is None. It survives the process, but not the disk."""
        try:
            if value is None:
                self._local.delete(key)
            else:
                self._local.put(key, value)
        except Exception as error:
            raise self._failed("write", error) from error

    def delete_local(self, keys: Iterable[bytes]) -> None:
        """Delete values of `put_local`, in one write."""
        batch: Any = WriteBatch(raw_mode=True)
        try:
            batch.set_default_column_family(self._handles["local"])
            for key in keys:
                batch.delete(key)
            self._db.write(batch)
        except Exception as error:
            raise self._failed("write", error) from error

    def get_local(self, key: bytes) -> bytes | None:
        """Return the value of `put_local` under `key`, or None."""
        try:
            value: bytes | None = self._local.get(key)
        except Exception as error:
            raise self._failed("read", error) from error
        return value

    @property
    def is_empty(self) -> bool:
        """Whether the table has no entry. The position of an empty store is above 0 if its changelog has only aborted transactions."""
        return next(self.items(), None) is None

    def estimate(self) -> int:
        """Return RocksDB's own estimate of the number of keys, which costs nothing."""
        return int(self._data.property_int_value("rocksdb.estimate-num-keys") or 0)

    def size(self) -> int:
        """Return the size of the table in bytes: its files, and recent writes in the memtables."""
        names = "rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables"
        return sum(int(self._data.property_int_value(name) or 0) for name in names)

    def items(self, lower: bytes | None = None, upper: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries with lower <= key < upper, ordered by key."""
        last = lower
        try:
            # `set_iterate_lower_bound` would not do: in rocksdict 0.3.29 a lower bound without an upper bound yields nothing.
            for item in self._data.items(from_key=lower, read_opt=_read_options(upper)):
                last = item[0]
                yield item
            self._check_end(last, upper)
        except StateError:
            raise
        except Exception as error:
            raise self._failed("read", error) from error

    def _check_end(self, last: bytes | None, upper: bytes | None) -> None:
        """Raise the error that ended a scan after the key `last`. rocksdict ends its iterator at a damaged block without an error."""
        iterator = self._data.iter(read_opt=_read_options(upper))
        if last is None:
            iterator.seek_to_first()
        else:
            iterator.seek(last)
            if iterator.valid():
                iterator.next()
        iterator.status()


def _read_options(upper: bytes | None) -> ReadOptions:
    options = ReadOptions()
    if upper is not None:
        options.set_iterate_upper_bound(upper)
    return options
