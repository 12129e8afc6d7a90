"""Records of products, as librdkafka returns them, and the assortment that follows from them."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streams.agents.global_tables.assortment import AssortmentTable
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.codec import CODEC
from tests.harness.records import AT

DECODER = Decoder(CODEC)
PRODUCTS, POPULARITY = (topics.PRODUCTS, 0), (topics.POPULARITY, 0)


@dataclass
class Message:
    """A record or an end-of-partition event, like librdkafka's."""

    place: tuple[str, int]
    at: int
    name: bytes | None = None
    body: bytes | None = None
    failure: int | None = None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def error(self) -> KafkaError | None:
        return None if self.failure is None else KafkaError(self.failure)


@dataclass
class FakeConsumer:
    """A consumer that reads `log` from its assigned offsets, one record per read, and fails at read number `fails_at`."""

    log: list[Message]
    fails_at: int | None = None
    is_closed: bool = False
    reads: int = 0
    served: defaultdict[int, threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))
    assigned_at: dict[tuple[str, int], int] = field(default_factory=dict)
    assigned: dict[tuple[str, int], int] = field(default_factory=dict)

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(
            topics={name: SimpleNamespace(partitions={0: None}) for name in (topics.PRODUCTS, topics.POPULARITY)}
        )

    def get_watermark_offsets(self, part: Any, timeout: float) -> tuple[int, int]:
        own = [message.at + 1 for message in self.log if message.place == (part.topic, part.partition)]
        return 0, max(own, default=0)

    def assign(self, parts: list[Any]) -> None:
        self.assigned = {(part.topic, part.partition): part.offset for part in parts}
        self.assigned_at = dict(self.assigned)

    def consume(self, most: int, wait: float) -> list[Message]:
        if self.reads == self.fails_at:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        self.reads += 1
        messages = [message for message in self.log if message.at >= self.assigned[message.place]][:1]
        for message in messages:
            self.assigned[message.place] = message.at + 1
            self.served[message.at].set()
        return messages

    def close(self) -> None:
        self.is_closed = True


def product(sku: str, at: int, key: bytes | None = None, **changes: Any) -> Message:
    """Return a record of `products`."""
    record = {"sku": sku, "title": sku, "category": "c", "unit_price_minor": 100, "currency": "DKK", "updated_at": AT}
    return Message(PRODUCTS, at, sku.encode() if key is None else key, CODEC.encode("product", {**record, **changes}))


def view(products: int = 9, popularity: int = 9) -> AssortmentTable:
    """Return a view that is ready at these offsets."""
    return AssortmentTable(DECODER, {PRODUCTS: (0, products), POPULARITY: (0, popularity)})
