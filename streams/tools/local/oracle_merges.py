"""The oracle of merged customers: computes from the input alone what the ids of a person must have together.

It does not repeat the decisions of the flows agent, and it does not depend on when a hand-over met later records. It only reads which ids
the shop merged, and what the shop wrote of the orders under each of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from streams.core.handlers.merging.flows import ALREADY_IN_FLOW
from streams.core.model.customer import Customer
from streams.core.model.customer_codec import decode_customer
from streams.core.model.events import (
    CustomerMerged,
    OrderCancelled,
    OrderEvent,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ShipmentUpdated,
)
from streams.core.model.person_events import CustomerErased
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.values import ids
from streams.runtime.avro.codec import Codec
from streams.runtime.errors import InvalidRecord
from streams.tools.local.verdict import Verdict
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

#: Decisions after which an email need not be sent.
_FINAL = frozenset(("skip", "exit", "limit", "draft"))

#: topic, partition and offset of a record.
_Position: TypeAlias = tuple[str, int, int]


@dataclass
class _OrderStory:
    """The records of one order, under whichever ids."""

    placed: OrderPlaced | None = None
    is_placed_live: bool = False
    described_at: datetime | None = None
    newest: OrderEvent | None = None
    cancelled_at: datetime | None = None
    paid_at: datetime | None = None
    is_refunded: bool = False
    refunded_minor: int = 0

    def add(self, event: OrderEvent) -> None:
        """Add an event."""
        at = event.occurred_at
        if isinstance(event, OrderPlaced):
            self.placed = event
            self.is_placed_live = self.is_placed_live or not (event.order.is_imported or event.order.is_test)
        if self.described_at is None or (at, not isinstance(event, OrderPlaced)) > (
            self.described_at,
            not isinstance(self.newest, OrderPlaced),
        ):
            self.described_at, self.newest = at, event
        if isinstance(event, OrderCancelled):
            self.cancelled_at = max(self.cancelled_at or at, at)
        elif isinstance(event, OrderPaid):
            self.paid_at = max(self.paid_at or at, at)
        elif isinstance(event, OrderRefunded):
            refunded = event.order.refunded_minor
            self.is_refunded = self.is_refunded or refunded is None or refunded >= event.order.total_minor
            self.refunded_minor = max(self.refunded_minor, refunded or 0)

    @property
    def is_cancelled(self) -> bool:
        """Whether the order is cancelled, and was not paid afterwards."""
        return self.cancelled_at is not None and not (self.paid_at is not None and self.paid_at > self.cancelled_at)

    @property
    def spend(self) -> tuple[str, int] | None:
        """The currency and the amount that the customer spent, or None if the order is not a purchase."""
        if self.placed is None or self.newest is None or self.is_cancelled or self.newest.order.is_test:
            return None
        total = self.newest.order.total_minor
        return self.newest.order.currency, 0 if self.is_refunded else max(0, total - self.refunded_minor)


@dataclass
class _Input:
    """The shop's records of each customer id."""

    targets: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    erased: set[str] = field(default_factory=set)
    orders: defaultdict[str, list[OrderEvent]] = field(default_factory=lambda: defaultdict(list))
    shipments: defaultdict[str, list[ShipmentUpdated]] = field(default_factory=lambda: defaultdict(list))


def check_merges(records: Mapping[str, list[Any]], codec: Codec, ruleset: Ruleset, verdict: Verdict) -> None:
    """Check that merged ids are one customer, whose orders count once each, and that each email that depends on an order was sent once.

    Args:
        records: the records of every topic.
        codec: decodes them.
        ruleset: the flows that decided.
        verdict: has the states, and receives the problems.
    """
    found = _read(records, codec)
    if not found.targets:
        return
    commanded, explained = _emails(records, codec)
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    for person, roots in _persons(found, ruleset.limits.merged_ids):
        root = _root_of(person, verdict.states)
        if root is None or root.customer_id not in roots:
            wrong["merged ids that are not one customer"].append(",".join(person))
            continue
        stories: defaultdict[str, _OrderStory] = defaultdict(_OrderStory)
        for customer_id in person:
            for event in found.orders[customer_id]:
                stories[event.order.order_id].add(event)
        if (counted := _totals(stories, root)) is not None:
            wrong["merged customers with wrong totals"].append(f"{root.customer_id} {counted}")
        for flow, key, is_due in _due(person, stories, found, ruleset):
            instances = {ids.instance_id(customer_id, flow, key) for customer_id in person}
            times = len(instances & commanded)
            if times > 1:
                wrong["flows that sent to two ids of a person"].append(f"{flow} {key}")
            elif not times and is_due and not instances & explained:
                wrong["emails that a merge lost"].append(f"{flow} {key}")
    for kind, examples in wrong.items():
        verdict.add_problem(kind, examples)


def _read(records: Mapping[str, list[Any]], codec: Codec) -> _Input:
    """Return what the valid records say. A record under another key than its customer is published again, so the other one counts."""
    found, decoder = _Input(), Decoder(codec)
    letters = [codec.decode("dead_letter", record.value()) for record in records.get(topics.DEAD_LETTERS, ())]
    invalid: set[_Position] = {(each["topic"], each["partition"], each["offset"]) for each in letters}
    for topic in (topics.CUSTOMERS, topics.ORDERS, topics.SHIPMENTS):
        for record in sorted(records.get(topic, ()), key=lambda each: (each.partition(), each.offset())):
            if (topic, record.partition(), record.offset()) in invalid:
                continue
            with suppress(InvalidRecord):
                event = decoder.event(topic, record.key(), record.value(), record.timestamp()[1])
                customer_id = event.customer_id
                if customer_id.encode() != record.key():
                    continue
                if isinstance(event, CustomerMerged):
                    if event.into != customer_id:
                        found.targets[customer_id].append(event.into)
                elif isinstance(event, CustomerErased):
                    found.erased.add(customer_id)
                elif isinstance(event, ShipmentUpdated):
                    found.shipments[customer_id].append(event)
                elif isinstance(event, OrderEvent):
                    found.orders[customer_id].append(event)
    return found


def _persons(found: _Input, most: int) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    """Yield the ids of each person with several ids, and which of them may be the customer's.

    An id keeps its first target. If the first targets lead in a circle, one of these merges is refused, or crosses the others: which one
    depends on the order of the records, so each id of the circle may be the customer's. Left out are persons who were erased, since the
    aliases of an erased customer end, and persons into whom the shop merged such an id again. So are those who have more ids than are
    recognised, and those with a circle of which an id was also merged elsewhere, which may be accepted or refused.
    """
    first = {customer_id: targets[0] for customer_id, targets in found.targets.items()}
    groups: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for start in {*first, *first.values()}:
        path = [start]
        while path[-1] in first and first[path[-1]] not in path:
            path.append(first[path[-1]])
        end = path[-1]
        circle = path[path.index(first[end]) :] if end in first else [end]
        groups[frozenset(circle)].add(start)
    ended = [each for person in groups.values() if person & found.erased for each in person]
    unclear = found.erased.union(*[found.targets.get(each, ()) for each in ended])
    for roots, person in groups.items():
        is_clear = len(roots) == 1 or all(len(set(found.targets[each])) == 1 for each in roots)
        if is_clear and len(person) <= most and not person & unclear:
            yield tuple(sorted(person)), roots


def _root_of(person: tuple[str, ...], states: Mapping[bytes, bytes]) -> Customer | None:
    """Return the customer to whom the aliases of all ids lead, or None if they lead to several, or to none."""
    roots: dict[str, Customer] = {}
    for customer_id in person:
        seen: set[str] = set()
        while customer_id not in seen:
            seen.add(customer_id)
            raw = states.get(customer_id.encode())
            if raw is None:
                return None
            state = decode_customer(raw)
            if state.merge is None or not state.merge.into:
                roots[customer_id] = state
                break
            customer_id = state.merge.into
        else:
            return None
    return next(iter(roots.values())) if len(roots) == 1 else None


def _totals(stories: Mapping[str, _OrderStory], root: Customer) -> str | None:
    """Return how the purchases and the spend differ from those of the orders, or None if they do not."""
    spent = [spend for story in stories.values() if (spend := story.spend) is not None]
    if root.purchases != len(spent):
        return f"has {root.purchases} purchases, not {len(spent)}"
    if root.forgotten_order_fingerprints:
        return None  # a change of an order that is no longer stored changes no amount
    expected: defaultdict[str, int] = defaultdict(int)
    for currency, minor in spent:
        expected[currency] += minor
    if dict(root.spend) != {currency: minor for currency, minor in expected.items() if minor}:
        return f"has spent {root.spend}, not {dict(expected)}"
    return None


def _due(
    person: tuple[str, ...], stories: Mapping[str, _OrderStory], found: _Input, ruleset: Ruleset
) -> Iterator[tuple[str, str, bool]]:
    """Yield each flow and key that may send once to a person, and whether the input requires its email, or a decision against it."""
    parcels: defaultdict[tuple[str, str], list[ShipmentUpdated]] = defaultdict(list)
    for customer_id in person:
        for event in found.shipments[customer_id]:
            parcels[event.order_id, event.parcel_id].append(event)
    for flow in _flows(ruleset):
        on, once_per, requires = flow.trigger.on, flow.trigger.once_per, _is_required(flow)
        for order_id, story in stories.items():
            is_live = story.is_placed_live and not story.is_cancelled
            if once_per == "order":
                yield flow.name, order_id, requires and is_live and on == "order.placed"
        if once_per == "parcel":
            for (order_id, parcel_id), events in parcels.items():
                story = stories.get(order_id, _OrderStory())
                is_live = story.is_placed_live and not story.is_cancelled
                yield flow.name, f"{order_id}/{parcel_id}", requires and is_live and _is_in_time(events, on, story)


def _flows(ruleset: Ruleset) -> Iterator[Flow]:
    """Yield the live flows that start once for each order or parcel."""
    for name in ruleset.by_name:
        compiled = ruleset.newest_flow(name)
        if compiled is not None and compiled.flow.status == "live" and compiled.flow.trigger.again_after is None:
            yield compiled.flow


def _is_required(flow: Flow) -> bool:
    """Return whether every event of the trigger must lead to an email, or to a decision against it."""
    return flow.is_transactional and flow.trigger.where is None


def _is_in_time(events: list[ShipmentUpdated], on: str, story: _OrderStory) -> bool:
    """Return whether a parcel has reached the status of a flow, live, and not gone on before the order was known, under another id."""
    reached = {f"shipment.{event.status}" for event in events}
    owners = {event.customer_id for event in events} | (
        {story.placed.customer_id} if story.placed is not None else set()
    )
    is_live = on in reached and not any(event.is_imported for event in events)
    return is_live and (reached <= {"shipment.created", on} or len(owners) == 1)


def _emails(records: Mapping[str, list[Any]], codec: Codec) -> tuple[set[str], set[str]]:
    """Return the instances that have sent an email, and those with a decision to send none.

    The end of an instance because the person's other id is in the same flow explains nothing: then that other instance must send.
    """

    def decoded(topic: str) -> Iterator[dict[str, Any]]:
        for record in records.get(topic, ()):
            yield codec.decode(topics.SCHEMA_OF[topic], record.value())

    commanded = {command["instance_id"] for command in decoded(topics.COMMANDS)}
    explained = {
        decision["instance_id"]
        for decision in decoded(topics.DECISIONS)
        if decision["outcome"] in _FINAL and decision["rule"] != ALREADY_IN_FLOW
    }
    return commanded, explained
