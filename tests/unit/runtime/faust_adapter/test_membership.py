"""The broker's answers about the membership, and what follows from them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import GroupLeft
from streams.runtime.faust_adapter.membership import AWAY_S, MIN_OUTSIDE_S, Membership

SESSION_S = 45.0


@dataclass
class Member:
    """A member as the broker lists it, and aiokafka's coordinator of this process."""

    member_id: str
    group_instance_id: str | None = None


@dataclass
class Broker:
    """An admin client whose broker lists members, or fails."""

    members: list[Member] = field(default_factory=list)
    error: int | None = None

    def poll(self, timeout: float) -> None:
        """Deliver no log lines."""

    def describe_consumer_groups(self, groups: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        if self.error is None:
            answer.set_result(self)
        else:
            answer.set_exception(KafkaException(KafkaError(self.error)))
        return {groups[0]: answer}


@dataclass
class World:
    """A process with its broker and its clock."""

    instance_id: str | None = None
    broker: Broker = field(default_factory=Broker)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.membership = Membership({}, "app", self.instance_id, SESSION_S, lambda: self.now)
        self.membership._admin = self.broker

    async def ask(self, member_id: str = "me") -> tuple[bool, bool, bool]:
        """Ask, and return whether it is a member, whether the membership is over, and whether the broker is away."""
        await self.membership.ask(Member(member_id))
        return self.membership.is_member, self.membership.is_over, self.membership.is_broker_away


async def test_a_member() -> None:
    """A process is a member from the first answer that lists it."""
    world = World(broker=Broker([Member("other"), Member("me")]))
    assert not world.membership.is_member
    assert await world.ask() == (True, False, False)


async def test_outside_for_a_whole_session() -> None:
    """The process ends when the broker has not listed it for a whole session; an answer that lists it starts the time again."""
    world = World()
    assert await world.ask() == (False, False, False)
    world.now = SESSION_S
    assert await world.ask() == (False, False, False)
    world.broker.members = [Member("me")]
    assert await world.ask() == (True, False, False)
    world.broker.members = []
    world.now = 100.0
    assert await world.ask() == (False, False, False)
    world.now = 101.0 + SESSION_S
    with pytest.raises(GroupLeft, match="not been a member of the consumer group app for 45 s"):
        await world.ask()
    assert world.membership.is_over


async def test_a_short_session_leaves_time_to_return() -> None:
    """A process whose session is short may first finish its batches."""
    world = World()
    world.membership = Membership({}, "app", None, 3.0, lambda: world.now)
    world.membership._admin = world.broker
    await world.ask()
    world.now = MIN_OUTSIDE_S
    assert await world.ask() == (False, False, False)
    world.now += 1
    with pytest.raises(GroupLeft):
        await world.ask()


async def test_a_broker_that_is_away() -> None:
    """Without an answer nobody knows, however long it takes; the time outside begins after the return."""
    world = World()
    await world.ask()
    world.broker.error = KafkaError._TIMED_OUT
    for world.now in (AWAY_S, 1000.0):
        assert await world.ask() == (False, False, world.now > AWAY_S)
    world.broker.error = None
    assert await world.ask() == (False, False, False)
    world.now += SESSION_S
    assert await world.ask() == (False, False, False)


@pytest.mark.parametrize("error", [KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.UNKNOWN])
async def test_a_broker_that_refuses_to_say_is_not_away(error: int) -> None:
    """A process without the right to describe its group works on."""
    world = World(broker=Broker([Member("me")]))
    await world.ask()
    world.broker.error = error
    world.now = 1000.0
    assert await world.ask() == (True, False, False)


async def test_a_group_that_does_not_exist_has_no_members() -> None:
    """Newer brokers answer with an error."""
    world = World(broker=Broker(error=KafkaError.GROUP_ID_NOT_FOUND))
    assert await world.ask() == (False, False, False)
    world.now = SESSION_S + 1
    with pytest.raises(GroupLeft):
        await world.ask()


async def test_a_named_process_that_joins() -> None:
    """While a named process waits for the others of its group, it has no member id yet, but the broker lists its name."""
    world = World("worker-1", broker=Broker([Member("x", "worker-1")]))
    assert await world.ask("") == (True, False, False)
    assert await World("worker-2", broker=world.broker).ask("") == (False, False, False)
    assert await World(None, broker=Broker([Member("x", None)])).ask("") == (False, False, False)
