"""The shop's code pools: each code is granted once, each claim gets one code at most, and the oldest claim goes first.

Codes and claims may arrive in any order: the first claim gets the first code. A withdrawn claim no longer waits; if it got a code
meanwhile, the code returns to the end of the stock. `code_pool_records.py` describes the stored records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from msgspec.structs import replace

from streams.core.model.events import CodeGranted
from streams.core.offers.code_pool_records import (
    Claim,
    ClaimRecord,
    Code,
    Entry,
    KnownCode,
    Pool,
    PoolMessage,
    Withdrawal,
    claim_key,
    claim_record_key,
    code_key,
    known_code_key,
    pool_key,
)

_Row = TypeVar("_Row", Code, Claim)


class Table(Protocol):
    """A table of pool entries."""

    def get(self, key: bytes) -> Entry | None:
        """Return the entry of `key`, or None."""

    def put(self, key: bytes, value: Entry | None) -> None:
        """Store the entry of `key`; None deletes it."""


class InMemoryTable:
    """A table in memory, for simulations and tests."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}

    def get(self, key: bytes) -> Entry | None:
        """Return the entry of `key`, or None."""
        return self.entries.get(key)

    def put(self, key: bytes, value: Entry | None) -> None:
        """Store the entry of `key`; None deletes it."""
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value


class _Counters:
    """The counters of the pools, read from the table once and written at every change."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.pools: dict[str, Pool] = {}

    def get(self, name: str) -> Pool:
        pool = self.pools.get(name)
        if pool is None:
            entry = self.table.get(pool_key(name))
            pool = self.pools[name] = entry if isinstance(entry, Pool) else Pool()
        return pool

    def put(self, name: str, pool: Pool) -> None:
        self.pools[name] = pool
        self.table.put(pool_key(name), pool)


class _Queue(Generic[_Row]):
    """One of a pool's two queues: its codes in stock, or its waiting claims.

    Args:
        counters: the counters of the pools.
        kind: the type of the rows.
        key: the key of a row, by pool and number.
        first, end: the fields of `Pool` with the number of the oldest row, and with the number of the next row.
    """

    def __init__(
        self, counters: _Counters, kind: type[_Row], key: Callable[[str, int], bytes], first: str, end: str
    ) -> None:
        self._counters, self._table = counters, counters.table
        self._kind: type[_Row] = kind
        self._key = key
        self._first, self._end = first, end

    def oldest(self, name: str) -> _Row | None:
        """Return the oldest row of the pool `name`, or None if the queue is empty."""
        pool = self._counters.get(name)
        first: int = getattr(pool, self._first)
        row = self._table.get(self._key(name, first)) if first < getattr(pool, self._end) else None
        return row if isinstance(row, self._kind) else None

    def append(self, row: _Row) -> None:
        """Add the newest row."""
        pool = self._counters.get(row.pool)
        number: int = getattr(pool, self._end)
        self._table.put(self._key(row.pool, number), row)
        self._counters.put(row.pool, replace(pool, **{self._end: number + 1}))

    def remove_oldest(self, name: str) -> None:
        """Remove the oldest row of the pool `name`; the queue must not be empty."""
        pool = self._counters.get(name)
        number: int = getattr(pool, self._first)
        self._table.put(self._key(name, number), None)
        self._counters.put(name, replace(pool, **{self._first: number + 1}))


class CodePools:
    """Applies codes, claims and withdrawals to the pools of one partition, one after the other, at one time.

    Args:
        table: the entries of the partition.
        now: the time (UTC).

    Attributes:
        grants: the grants so far, in order. A claim that arrives again is answered again.
        granted: how many codes of each pool were granted for the first time.
        expired: how many codes of each pool were dropped because they had expired.
        pools: the pools that were read, as they are now.
    """

    def __init__(self, table: Table, now: datetime) -> None:
        self._table = table
        self._now = now
        counters = _Counters(table)
        self.pools = counters.pools
        self._codes = _Queue(counters, Code, code_key, "first_code", "next_code")
        self._claims = _Queue(counters, Claim, claim_key, "first_claim", "next_claim")
        self.grants: list[CodeGranted] = []
        self.granted: Counter[str] = Counter()
        self.expired: Counter[str] = Counter()

    def apply(self, message: PoolMessage) -> None:
        """Apply one message.

        A new code goes to the oldest waiting claim, else into stock. A new claim gets the oldest code, else it waits. A withdrawal
        ends its claim.
        """
        if isinstance(message, Code):
            key = known_code_key(message)
            if self._table.get(key) is None:
                self._table.put(key, KnownCode())
                self._add_code(message)
        elif isinstance(message, Claim):
            self._add_claim(message)
        else:
            self._withdraw(message)

    def _add_code(self, code: Code) -> None:
        if self._is_expired(code):
            return
        self._drop_ended_claims(code.pool)
        claim = self._claims.oldest(code.pool)
        if claim is not None:
            self._claims.remove_oldest(code.pool)
            self._grant_first(claim, code)
            return
        self._codes.append(code)

    def _add_claim(self, claim: Claim) -> None:
        key = claim_record_key(claim)
        record = self._table.get(key)
        if isinstance(record, ClaimRecord):
            if record.at is not None and record.code:
                self._grant(claim, record.code, record.expires_at, record.at)
            return
        if claim.give_up_at <= self._now:
            return
        while (code := self._codes.oldest(claim.pool)) is not None:
            self._codes.remove_oldest(claim.pool)
            if not self._is_expired(code):
                self._grant_first(claim, code)
                return
        self._drop_ended_claims(claim.pool)
        self._table.put(key, ClaimRecord())
        self._claims.append(claim)

    def _withdraw(self, withdrawal: Withdrawal) -> None:
        key = claim_record_key(withdrawal)
        record = self._table.get(key)
        # The withdrawal may overtake its claim, whose partition may be delayed: then the record makes the claim void.
        # If the claim has given up, no record is needed, because such a claim is ignored.
        is_open = withdrawal.give_up_at > self._now
        self._table.put(key, ClaimRecord(at=self._now) if is_open else None)
        self._drop_ended_claims(withdrawal.pool)
        if isinstance(record, ClaimRecord) and record.code:
            self._add_code(Code(withdrawal.pool, record.code, record.expires_at))

    def _drop_ended_claims(self, pool: str) -> None:
        """Remove the oldest claims until one still waits. Each claim is removed once, so the cost per claim is constant."""
        while (claim := self._claims.oldest(pool)) is not None:
            key = claim_record_key(claim)
            if claim.give_up_at <= self._now:
                self._table.put(key, None)
            elif self._table.get(key) == ClaimRecord():
                return
            self._claims.remove_oldest(pool)

    def _grant_first(self, claim: Claim, code: Code) -> None:
        self.granted[claim.pool] += 1
        self._table.put(claim_record_key(claim), ClaimRecord(code.code, code.expires_at, self._now))
        self._grant(claim, code.code, code.expires_at, self._now)

    def _grant(self, claim: Claim, code: str, expires_at: datetime | None, at: datetime) -> None:
        self.grants.append(
            CodeGranted(
                customer_id=claim.customer_id,
                reward_id=claim.reward_id,
                pool=claim.pool,
                flow=claim.flow,
                flow_version=claim.flow_version,
                instance_id=claim.instance_id,
                step=claim.step,
                order_id=claim.order_id,
                code=code,
                expires_at=expires_at,
                occurred_at=at,
            )
        )

    def _is_expired(self, code: Code) -> bool:
        if code.expires_at is None or code.expires_at > self._now:
            return False
        self.expired[code.pool] += 1
        return True
