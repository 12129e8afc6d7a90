"""Reads customers' states from the changelog of the flows agent: the newest record of a key is what is known of the customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.core.model.customer import Customer
from streams.core.model.customer_codec import decode_customer
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import Settings

Progress = Callable[[int, int], None]


def changelog_of(settings: Settings) -> str:
    """The topic behind the flows agent's table of customers."""
    return f"{settings.app_id}-flows-customers-changelog"


def read_customer(settings: Settings, customer_id: str, partition: int, on_progress: Progress) -> Customer | None:
    """One customer, who lies on `partition`; None if nothing is known.

    Raises:
        KafkaException, TimeoutError: as `read_to_the_end`.
        UnknownVersion: the state was written by a newer Takk.
    """
    key, value = customer_id.encode(), None
    for message in read_to_the_end(
        settings.kafka(),
        [changelog_of(settings)],
        group_id=settings.reader_group_id,
        partition=partition,
        on_progress=on_progress,
    ):
        if message.key() == key:
            value = message.value()
    return decode_customer(value) if value is not None else None


def read_customers(settings: Settings, on_progress: Progress) -> Iterator[Customer]:
    """Everybody who is known; their encoded states are held in memory meanwhile. Raises as `read_customer`."""
    newest: dict[bytes, bytes] = {}
    for message in read_to_the_end(
        settings.kafka(), [changelog_of(settings)], group_id=settings.reader_group_id, on_progress=on_progress
    ):
        if message.value() is None:
            newest.pop(message.key(), None)
        else:
            newest[message.key()] = message.value()
    return map(decode_customer, newest.values())
