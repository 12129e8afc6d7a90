"""Fakes of what the gateway uses: a cluster with its producers, and publishers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from confluent_kafka import KafkaError, KafkaException

from streams.gateway.connections import GatewayRunner
from streams.gateway.context import Gateway
from streams.gateway.encoding import RecordEncoder
from streams.gateway.server import make_app
from streams.mail.tokens import LinkKeys
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.settings import Settings
from streams.wire.codec import open_codec
from streams.wire.topics import SCHEMA_OF

SECRET = "0c1f5e6b7a8d9e0f1a2b3c4d5e6f7081"
NOW = datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)


@dataclass
class FakeCluster:
    """A cluster that is there or away, and the records on its topics. Its producers are `FakeClient`s.

    Attributes:
        is_away: whether records get no answer.
        fails_with: the error of each record; None for none.
        refused: values that the broker refuses for good.
        written: the records in their order.
        answers: whether what is written is acknowledged.
        clients: all producers so far.
    """

    is_away: bool = False
    fails_with: int | None = None
    refused: set[bytes | None] = field(default_factory=set)
    written: list[ProducerRecord] = field(default_factory=list)
    answers: bool = True
    clients: list[FakeClient] = field(default_factory=list)

    def open(self) -> FakeClient:
        """Return a producer."""
        self.clients.append(FakeClient(self))
        return self.clients[-1]

    @property
    def values(self) -> list[bytes | None]:
        """The values on the topics."""
        return [record.value for record in self.written]


class _Message:
    def __init__(self, topic: str) -> None:
        self._topic = topic

    def topic(self) -> str:
        return self._topic


class FakeClient:
    """A producer whose records stay in its queue while the cluster is away."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._queue: list[tuple[ProducerRecord, Callable[[Any, Any], None]]] = []
        self.most = 1_000_000
        self.is_ended = False

    def produce(
        self, topic: str, value: bytes | None, key: bytes, headers: Any, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        """Queue a record."""
        if len(self._queue) >= self.most:
            raise BufferError
        self._queue.append((ProducerRecord(topic, key, value, headers), on_delivery))

    def poll(self, wait_s: float) -> int:
        """Write what is queued, and report it."""
        cluster = self._cluster
        if cluster.is_away:
            return 0
        queue, self._queue = self._queue, []
        for record, report in queue:
            if cluster.fails_with is not None:
                report(KafkaError(cluster.fails_with), _Message(record.topic))
            elif record.value in cluster.refused:
                report(KafkaError(KafkaError.INVALID_RECORD), _Message(record.topic))
            else:
                cluster.written.append(record)
                if cluster.answers:
                    report(None, _Message(record.topic))
        return len(queue)

    def list_topics(self, timeout: float) -> None:
        """Answer a probe."""
        if self._cluster.is_away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def purge(self, **how: bool) -> None:
        """Drop what is queued."""
        self._queue.clear()

    def close(self) -> None:
        """End."""
        self.is_ended = True


class ListPublisher:
    """A publisher that keeps the records, or raises an error."""

    def __init__(self) -> None:
        self.records: list[ProducerRecord] = []
        self.error: Exception | None = None

    async def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Keep the records."""
        if self.error is not None:
            raise self.error
        self.records += records


class ReadMessage:
    """A record as a consumer reads it."""

    def __init__(self, record: ProducerRecord) -> None:
        self._record = record

    def value(self) -> bytes | None:
        """Return the value."""
        return self._record.value

    def headers(self) -> Any:
        """Return the headers."""
        return self._record.headers


def read_back(records: Sequence[ProducerRecord]) -> dict[str, list[ReadMessage]]:
    """Return published records as a consumer reads them, by topic."""
    found: dict[str, list[ReadMessage]] = {topic: [] for topic in SCHEMA_OF}
    for record in records:
        found[record.topic].append(ReadMessage(record))
    return found


def with_other_id(record: ProducerRecord) -> ProducerRecord:
    """Return a record with another id."""
    headers = [(name, value + b"-2" if name == "ce_id" else value) for name, value in record.headers]
    return ProducerRecord(record.topic, record.key, record.value, headers)


class NoPages:
    """Customer pages of nobody."""

    def get(self, customer_id: str) -> None:
        """Return None."""


class NoProducts:
    """An unknown catalogue."""

    def get(self, sku: str) -> None:
        """Return None."""


class GatewayServer(TestServer):
    """A server that runs the application as the process of a gateway does."""

    async def _make_runner(self, **options: Any) -> GatewayRunner:
        return GatewayRunner(self.app, **options)


class FakeGateway:
    """The application of a gateway on a port of this machine, with a publisher that keeps the records.

    Args:
        settings: more settings.

    Attributes:
        keys: seal links.
        publisher: has the records.
        now: the clock, UTC; tests set it.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(mail_secret=SECRET, **settings)
        self.keys = LinkKeys(self.settings.shop_id, SECRET.encode())
        self.publisher = ListPublisher()
        self.now = NOW
        self.clock = 0.0
        self.codec = open_codec()
        encoder = RecordEncoder(self.codec)
        self.context = Gateway(
            self.settings, self.keys, self.publisher, encoder, NoPages(), NoProducts(), lambda: self.now
        )

    def link(self, use: Any, target: str = "", customer_id: str = "c-1", send_id: str = "s-1", **of: Any) -> str:
        """Return the path of a link."""
        return f"/{use}/{self.keys.seal(use, customer_id, send_id, target, of.get('issued_at', self.now))}"

    def sent(self) -> list[Mapping[str, Any]]:
        """Return the decoded records that were published."""
        return [self.codec.decode(SCHEMA_OF[record.topic], record.value or b"") for record in self.publisher.records]

    @asynccontextmanager
    async def client(self, **more: Any) -> AsyncIterator[Any]:
        """Serve, and return a client of the server."""
        app = make_app(self.context, clock=lambda: self.clock, **more)
        async with TestClient(GatewayServer(app)) as client:
            yield client
