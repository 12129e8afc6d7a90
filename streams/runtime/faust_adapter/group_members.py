"""Asks the broker for the members of a consumer group, through aiokafka.

librdkafka 2.14 ends the process if the coordinator's broker is lost while its admin client describes a group (its pull request 5397). A
worker asks every few seconds for as long as it runs, also while brokers restart.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiokafka.errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.kafka.retry import is_transient

#: Seconds in which a live broker answers one request, and for which a question is repeated while the group has no coordinator.
ANSWER_TIMEOUT_S = 5.0
#: Seconds until a question is repeated.
PAUSE_S = 0.5
#: Seconds after which a question ends, whatever it waits for: some requests in a row, each to a broker that does not answer.
QUESTION_LIMIT_S = 30.0
#: Seconds that the connections may take to close.
CLOSE_LIMIT_S = 2.0


class _Described(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 15
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", String("utf-8")),
                ("state", String("utf-8")),
                ("protocol_type", String("utf-8")),
                ("protocol", String("utf-8")),
                (
                    "members",
                    Array(
                        ("member_id", String("utf-8")),
                        ("group_instance_id", String("utf-8")),
                        ("client_id", String("utf-8")),
                        ("client_host", String("utf-8")),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _Describe(RequestStruct):  # type: ignore[misc]
    """Version 4, of Kafka 2.4: the first with the names of members. aiokafka has none later than 3."""

    API_KEY = 15
    API_VERSION = 4
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _DescribeGroup(Request[_Describe]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group_id: str) -> None:
        self._group_id = group_id

    def build(self, request_struct_class: type[_Describe]) -> _Describe:
        return request_struct_class([self._group_id], False)


@dataclass(frozen=True)
class Member:
    """A member of a group: its id, and its name if it has one."""

    member_id: str
    group_instance_id: str | None = None


class GroupMembers:
    """Asks for the members of one group. Its connections stay open between two questions; they belong to a thread of its own.

    Args:
        group_id: the consumer group.
        servers: the addresses of the brokers, each `host:port`.
        auth: aiokafka's settings of the login and of TLS, as Faust gives them to its consumer.
        client_id: the name of the process in the brokers' logs.
    """

    def __init__(self, group_id: str, servers: Sequence[str], auth: Mapping[str, Any], client_id: str) -> None:
        self._group_id = group_id
        self.settings = {"bootstrap_servers": list(servers), "client_id": client_id, **auth}
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._start = threading.Lock()
        self._questions: set[asyncio.Task[Any]] = set()
        #: Only one question at a time: a failed one closes the connections.
        self._turn = asyncio.Lock()

    def fetch(self) -> list[Member]:
        """Return the members of the group; none if it does not exist. It blocks: call it in a thread.

        Raises:
            KafkaException: the broker does not answer, or refuses to.
        """
        with self._start:
            if self._is_closed:
                raise KafkaException(KafkaError(KafkaError._DESTROY, "the process is stopping"))
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="takk-group", daemon=True).start()
            question = asyncio.run_coroutine_threadsafe(self._ask(), self._loop)
        return question.result()

    def close(self) -> None:
        """End the question that runs, close the connections, and end the thread. It blocks for `CLOSE_LIMIT_S` at most. No new one begins."""
        with self._start:
            self._is_closed, loop, self._loop = True, self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    async def _end(self) -> None:
        # The process would wait for the threads that wait for an answer.
        questions = list(self._questions)
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)
        await self._disconnect()

    async def _ask(self) -> list[Member]:
        question = asyncio.current_task()
        if question is not None:
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
        async with self._turn:
            try:
                async with asyncio.timeout(QUESTION_LIMIT_S):
                    return await self._ask_repeatedly()
            except TimeoutError as error:
                await self._disconnect()
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error

    async def _ask_repeatedly(self) -> list[Member]:
        now = asyncio.get_running_loop().time
        deadline = now() + ANSWER_TIMEOUT_S
        while True:
            is_kept = self._client is not None
            try:
                return await self._ask_once()
            except (aiokafka.errors.KafkaError, NotImplementedError, OSError, TimeoutError) as error:
                reason = _as_kafka_error(error)
                is_answer = isinstance(error, aiokafka.errors.BrokerResponseError)
                if is_answer and not is_transient(reason):
                    raise KafkaException(reason) from error
                # The next question learns the brokers from the settings again: all those known may have new addresses.
                await self._disconnect()
                # aiokafka logs every failed connection. So only connections that have become stale between two questions are replaced at once.
                if now() > deadline or not (is_kept or is_answer):
                    raise KafkaException(reason) from error
            if not is_kept:
                await asyncio.sleep(PAUSE_S)

    async def _ask_once(self) -> list[Member]:
        if self._client is None:
            self._client = AIOKafkaClient(**self.settings, request_timeout_ms=int(ANSWER_TIMEOUT_S * 1000))
            await self._client.bootstrap()
        if not self._client.cluster.brokers():
            raise aiokafka.errors.NodeNotReadyError("the broker does not know the brokers of its cluster yet")
        node = await self._client.coordinator_lookup(CoordinationType.GROUP, self._group_id)
        described = await self._client.send(node, _DescribeGroup(self._group_id))
        (group,) = described.groups
        code, members = group[0], group[5]
        if code == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        if code:
            raise aiokafka.errors.for_code(code)()
        return [Member(member_id, name) for member_id, name, *_ in members]

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await client.close()
            except TimeoutError:
                pass  # the sockets end with their brokers


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped."""
    loop.run_forever()
    loop.close()


def _as_kafka_error(error: Exception) -> KafkaError:
    """Return librdkafka's counterpart of an error of aiokafka, so that callers know one kind of error."""
    if isinstance(error, aiokafka.errors.BrokerResponseError):
        return KafkaError(error.errno, str(error))
    if isinstance(error, aiokafka.errors.IncompatibleBrokerVersion | NotImplementedError):
        return KafkaError(KafkaError.UNSUPPORTED_VERSION, str(error))
    return KafkaError(KafkaError._TRANSPORT, str(error))
