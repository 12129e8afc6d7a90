"""Requests for the members of a group, and a broker's answers as bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.coordination import FindCoordinatorResponse_v0
from aiokafka.protocol.metadata import MetadataResponse_v1
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.faust_adapter.group_members import GroupMembers, Member, _Described

GROUP = "app"
API_VERSIONS, METADATA, FIND_COORDINATOR, DESCRIBE_GROUPS = 18, 3, 10, 15


@dataclass
class Broker:
    """A broker that answers the four requests of a question."""

    members: list[Member] = field(default_factory=list)
    #: Error codes of the next answers to "who coordinates the group?", and to the question itself.
    coordinator_errors: list[int] = field(default_factory=list)
    group_errors: list[int] = field(default_factory=list)
    newest_version: int = 5
    #: How many questions end with a lost connection.
    losses: int = 0
    #: If it is not None: set when the question has arrived. It has no answer.
    silence: asyncio.Event | None = None
    connections: int = 0
    port: int = 0
    server: Any = None
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and all connections, as a broker does that is lost."""
        self.server.close()
        for writer in list(self.writers):
            writer.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                request = await reader.readexactly(size)
                key, version, correlation = struct.unpack(">hhi", request[:8])
                if key == DESCRIBE_GROUPS and self.silence is not None:
                    self.silence.set()
                    continue
                answer = self._answer(key, version)
                if answer is None:
                    return
                answer = struct.pack(">i", correlation) + answer
                writer.write(struct.pack(">i", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def _answer(self, key: int, version: int) -> bytes | None:
        if key == API_VERSIONS:
            versions = [(METADATA, 0, 1), (FIND_COORDINATOR, 0, 0), (DESCRIBE_GROUPS, 0, self.newest_version)]
            return bytes(ApiVersionResponse_v0(0, versions).encode())
        if key == METADATA:
            return bytes(MetadataResponse_v1([(1, "127.0.0.1", self.port, None)], 1, []).encode())
        if key == FIND_COORDINATOR:
            code = self.coordinator_errors.pop(0) if self.coordinator_errors else 0
            return bytes(FindCoordinatorResponse_v0(code, 1, "127.0.0.1", self.port).encode())
        assert (key, version) == (DESCRIBE_GROUPS, 4)
        if self.losses:
            self.losses -= 1
            return None
        members = [(m.member_id, m.group_instance_id, "client", "/127.0.0.1", b"", b"") for m in self.members]
        code = self.group_errors.pop(0) if self.group_errors else 0
        return bytes(_Described(0, [(code, GROUP, "Stable", "consumer", "faust", members, 0)]).encode())


@dataclass
class World:
    """A broker, and a process that asks it."""

    broker: Broker
    group: GroupMembers

    async def ask(self) -> list[Member]:
        return await asyncio.to_thread(self.group.fetch)

    async def error(self) -> KafkaError:
        with pytest.raises(KafkaException) as error:
            await self.ask()
        return error.value.args[0]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A broker with two members, and a process that asks it."""
    broker = Broker([Member("a", "worker-1"), Member("b")])
    await broker.start()
    group = GroupMembers(GROUP, [f"127.0.0.1:{broker.port}"], {"security_protocol": "PLAINTEXT"}, "worker-1")
    yield World(broker, group)
    await asyncio.to_thread(group.close)
    await broker.stop()


async def test_the_members_with_their_names(world: World) -> None:
    """The answer has the id and the name of each member, and the connections serve the next question."""
    assert await world.ask() == [Member("a", "worker-1"), Member("b")]
    connections = world.broker.connections
    world.broker.members.pop()
    assert await world.ask() == [Member("a", "worker-1")]
    assert world.broker.connections == connections


@pytest.mark.parametrize("codes", [[], [KafkaError.GROUP_ID_NOT_FOUND]])
async def test_a_group_that_does_not_exist_has_no_members(world: World, codes: list[int]) -> None:
    """Newer brokers answer with an error, older ones with an empty group."""
    world.broker.members.clear()
    world.broker.group_errors = codes
    assert await world.ask() == []


async def test_a_broker_lost_while_it_is_asked(world: World) -> None:
    """A lost broker is an error of this question alone: the process lives, and the next question is answered."""
    world.broker.losses = 1
    assert (await world.error()).code() == KafkaError._TRANSPORT
    assert len(await world.ask()) == 2


async def test_a_connection_that_ended_between_two_questions(world: World) -> None:
    """A restarted broker is asked again through a new connection, without an error."""
    assert len(await world.ask()) == 2
    await world.broker.stop()
    await world.broker.start()
    assert len(await world.ask()) == 2


async def test_a_broker_that_is_away(world: World) -> None:
    """The error is one that the caller waits for, as long as the broker is away."""
    await world.broker.stop()
    for _ in range(2):
        assert (await world.error()).code() == KafkaError._TRANSPORT
    await world.broker.start()
    assert len(await world.ask()) == 2


async def test_a_coordinator_that_moves(world: World) -> None:
    """A question is repeated while the group has no coordinator, or another one than was said."""
    world.broker.coordinator_errors = [KafkaError.COORDINATOR_NOT_AVAILABLE]
    world.broker.group_errors = [KafkaError.NOT_COORDINATOR]
    assert len(await world.ask()) == 2


async def test_a_stop_ends_the_question(world: World) -> None:
    """A process that stops does not wait for a silent broker, and asks nothing further."""
    world.broker.silence = asyncio.Event()
    question = asyncio.ensure_future(world.ask())
    await world.broker.silence.wait()
    await asyncio.to_thread(world.group.close)
    with pytest.raises(asyncio.CancelledError):
        await question
    assert (await world.error()).code() == KafkaError._DESTROY


async def test_a_broker_that_refuses_to_say(world: World) -> None:
    """A missing permission is reported at once, under its own code."""
    world.broker.group_errors = [KafkaError.GROUP_AUTHORIZATION_FAILED]
    assert (await world.error()).code() == KafkaError.GROUP_AUTHORIZATION_FAILED


async def test_a_broker_without_names(world: World) -> None:
    """A broker older than Kafka 2.4 cannot list the names."""
    world.broker.newest_version = 3
    assert (await world.error()).code() == KafkaError.UNSUPPORTED_VERSION
