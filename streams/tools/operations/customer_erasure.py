"""`takk forget`: publishes the tombstones that erase customers, after a look at what they erase."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from streams.core.handlers.erasure import refusals_of
from streams.core.model.customer import Customer
from streams.core.values.text import counted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.publishing import publish
from streams.runtime.kafka.topic_reader import partitions_of
from streams.settings import Settings
from streams.tools.operations.customer_states import read_customer
from streams.wire import topics
from streams.wire.validation import parse_id


class Known(Struct, frozen=True, kw_only=True):
    """The data that an erasure removes from the state of a customer. It contains no personal data besides the id.

    Attributes:
        customer_id: the customer.
        orders, waiting: the number of stored orders, and of flow instances that wait.
        unsent: the number of emails that may not have left; they are withdrawn.
        refusals: the scopes of unsubscriptions, which stay.
        merged_into: the customer that this one was merged into, "" for none.
    """

    customer_id: str
    is_known: bool
    orders: int = 0
    waiting: int = 0
    unsent: int = 0
    refusals: tuple[str, ...] = ()
    merged_into: str = ""

    def __str__(self) -> str:
        if not self.is_known:
            return f"{self.customer_id}: no state"
        if self.merged_into:
            return f"{self.customer_id}: an alias of {self.merged_into}"
        parts = [counted(self.orders, "order"), f"{counted(self.waiting, 'flow')} waiting", f"{self.unsent} unsent"]
        kept = f"; stays: unsubscribed from {', '.join(self.refusals)}" if self.refusals else ""
        return f"{self.customer_id}: {', '.join(parts)}{kept}"


def look_up(settings: Settings, customer_ids: Iterable[str], on_progress: Callable[[int, int], None]) -> list[Known]:
    """Return what is known of each customer, and of the other ids of the same person: an erasure is of the person.

    Raises:
        KafkaException: the cluster is not reachable, or the changelog of the customers is missing.
        TimeoutError: the broker does not answer.
        UnknownVersion: a newer version of Takk wrote a state.
    """
    partitions = partitions_of(settings.kafka(), topics.CUSTOMERS, group_id=settings.reader_group_id)
    found: dict[str, Known] = {}
    wanted = list(customer_ids)
    while wanted:
        customer_id = wanted.pop(0)
        if customer_id in found:
            continue
        partition = partition_of(customer_id.encode(), partitions)
        state = read_customer(settings, customer_id, partition, on_progress)
        found[customer_id] = known_of(customer_id, state)
        if state is not None and state.merge is not None:
            wanted += [*([state.merge.into] if state.merge.into else ()), *state.merge.ids]
    return list(found.values())


def known_of(customer_id: str, state: Customer | None) -> Known:
    """Return what an erasure removes from a state, which is None for an unknown customer."""
    if state is None:
        return Known(customer_id=customer_id, is_known=False)
    return Known(
        customer_id=customer_id,
        is_known=True,
        orders=len(state.orders),
        waiting=len(state.instances),
        unsent=sum(sent.outcome in (None, "deferred") for sent in state.sends),
        refusals=refusals_of(state.consent).unsubscribed,
        merged_into=state.merge.into if state.merge is not None else "",
    )


def check_ids(customer_ids: Iterable[str]) -> None:
    """Check that each is a customer id.

    Raises:
        ValidationFailed: one is not.
    """
    for customer_id in customer_ids:
        parse_id({"customer_id": customer_id}, "customer_id")


def forget(settings: Settings, customer_ids: Iterable[str]) -> None:
    """Publish a record without a value for each customer on `customers`, and wait until the broker has it.

    Raises:
        KafkaException, TimeoutError: a record was not accepted.
    """
    kafka = {**settings.kafka(), "partitioner": "murmur2_random"}
    publish(kafka, topics.CUSTOMERS, [(customer_id.encode(), None) for customer_id in customer_ids])
