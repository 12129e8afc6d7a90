"""Code pools: in any order and with repetitions, each code is granted once, and each claim gets one code."""

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
from tests.harness.examples import examples

HOUR = timedelta(hours=1)
POOLS = ("spring", "summer")


def code(number: int, pool: str = "spring", hours: int | None = None) -> Code:
    """Return a code that is valid for some hours after the start, or always."""
    return Code(pool, f"C{number}", None if hours is None else START + hours * HOUR)


def claim(number: int, pool: str = "spring", hours: int = 1000) -> Claim:
    """Return a claim that waits for some hours after the start. A reward has one pool."""
    return Claim(pool, f"{pool}-r{number}", f"c{number}", "f", 1, f"i{number}", "0", None, START + hours * HOUR)


def withdrawal(number: int, pool: str = "spring", hours: int = 1000) -> Withdrawal:
    """Return the withdrawal of the claim with this number."""
    return Withdrawal(pool, f"{pool}-r{number}", START + hours * HOUR)


numbers, pools = st.integers(0, 9), st.sampled_from(POOLS)
unending = st.lists(st.builds(code, numbers, pools) | st.builds(claim, numbers, pools), max_size=40)
mixed = st.lists(
    st.builds(code, numbers, pools) | st.builds(claim, numbers, pools) | st.builds(withdrawal, numbers, pools),
    max_size=40,
)
expiring = st.builds(code, numbers, pools, st.integers(0, 12)) | st.builds(claim, numbers, pools, st.integers(0, 12))
#: The hours that each claim waits, by its number: a claim and its withdrawal have the same `give_up_at`.
ends = (1, 5, 9, 0, 4, 8, 12, 3, 7, 11)
withdrawn = st.builds(lambda number, pool: claim(number, pool, ends[number]), numbers, pools) | st.builds(
    lambda number, pool: withdrawal(number, pool, ends[number]), numbers, pools
)


def by_hour(messages: st.SearchStrategy[PoolMessage]) -> st.SearchStrategy[list[tuple[int, PoolMessage]]]:
    """Return messages, each with the hour at which it arrives; the hours never decrease."""
    return st.lists(st.tuples(st.integers(0, 12), messages), max_size=40).map(
        lambda arrivals: sorted(arrivals, key=lambda arrival: arrival[0])
    )


timed = by_hour(expiring)
timed_mixed = by_hour(withdrawn | st.builds(code, numbers, pools, st.integers(0, 12)))


class Encoded(InMemoryTable):
    """A table that stores bytes, as a real one does."""

    def put(self, key: bytes, value: object) -> None:
        """Store an entry as it is decoded from its bytes."""
        super().put(key, None if value is None else decode_entry(encode_entry(value)))  # type: ignore[arg-type]  # an entry


def granted(arrivals: list[tuple[int, PoolMessage]], table: InMemoryTable, batch: int = 1) -> list[CodeGranted]:
    """Return the grants for messages, with new `CodePools` after every `batch` messages of one hour."""
    grants = []
    for hour, group in groupby(arrivals, key=lambda arrival: arrival[0]):
        messages = [message for _, message in group]
        for start in range(0, len(messages), batch):
            code_pools = CodePools(table, START + hour * HOUR)
            for message in messages[start : start + batch]:
                code_pools.apply(message)
            grants += code_pools.grants
    return grants


def pairs(grants: list[CodeGranted]) -> list[tuple[str, str, str]]:
    """Return pool, reward and code of the grants, each once, in their order."""
    return [*dict.fromkeys([(grant.pool, grant.reward_id, grant.code) for grant in grants])]


@settings(max_examples=examples(300), deadline=None)
@given(unending)
def test_the_first_claim_gets_the_first_code(messages: list[PoolMessage]) -> None:
    """If nothing expires, claim n of a pool gets its code n, in any mix of messages and with repetitions."""
    found = pairs(granted([(0, one) for one in messages], InMemoryTable()))
    for pool in POOLS:
        codes = [*dict.fromkeys([one.code for one in messages if isinstance(one, Code) and one.pool == pool])]
        claims = [*dict.fromkeys([one.reward_id for one in messages if isinstance(one, Claim) and one.pool == pool])]
        expected = list(zip(claims, codes, strict=False))
        assert [(reward, given) for of, reward, given in found if of == pool] == expected


@settings(max_examples=examples(400), deadline=None)
@given(timed)
@example([(0, code(1, hours=1)), (0, claim(1)), (0, claim(1)), (2, claim(1))])
@example([(0, claim(1, hours=1)), (2, code(1)), (3, claim(1, hours=1)), (3, claim(2))])
def test_no_code_twice_and_no_claim_two(messages: list[tuple[int, PoolMessage]]) -> None:
    """No code is granted twice or expired, and no claim gets two codes, or one after it gave up."""
    grants = granted(messages, InMemoryTable())
    found = pairs(grants)
    assert max(Counter((pool, given) for pool, _, given in found).values(), default=0) <= 1
    assert max(Counter((pool, reward) for pool, reward, _ in found).values(), default=0) <= 1
    for one in grants:
        assert one.expires_at is None or one.expires_at > one.occurred_at
        claims = [
            message for _, message in messages if isinstance(message, Claim) and message.reward_id == one.reward_id
        ]
        assert max(asked.give_up_at for asked in claims) > one.occurred_at


@settings(max_examples=examples(400), deadline=None)
@given(mixed)
@example([code(1), claim(1), claim(2), withdrawal(1)])
@example([claim(1), claim(2), withdrawal(1), code(1)])
@example([withdrawal(1), claim(1), code(1), claim(1)])
@example([code(1), claim(1), withdrawal(1), claim(1), withdrawal(1), claim(2), withdrawal(1)])
def test_the_code_of_a_withdrawn_claim_returns(messages: list[PoolMessage]) -> None:
    """A code is in stock, or one claim that was not withdrawn has it, and no claim waits beside a code in stock."""
    table = InMemoryTable()
    found = pairs(granted([(0, one) for one in messages], table))
    for pool in POOLS:
        here = [one for one in messages if one.pool == pool]
        gone = {one.reward_id for one in here if isinstance(one, Withdrawal)}
        asked = {one.reward_id for one in here if isinstance(one, Claim)} - gone
        code_of_reward = {reward: given for of, reward, given in found if of == pool and reward not in gone}
        stock = [one.code for one in table.entries.values() if isinstance(one, Code) and one.pool == pool]
        assert sorted([*code_of_reward.values(), *stock]) == sorted({one.code for one in here if isinstance(one, Code)})
        assert code_of_reward.keys() == asked or not stock
        assert max(Counter(reward for of, reward, _ in found if of == pool).values(), default=0) <= 1


@settings(max_examples=examples(300), deadline=None)
@given(timed_mixed, st.integers(1, 50))
def test_batches_make_no_difference(messages: list[tuple[int, PoolMessage]], batch: int) -> None:
    """New pools for each message, or for many messages over a table of bytes, give the same grants and entries."""
    alone, together = InMemoryTable(), Encoded()
    assert granted(messages, alone) == granted(messages, together, batch)
    assert alone.entries == together.entries


@settings(max_examples=examples(300), deadline=None)
@given(timed_mixed)
def test_repetitions_change_nothing(messages: list[tuple[int, PoolMessage]]) -> None:
    """Messages that arrive twice in a row give the same codes to the same claims, with equal answers."""
    once, twice = InMemoryTable(), InMemoryTable()
    first = granted(messages, once)
    second = granted([one for one in messages for _ in range(2)], twice)
    assert pairs(first) == pairs(second)
    assert {repr(one) for one in first} == {repr(one) for one in second}
    assert once.entries == twice.entries


@settings(max_examples=examples(300), deadline=None)
@given(timed_mixed)
def test_the_counters_match_the_rows(messages: list[tuple[int, PoolMessage]]) -> None:
    """The counters of a pool match its rows, one of its queues is empty, and no other entries remain."""
    table = InMemoryTable()
    granted(messages, table)
    for name in POOLS:
        pool = table.get(pool_key(name)) or Pool()
        assert isinstance(pool, Pool)
        rows = [sum(key.startswith(f"{kind}/{name}/".encode()) for key in table.entries) for kind in ("code", "wait")]
        assert rows == [pool.stock, pool.waiting]
        assert 0 in rows
        asked = [one for key, one in table.entries.items() if key.startswith(f"asked/{name}/".encode())]
        assert asked.count(ClaimRecord()) <= pool.waiting  # a claim that gave up behind a waiting one is counted


def test_claims_that_gave_up_are_counted_until_the_next_arrives() -> None:
    """Claims that gave up are removed with the next claim, each once, so that a claim always costs the same."""
    table = InMemoryTable()
    granted([(0, claim(number, hours=1)) for number in range(5)], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 0, 5)
    granted([(1, claim(5)), (1, claim(6, hours=2))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 5, 7)


def test_withdrawn_claims_are_no_longer_counted() -> None:
    """If claims are withdrawn in their order, as instances whose time is up do, the pool counts none of them."""
    table = InMemoryTable()
    granted([(0, claim(number, hours=9)) for number in range(3)], table)
    granted([(1, withdrawal(1, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 0, 3)
    granted([(2, withdrawal(0, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 2, 3)
    granted([(9, withdrawal(2, hours=9))], table)
    assert table.get(pool_key("spring")) == Pool(0, 0, 3, 3)
    assert not [key for key in table.entries if key.startswith(b"asked/") and key.endswith(b"r2")]
