"""Records of products, as librdkafka returns them, and the assortment that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError

from streams.agents.global_tables.assortment import AssortmentTable
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.harness.records import AT

CODEC = open_codec()
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


def product(sku: str, at: int, key: bytes | None = None, **changes: Any) -> Message:
    """Return a record of `products`."""
    record = {"sku": sku, "title": sku, "category": "c", "unit_price_minor": 100, "currency": "DKK", "updated_at": AT}
    return Message(PRODUCTS, at, sku.encode() if key is None else key, CODEC.encode("product", {**record, **changes}))


def view(products: int = 9, popularity: int = 9) -> AssortmentTable:
    """Return a view that is ready at these offsets."""
    return AssortmentTable(DECODER, {PRODUCTS: (0, products), POPULARITY: (0, popularity)})
