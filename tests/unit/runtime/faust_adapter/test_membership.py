"""The broker's answers about the membership, and what follows from them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import GroupLeft, NameInUse
from streams.runtime.faust_adapter.group_members import Member
from streams.runtime.faust_adapter.membership import AWAY_S, MIN_OUTSIDE_S, Membership
from streams.runtime.faust_adapter.name_owner import NameOwner

SESSION_S = 45.0


@dataclass
class Broker:
    """A broker that lists the members of the group, or fails."""

    members: list[Member] = field(default_factory=list)
    error: int | None = None

    def list_members(self) -> list[Member]:
        if self.error is not None:
            raise KafkaException(KafkaError(self.error))
        return self.members


@dataclass
class World:
    """A process with its broker and its clock."""

    instance_id: str | None = None
    broker: Broker = field(default_factory=Broker)
    now: float = 0.0
    folder: ClassVar[Path]

    def __post_init__(self) -> None:
        owner = NameOwner(self.folder, self.instance_id)
        self.membership = Membership(self.broker.list_members, "app", owner, SESSION_S, lambda: self.now)

    async def ask(self, member_id: str = "me") -> tuple[bool, bool, bool]:
        """Ask, and return whether it is a member, whether the membership is over, and whether the broker is away."""
        await self.membership.ask(Member(member_id))
        return self.membership.is_member, self.membership.is_over, self.membership.is_broker_away


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    """Give each test a state folder of its own."""
    World.folder = tmp_path


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
    world.membership = Membership(world.broker.list_members, "app", world.membership.owner, 3.0, lambda: world.now)
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


async def test_a_named_process_that_joins() -> None:
    """While a named process waits for the others of its group, it has no member id yet, but the broker lists its name."""
    world = World("worker-1", broker=Broker([Member("x", "worker-1")]))
    assert await world.ask("") == (True, False, False)
    assert await World("worker-2", broker=world.broker).ask("") == (False, False, False)
    assert await World(None, broker=Broker([Member("x", None)])).ask("") == (False, False, False)


async def test_a_name_belongs_to_one_state_folder(tmp_path: Path) -> None:
    """A process recognises its own predecessor, and waits while another folder's process uses its name. A new folder takes the name over."""
    first = World("worker-1")
    first.membership.check_name()  # nobody uses the name
    first.broker.members = [Member("a", "worker-1")]
    await first.ask("a")
    restarted = World("worker-1", broker=first.broker)
    restarted.membership.check_name()

    World.folder = tmp_path / "other"
    World.folder.mkdir()
    second = World("worker-1", broker=first.broker)
    second.membership.check_name()
    second.broker.members = [Member("b", "worker-1")]
    for _ in range(2):
        assert await second.ask("b") == (True, False, False)
    taken = "uses the name worker-1 in the group app, as its member b.*TAKK_GROUP_INSTANCE_ID"
    with pytest.raises(GroupLeft, match=taken):
        await first.ask("a")
    with pytest.raises(GroupLeft, match=taken):
        await first.membership.check_rejoin("a")
    with pytest.raises(NameInUse, match="uses the name worker-1"):
        restarted.membership.check_name()
    first.broker.members = []
    restarted.membership.check_name()


async def test_a_process_that_lost_its_session_rejoins() -> None:
    """A process may join again under its name if the broker lists nobody there, or the process itself, or refuses to say."""
    world = World("worker-1")
    await world.membership.check_rejoin("a")
    world.broker.members = [Member("a", "worker-1"), Member("b", "worker-2")]
    await world.membership.check_rejoin("a")
    world.broker.error = KafkaError.GROUP_AUTHORIZATION_FAILED
    await world.membership.check_rejoin("b")
    await World(None, broker=Broker([Member("b", None)])).membership.check_rejoin("a")


def test_a_process_that_ends_before_it_joined_has_not_taken_the_name(tmp_path: Path) -> None:
    """With a new disk, the next start takes the name over as well, also while the broker still lists the predecessor."""
    broker = Broker([Member("a", "worker-1")])
    World("worker-1", broker=broker).membership.check_name()
    World("worker-1", broker=broker).membership.check_name()
    assert list(tmp_path.iterdir()) == []


async def test_a_name_that_was_taken_over_within_its_session() -> None:
    """A process with a new disk, and its successors, stay members although their predecessor's session has not ended."""
    broker = Broker([Member("first", "worker-1")])
    for life in ("second", "third", "fourth"):
        world = World("worker-1", broker=broker)
        world.membership.check_name()
        broker.members = [Member(life, "worker-1")]
        for _ in range(2):
            assert await world.ask(life) == (True, False, False)
    broker.members = [Member("another", "worker-1")]
    with pytest.raises(NameInUse):
        World("worker-1", broker=broker).membership.check_name()


async def test_a_full_disk_does_not_end_a_member(tmp_path: Path) -> None:
    """A name that cannot be kept is logged once, and an empty file counts as a new folder."""
    (tmp_path / "name-owner").write_text("")
    world = World("worker-1", broker=Broker([Member("me", "worker-1")]))
    world.membership.check_name()
    (tmp_path / "name-owner.new").mkdir()  # the file cannot be written
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert await world.ask() == (True, False, False)
    assert [line["event"] for line in lines] == ["the owner of the name is not kept"]


@pytest.mark.parametrize(
    ("error", "is_raised"), [(KafkaError._TRANSPORT, True), (KafkaError.GROUP_AUTHORIZATION_FAILED, False)]
)
def test_a_name_is_not_checked_without_permission(error: int, is_raised: bool) -> None:
    """A process without the right to describe its group starts; a broker that is away is waited for."""
    membership = World("worker-1", broker=Broker(error=error)).membership
    with pytest.raises(KafkaException) if is_raised else nullcontext():
        membership.check_name()
