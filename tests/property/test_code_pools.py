"""Pools of codes: whatever comes twice and however it comes mixed, a code is given once, a claim gets one, and the first come is served first."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import groupby

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.model.events import CodeGranted
from streams.core.offers.code_pool_records import (
    Claim,
    ClaimRecord,
    Code,
    Pool,
    PoolMessage,
    Withdrawal,
    decode_entry,
    encode_entry,
    pool_key,
)
from streams.core.offers.code_pools import CodePools, InMemoryTable
from tests.harness.driver import START

HOUR = timedelta(hours=1)
POOLS = ("spring", "summer")


def code(number: int, pool: str = "spring", hours: int | None = None) -> Code:
    """A code that is good for so many hours from the start on."""
    return Code(pool, f"C{number}", None if hours is None else START + hours * HOUR)


def claim(number: int, pool: str = "spring", hours: int = 1000) -> Claim:
    """A claim that waits for so many hours from the start on. A reward is of one pool."""
    return Claim(pool, f"{pool}-r{number}", f"c{number}", "f", 1, f"i{number}", "0", None, START + hours * HOUR)


def withdrawal(number: int, pool: str = "spring", hours: int = 1000) -> Withdrawal:
    """The same claim, taken back."""
    return Withdrawal(pool, f"{pool}-r{number}", START + hours * HOUR)


numbers, pools = st.integers(0, 9), st.sampled_from(POOLS)
lasting = st.lists(st.builds(code, numbers, pools) | st.builds(claim, numbers, pools), max_size=40)
mixed = st.lists(
    st.builds(code, numbers, pools) | st.builds(claim, numbers, pools) | st.builds(withdrawal, numbers, pools),
    max_size=40,
)
ending = st.builds(code, numbers, pools, st.integers(0, 12)) | st.builds(claim, numbers, pools, st.integers(0, 12))
#: A claim, and the same one taken back: it says the same of how long it would have waited.
ends = (1, 5, 9, 0, 4, 8, 12, 3, 7, 11)
taken_back = st.builds(lambda number, pool: claim(number, pool, ends[number]), numbers, pools) | st.builds(
    lambda number, pool: withdrawal(number, pool, ends[number]), numbers, pools
)


def by_hour(one: st.SearchStrategy[PoolMessage]) -> st.SearchStrategy[list[tuple[int, PoolMessage]]]:
    """What was told, each at an hour; the hours never run backwards."""
    return st.lists(st.tuples(st.integers(0, 12), one), max_size=40).map(
        lambda told: sorted(told, key=lambda one: one[0])
    )


timed = by_hour(ending)
timed_mixed = by_hour(taken_back | st.builds(code, numbers, pools, st.integers(0, 12)))


class Encoded(InMemoryTable):
    """A table that keeps bytes, as a store does."""

    def put(self, key: bytes, value: object) -> None:
        """Set what lies under `key`, as it comes back from bytes."""
        super().put(key, None if value is None else decode_entry(encode_entry(value)))  # type: ignore[arg-type]  # an entry


def granted(told: list[tuple[int, PoolMessage]], table: InMemoryTable, batch: int = 1) -> list[CodeGranted]:
    """The grants, with a desk of its own for every `batch` of what was told in one hour."""
    grants = []
    for hour, group in groupby(told, key=lambda one: one[0]):
        facts = [fact for _, fact in group]
        for start in range(0, len(facts), batch):
            desk = CodePools(table, START + hour * HOUR)
            for fact in facts[start : start + batch]:
                desk.apply(fact)
            grants += desk.grants
    return grants


def pairs(grants: list[CodeGranted]) -> list[tuple[str, str, str]]:
    """Pool, reward and code of the grants, each once, in their order."""
    return [*dict.fromkeys([(one.pool, one.reward_id, one.code) for one in grants])]


@settings(max_examples=300, deadline=None)
@given(lasting)
def test_the_first_claim_gets_the_first_code(told: list[PoolMessage]) -> None:
    """Where nothing expires: claim n of a pool gets its code n, however they come mixed and whatever comes again."""
    found = pairs(granted([(0, one) for one in told], InMemoryTable()))
    for pool in POOLS:
        codes = [*dict.fromkeys([one.code for one in told if isinstance(one, Code) and one.pool == pool])]
        claims = [*dict.fromkeys([one.reward_id for one in told if isinstance(one, Claim) and one.pool == pool])]
        expected = list(zip(claims, codes, strict=False))
        assert [(reward, given) for of, reward, given in found if of == pool] == expected


@settings(max_examples=400, deadline=None)
@given(timed)
@example([(0, code(1, hours=1)), (0, claim(1)), (0, claim(1)), (2, claim(1))])
@example([(0, claim(1, hours=1)), (2, code(1)), (3, claim(1, hours=1)), (3, claim(2))])
def test_no_code_twice_and_no_claim_two(told: list[tuple[int, PoolMessage]]) -> None:
    """Also while codes expire and claims give up; none is given that has expired, and none to who has given up."""
    grants = granted(told, InMemoryTable())
    found = pairs(grants)
    assert max(Counter((pool, given) for pool, _, given in found).values(), default=0) <= 1
    assert max(Counter((pool, reward) for pool, reward, _ in found).values(), default=0) <= 1
    for one in grants:
        assert one.expires_at is None or one.expires_at > one.occurred_at
        claims = [told_ for _, told_ in told if isinstance(told_, Claim) and told_.reward_id == one.reward_id]
        assert max(asked.give_up_at for asked in claims) > one.occurred_at


@settings(max_examples=400, deadline=None)
@given(mixed)
@example([code(1), claim(1), claim(2), withdrawal(1)])
@example([claim(1), claim(2), withdrawal(1), code(1)])
@example([withdrawal(1), claim(1), code(1), claim(1)])
@example([code(1), claim(1), withdrawal(1), claim(1), withdrawal(1), claim(2), withdrawal(1)])
def test_what_a_withdrawn_claim_got_goes_back(told: list[PoolMessage]) -> None:
    """However all comes mixed: a code is in stock, or one claim that was not withdrawn has it; and none waits beside a code in stock."""
    table = InMemoryTable()
    found = pairs(granted([(0, one) for one in told], table))
    for pool in POOLS:
        here = [one for one in told if one.pool == pool]
        gone = {one.reward_id for one in here if isinstance(one, Withdrawal)}
        asked = {one.reward_id for one in here if isinstance(one, Claim)} - gone
        got = {reward: given for of, reward, given in found if of == pool and reward not in gone}
        stock = [one.code for one in table.entries.values() if isinstance(one, Code) and one.pool == pool]
        assert sorted([*got.values(), *stock]) == sorted({one.code for one in here if isinstance(one, Code)})
        assert got.keys() == asked or not stock
        assert max(Counter(reward for of, reward, _ in found if of == pool).values(), default=0) <= 1


@settings(max_examples=300, deadline=None)
@given(timed_mixed, st.integers(1, 50))
def test_batches_make_no_difference(told: list[tuple[int, PoolMessage]], batch: int) -> None:
    """One desk for each record, or one for many, over a table that keeps bytes: the same grants, the same entries."""
    alone, together = InMemoryTable(), Encoded()
    assert granted(told, alone) == granted(told, together, batch)
    assert alone.entries == together.entries


@settings(max_examples=300, deadline=None)
@given(timed_mixed)
def test_told_again_changes_nothing(told: list[tuple[int, PoolMessage]]) -> None:
    """Everything told twice in a row gives the same codes to the same, each answer the same as the first."""
    once, twice = InMemoryTable(), InMemoryTable()
    first = granted(told, once)
    second = granted([one for one in told for _ in range(2)], twice)
    assert pairs(first) == pairs(second)
    assert {repr(one) for one in first} == {repr(one) for one in second}
    assert once.entries == twice.entries


@settings(max_examples=300, deadline=None)
@given(timed_mixed)
def test_the_numbers_are_those_of_the_rows(told: list[tuple[int, PoolMessage]]) -> None:
    """A pool counts what lies in its rows, one of which is empty, and nothing else of them is left behind."""
    table = InMemoryTable()
    granted(told, table)
    for name in POOLS:
        pool = table.get(pool_key(name)) or Pool()
        assert isinstance(pool, Pool)
        rows = [sum(key.startswith(f"{kind}/{name}/".encode()) for key in table.entries) for kind in ("code", "wait")]
        assert rows == [pool.stock, pool.waiting]
        assert 0 in rows
        asked = [one for key, one in table.entries.items() if key.startswith(f"asked/{name}/".encode())]
        assert asked.count(ClaimRecord()) <= pool.waiting  # who gave up behind one that still waits is counted


def test_who_gave_up_is_counted_until_the_next_comes() -> None:
    """The claims at the head of the row that have given up are taken out with the next claim: each once, so that a claim costs the same always."""
    table = InMemoryTable()
    granted([(0, claim(number, hours=1)) for number in range(5)], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 0, 5)
    granted([(1, claim(5)), (1, claim(6, hours=2))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 5, 7)


def test_who_withdraws_is_counted_no_more() -> None:
    """Where all withdraw in the order in which they came, as runs do whose time is over, the pool counts none of them."""
    table = InMemoryTable()
    granted([(0, claim(number, hours=9)) for number in range(3)], table)
    granted([(1, withdrawal(1, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 0, 3)
    granted([(2, withdrawal(0, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 2, 3)
    granted([(9, withdrawal(2, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 3, 3)
    assert not [key for key in table.entries if key.startswith(b"asked/") and key.endswith(b"r2")]
