"""The states of customers, read from the changelog of the flows agent. The newest record of a key is the state of the customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.core.model.customer import Customer
from streams.core.model.customer_codec import decode_customer
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.topic_reader import partitions_of, read_newest, read_to_the_end
from streams.runtime.processing.walks import RESERVED
from streams.settings import Settings
from streams.wire import topics

Progress = Callable[[int, int], None]


def changelog_of(settings: Settings) -> str:
    """Return the changelog topic of the flows agent's table of customers."""
    return f"{settings.app_id}-flows-customers-changelog"


def read_customer(settings: Settings, customer_id: str, partition: int, on_progress: Progress) -> Customer | None:
    """Return the state of a customer, stored on `partition`; None if it does not exist.

    Raises:
        KafkaException: the cluster is not reachable, or the topic is missing.
        TimeoutError: the broker does not answer.
        UnknownVersion: a newer version of Takk wrote the state.
    """
    value = read_newest(
        settings.kafka(),
        changelog_of(settings),
        customer_id.encode(),
        group_id=settings.reader_group_id,
        partition=partition,
        on_progress=on_progress,
    )
    return decode_customer(value) if value is not None else None


def find_customer(settings: Settings, customer_id: str, on_progress: Progress) -> Customer | None:
    """Return the state of a customer, on whichever partition it is. The result and the errors are those of `read_customer`."""
    partitions = partitions_of(settings.kafka(), topics.CUSTOMERS, group_id=settings.reader_group_id)
    return read_customer(settings, customer_id, partition_of(customer_id.encode(), partitions), on_progress)


def read_customers(settings: Settings, on_progress: Progress) -> Iterator[Customer]:
    """Return the states of all customers. Their encoded states are in memory meanwhile. Raises the same errors as `read_customer`."""
    newest: dict[bytes, bytes] = {}
    for message in read_to_the_end(
        settings.kafka(), [changelog_of(settings)], group_id=settings.reader_group_id, on_progress=on_progress
    ):
        if message.key().startswith(RESERVED):
            continue
        if message.value() is None:
            newest.pop(message.key(), None)
        else:
            newest[message.key()] = message.value()
    return map(decode_customer, newest.values())
