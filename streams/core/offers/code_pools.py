"""Pools of codes that the shop makes: each code is given once, each claim gets one at most, first come first served.

A claim can be withdrawn: then it waits no more, and the code that it got meanwhile is in stock again, behind the others.
Whichever way codes and claims come mixed, the first claim gets the first code. What a table contains is in code_pool_records.py.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from streams.core.model.events import CodeGranted
from streams.core.offers.code_pool_records import (
    Asked,
    Claim,
    Code,
    Entry,
    Pool,
    Seen,
    Told,
    Withdrawal,
    asked_key,
    claim_key,
    code_key,
    pool_key,
    seen_key,
)


class Table(Protocol):
    """Where entries lie."""

    def get(self, key: bytes) -> Entry | None:
        """What lies under `key`, or None."""

    def put(self, key: bytes, value: Entry | None) -> None:
        """Set what lies under `key`; None takes it away."""


class Memory:
    """A table that nobody keeps: for the virtual clock, and for tests."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}

    def get(self, key: bytes) -> Entry | None:
        """What lies under `key`, or None."""
        return self.entries.get(key)

    def put(self, key: bytes, value: Entry | None) -> None:
        """Set what lies under `key`; None takes it away."""
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value


class Desk:
    """Takes codes, claims and withdrawals, one after the other, at one moment.

    Args:
        table: the partition's entries.
        now: the moment, UTC.

    Attributes:
        grants: what was given so far, in order; a claim that was told again is answered again.
        given, expired: how many codes of each pool were given for the first time, and were found to be no longer good.
        pools: the pools that were touched, as they are now.
    """

    def __init__(self, table: Table, now: datetime) -> None:
        self._table = table
        self._now = now
        self.grants: list[CodeGranted] = []
        self.given: Counter[str] = Counter()
        self.expired: Counter[str] = Counter()
        self.pools: dict[str, Pool] = {}

    def take(self, told: Told) -> None:
        """Take a code into stock, or give it to who waits; give a claim its code, or let it wait; take a claim back."""
        if isinstance(told, Code):
            seen = seen_key(told)
            if self._table.get(seen) is None:
                self._table.put(seen, Seen())
                self._stock(told)
        elif isinstance(told, Claim):
            self._claim(told)
        else:
            self._withdraw(told)

    def _stock(self, code: Code) -> None:
        if self._is_expired(code):
            return
        self._drop_ended_claims(code.pool)
        claim = self._oldest_claim(code.pool)
        if claim is not None:
            self._remove_oldest_claim(code.pool)
            self._give(claim, code)
            return
        pool = self._pool(code.pool)
        self._table.put(code_key(code.pool, pool.next_code), code)
        self._keep(code.pool, replace(pool, next_code=pool.next_code + 1))

    def _claim(self, claim: Claim) -> None:
        asked = self._table.get(asked_key(claim))
        if isinstance(asked, Asked):
            if asked.at is not None and asked.code:
                self._grant(claim, asked.code, asked.expires_at, asked.at)
            return
        if claim.give_up_at <= self._now:
            return
        while (code := self._oldest_code(claim.pool)) is not None:
            self._remove_oldest_code(claim.pool)
            if not self._is_expired(code):
                self._give(claim, code)
                return
        self._drop_ended_claims(claim.pool)
        pool = self._pool(claim.pool)
        self._table.put(asked_key(claim), Asked())
        self._table.put(claim_key(claim.pool, pool.next_claim), claim)
        self._keep(claim.pool, replace(pool, next_claim=pool.next_claim + 1))

    def _withdraw(self, told: Withdrawal) -> None:
        key = asked_key(told)
        asked = self._table.get(key)
        got = asked if isinstance(asked, Asked) and asked.code else None
        # Also before the claim itself has come, which its own partition may hold up; a claim that has given up is refused without a mark.
        self._table.put(key, Asked(at=self._now) if told.give_up_at > self._now else None)
        self._drop_ended_claims(told.pool)
        if got is not None:
            self._stock(Code(told.pool, got.code, got.expires_at))

    def _drop_ended_claims(self, pool: str) -> None:
        """Take the claims out that wait no more. Only the first in the row are looked at, so that each is looked at once."""
        while (claim := self._oldest_claim(pool)) is not None:
            key = asked_key(claim)
            if claim.give_up_at <= self._now:
                self._table.put(key, None)
            elif self._table.get(key) == Asked():
                return
            self._remove_oldest_claim(pool)

    def _give(self, claim: Claim, code: Code) -> None:
        """Give a code for the first time."""
        self.given[claim.pool] += 1
        self._table.put(asked_key(claim), Asked(code.code, code.expires_at, self._now))
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

    # -- the two rows --------------------------------------------------------------------------------------------------

    def _pool(self, name: str) -> Pool:
        known = self.pools.get(name)
        if known is None:
            found = self._table.get(pool_key(name))
            known = self.pools[name] = found if isinstance(found, Pool) else Pool()
        return known

    def _keep(self, name: str, pool: Pool) -> None:
        self.pools[name] = pool
        self._table.put(pool_key(name), pool)

    def _oldest_code(self, name: str) -> Code | None:
        pool = self._pool(name)
        found = self._table.get(code_key(name, pool.first_code)) if pool.stock else None
        return found if isinstance(found, Code) else None

    def _remove_oldest_code(self, name: str) -> None:
        pool = self._pool(name)
        self._table.put(code_key(name, pool.first_code), None)
        self._keep(name, replace(pool, first_code=pool.first_code + 1))

    def _oldest_claim(self, name: str) -> Claim | None:
        pool = self._pool(name)
        found = self._table.get(claim_key(name, pool.first_claim)) if pool.waiting else None
        return found if isinstance(found, Claim) else None

    def _remove_oldest_claim(self, name: str) -> None:
        pool = self._pool(name)
        self._table.put(claim_key(name, pool.first_claim), None)
        self._keep(name, replace(pool, first_claim=pool.first_claim + 1))
