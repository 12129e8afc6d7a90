"""The context that the request handlers of the gateway share. The server makes it once; tests make their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from streams.mail.tokens import LinkKeys
from streams.runtime.kafka.producer_record import ProducerRecord

if TYPE_CHECKING:
    from streams.core.model.customer_page import CustomerPage
    from streams.core.offers.catalogue import Product
    from streams.gateway.encoding import RecordEncoder
    from streams.settings import Settings


class Unavailable(Exception):
    """Neither Kafka nor the spool takes records now. The server answers 503 with Retry-After.

    Attributes:
        retry_after_s: seconds until the sender should try again.
    """

    def __init__(self, retry_after_s: int = 30) -> None:
        super().__init__("neither Kafka nor the spool takes records")
        self.retry_after_s = retry_after_s


class Publisher(Protocol):
    """Publishes records, and returns when they are safe: acknowledged by the broker, or fsynced in the spool."""

    async def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Publish `records` in order.

        Raises:
            Unavailable: they are not safe.
        """


class CustomerPages(Protocol):
    """The newest record of the topic `customer-pages` of each customer."""

    def get(self, customer_id: str) -> CustomerPage | None:
        """Return what pages show of a customer; None: nothing is known (yet)."""


class Products(Protocol):
    """The newest record of the topic `products` of each product."""

    def get(self, sku: str) -> Product | None:
        """Return a product; None: it is unknown (yet)."""


@dataclass(frozen=True)
class Gateway:
    """The needs of the request handlers.

    Attributes:
        settings: of the process.
        keys: open the tokens of links.
        publisher: takes the records.
        encoder: encodes records by topic.
        people: what pages show of a person.
        products: what pages show of a product.
        now: the clock, UTC.
    """

    settings: Settings
    keys: LinkKeys
    publisher: Publisher
    encoder: RecordEncoder
    people: CustomerPages
    products: Products
    now: Callable[[], datetime]


#: The context of an application: `request.app[GATEWAY]`.
GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
