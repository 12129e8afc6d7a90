"""The cases: the events of a customer, day by day, and the expected emails and decisions. They run on the driver and on a real broker.

Events are records, so that both read the same bytes. At least half a day is between a timer and the next event: on a real broker a day
takes seconds, and processing takes time too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from streams.core.model.effects import ClaimCode
from streams.core.offers.product_changes import version_of
from streams.core.rules.ruleset import Ruleset
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.driver import Driver
from tests.harness.events import shop_ruleset

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
#: Flow, outcome and rule of a decision.
Decision = tuple[str, str, str]


@dataclass(frozen=True)
class CaseEvent:
    """An event, `at` days after the start of the case.

    Attributes:
        about: the message whose email an engagement is about.
        is_of_guest: whether the event has the customer id that the customer had as a guest.
    """

    at: float
    topic: str
    values: dict[str, Any]
    about: str = ""
    is_of_guest: bool = False

    def customer(self, name: str) -> str:
        """The customer id of the event. `name` is that of the case's customer."""
        return f"{name}-guest" if self.is_of_guest else name

    def key(self, name: str) -> str:
        """The key of the event's record: a product has its own. `name` is that of the case's customer."""
        return f"{name}-{self.values['sku']}" if self.topic == topics.PRODUCTS else self.customer(name)

    def record(self, customer: str, now: datetime, sends: dict[str, str]) -> dict[str, Any]:
        """The record of the event at `now`. `sends` has the send id of each message so far.

        Orders, parcels and products, and the address of a profile, belong to the case.
        """
        values = {**self.values}
        for name in ("order_id", "parcel_id", "sku"):
            if name in values:
                values[name] = f"{customer}-{values[name]}"
        if self.topic == topics.PRODUCTS:
            return records.product(updated_at=now, **values)
        values = {"customer_id": self.customer(customer), "occurred_at": now, **values}
        if "merged_into" in values:
            values["merged_into"] = customer
        if "email" in values:
            values["email"] = f"{customer}@example.org"
        if self.topic == topics.ORDERS:
            return records.order(email=f"{customer}@example.org", placed_at=now, **values)
        if self.topic == topics.SHIPMENTS:
            return records.shipment(**{"window_from": None, "window_to": None, **values})
        if self.topic == topics.CUSTOMERS:
            return records.profile(**values)
        if self.topic == topics.BROWSING:
            return records.browsing(**values)
        return records.engagement(**values, send_id=sends[self.about] if self.about else None)


def order(at: float, order_id: str = "o1", kind: str = "placed", **values: Any) -> CaseEvent:
    """An event of an order of 500 kroner."""
    return CaseEvent(at, topics.ORDERS, {"order_id": order_id, "kind": kind, **values})


def parcel(
    at: float, status: str, parcel_id: str = "p1", parcels: int = 1, order_id: str = "o1", **values: Any
) -> CaseEvent:
    """An event of a parcel."""
    own = {"status": status, "parcel_id": parcel_id, "parcels_in_order": parcels, "order_id": order_id}
    return CaseEvent(at, topics.SHIPMENTS, {**own, **values})


def engagement(at: float, kind: str, about: str = "", **values: Any) -> CaseEvent:
    """An event of the email `about`, or of no email."""
    return CaseEvent(at, topics.ENGAGEMENT, {"kind": kind, **values}, about)


def profile(at: float, **values: Any) -> CaseEvent:
    """The customer's profile."""
    return CaseEvent(at, topics.CUSTOMERS, values)


def guest(*events: CaseEvent) -> tuple[CaseEvent, ...]:
    """The same events with the customer id of the guest."""
    return tuple(replace(event, is_of_guest=True) for event in events)


def merged(at: float, **values: Any) -> CaseEvent:
    """The merge of the guest into the customer."""
    return replace(profile(at, merged_into="", **values), is_of_guest=True)


@dataclass(frozen=True)
class Case:
    """Events of a customer, and the expected result.

    Attributes:
        name: the name of the case, and the id of its customer.
        description: the rule that the case tests, in a sentence.
        events: the events, in the order of time.
        mails: flow and message of every email, in the order of the decisions.
        not_sent: every decision that sends no email, except that a flow of another case does not apply (`where`).
        ordered: the orders that are attributed to an email, with its message.
        days: the length of the case.
        claims: how many codes of pools the customer claims.
    """

    name: str
    description: str
    events: tuple[CaseEvent, ...]
    mails: tuple[tuple[str, str], ...]
    not_sent: frozenset[Decision] = frozenset()
    ordered: frozenset[tuple[str, str]] = frozenset()
    days: float = 8.0
    claims: int = 0

    def events_by_time(self) -> Iterator[tuple[float, list[CaseEvent]]]:
        """The events of each time, in order."""
        for at in sorted({event.at for event in self.events}):
            yield at, [event for event in self.events if event.at == at]


CONFIRMED = ("order-confirmation", "confirmation")
SHIPPED = ("shipment-confirmation", "shipped")
FIRST = ("thank-you", "first-time")
SUBSCRIBED = ("thank-you", "first-time-subscriber")
RETURNING = ("thank-you", "returning")
VIP = ("thank-you", "vip")
ASKED_FIRST = ("review", "ask-first-time")
ASKED_FOR_REVIEW = ("review", "ask")
#: The decision of each of the two customers of a merge.
MERGED = ("", "note", "merged")

CASES: tuple[Case, ...] = (
    Case(
        "plain",
        "An order has a confirmation, a thank-you email, a shipment confirmation, and a review request two days after the delivery.",
        (order(0), parcel(1.5, "shipped"), parcel(2.5, "delivered")),
        (CONFIRMED, FIRST, SHIPPED, ASKED_FIRST),
    ),
    Case(
        "refunded",
        "After a refund no review is requested; a decision has the reason.",
        (order(0), parcel(1.5, "shipped"), parcel(2.5, "delivered"), order(3.0, kind="refunded")),
        (CONFIRMED, FIRST, SHIPPED),
        frozenset({("review", "exit", "order.refunded")}),
    ),
    Case(
        "cancelled",
        "After a cancellation there is no thank-you email.",
        (order(0), order(0, kind="cancelled")),
        (CONFIRMED,),
        frozenset({("thank-you", "exit", "order.cancelled")}),
    ),
    Case(
        "split",
        "An order in two parcels has two shipment confirmations, and one review request after the last parcel.",
        (
            order(0),
            parcel(1.5, "shipped", "p1", 2),
            parcel(1.5, "shipped", "p2", 2),
            parcel(2.5, "delivered", "p1", 2),
            parcel(5.5, "delivered", "p2", 2),
        ),
        (CONFIRMED, FIRST, SHIPPED, SHIPPED, ASKED_FIRST),
    ),
    Case(
        "duplicate",
        "An order event that arrives three times is one order with one email of each kind.",
        (order(0), order(0), order(1.5)),
        (CONFIRMED, FIRST),
    ),
    Case(
        "unsubscribed",
        "A customer who unsubscribed gets only transactional emails.",
        (order(0), engagement(0, "unsubscribed", scope="marketing"), order(2.0, "o2")),
        (CONFIRMED, CONFIRMED),
        frozenset({("thank-you", "skip", "unsubscribed")}),
    ),
    Case(
        "no-review",
        "A customer who unsubscribed from reviews only gets the thank-you email.",
        (
            order(0),
            engagement(0, "unsubscribed", scope="review"),
            parcel(1.5, "shipped"),
            parcel(1.5, "delivered"),
        ),
        (CONFIRMED, FIRST, SHIPPED),
        frozenset({("review", "skip", "unsubscribed")}),
    ),
    Case(
        "no-consent",
        "A customer who refused marketing gets no thank-you email.",
        (profile(0, marketing_consent=False), order(0)),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "no_consent")}),
    ),
    Case(
        "german",
        "In Germany a purchase allows the thank-you email, but no review request.",
        (order(0, country="DE"), parcel(1.5, "delivered")),
        (CONFIRMED, FIRST),
        frozenset({("review", "skip", "no_own_opt_in")}),
    ),
    Case(
        "german-yes",
        "In Germany a review request needs consent to reviews; consent to marketing is not enough.",
        (
            profile(0, marketing_consent=True, review_consent=True, consent_notice="2026-03"),
            order(0, country="DE"),
            parcel(1.5, "delivered"),
        ),
        (CONFIRMED, SUBSCRIBED, ASKED_FIRST),
    ),
    Case(
        "no-to-reviews",
        "A customer who agreed to marketing and refused reviews gets only the thank-you email.",
        (profile(0, marketing_consent=True, review_consent=False), order(0), parcel(1.5, "delivered")),
        (CONFIRMED, SUBSCRIBED),
        frozenset({("review", "skip", "no_consent")}),
    ),
    Case(
        "elsewhere",
        "In a country without its own line a purchase is not consent.",
        (order(0, country="JP"), parcel(1.5, "delivered")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "no_consent"), ("review", "skip", "no_consent")}),
    ),
    Case(
        "moved",
        "Of the countries of the profile and the order the stricter one decides.",
        (profile(0.5, country="DE"), order(0, country="DK"), parcel(1.5, "delivered")),
        (CONFIRMED, FIRST),
        frozenset({("review", "skip", "no_own_opt_in")}),
    ),
    Case(
        "bounced",
        "After a hard bounce there are no marketing emails.",
        (order(0), engagement(0.1, "bounced", "confirmation", hard=True, reason="5.1.1 no such user")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "hard_bounced")}),
    ),
    Case(
        "complained",
        "After a spam complaint there are no marketing emails.",
        (order(0), engagement(0.1, "complained", "confirmation")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "complained")}),
    ),
    Case(
        "thanked",
        "The first order, the second, and the order that makes a VIP have their own thank-you emails.",
        (
            order(0),
            order(2.0, "o2"),
            order(4.0, "o3", total_minor=2_000_000, lines=[records.line(unit_price_minor=2_000_000)]),
        ),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING, CONFIRMED, VIP),
    ),
    Case(
        "clicked",
        "An order after a click is attributed to the email; a later one is not.",
        (
            order(0),
            engagement(1.5, "clicked", "first-time", link="https://shop.example/", agent="human"),
            order(2.0, "o2"),
            order(6.0, "o3"),
        ),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING, CONFIRMED, RETURNING),
        ordered=frozenset({("o2", "first-time")}),
    ),
    Case(
        "scanned",
        "No order is attributed to the click of a mail scanner.",
        (
            order(0),
            engagement(1.5, "clicked", "first-time", link="https://shop.example/", agent="scanner"),
            order(2.0, "o2"),
        ),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING),
    ),
    Case(
        "early-parcel",
        "A parcel event that arrives before its order is announced with the order.",
        (parcel(0, "shipped"), order(0.5)),
        (CONFIRMED, SHIPPED, FIRST),
    ),
    Case(
        "late-news",
        "A delivered parcel is not announced as shipped.",
        (order(0), parcel(1.5, "delivered"), parcel(2.0, "shipped")),
        (CONFIRMED, FIRST, ASKED_FIRST),
        frozenset({("shipment-confirmation", "skip", "already_delivered")}),
    ),
    Case(
        "second-review",
        "A customer who buys again gets another review request.",
        (order(0), order(1.5, "o2"), parcel(3.0, "delivered", order_id="o2")),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING, ASKED_FOR_REVIEW),
    ),
    Case(
        "merged",
        "The flows of a guest who got an account continue, whichever id the records have, and the next order is not the first.",
        (
            *guest(order(0)),
            merged(0.5),
            *guest(parcel(1.5, "shipped")),
            order(2.0, "o2"),
            parcel(4.0, "delivered"),
        ),
        (CONFIRMED, FIRST, SHIPPED, CONFIRMED, RETURNING, ASKED_FOR_REVIEW),
        frozenset({MERGED}),
    ),
    Case(
        "merged-click",
        "A click on an email to the guest counts for the customer's next order.",
        (
            *guest(order(0)),
            merged(1.5),
            *guest(engagement(2.0, "clicked", "first-time", link="https://shop.example/", agent="human")),
            order(2.5, "o2"),
        ),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING),
        frozenset({MERGED}),
        ordered=frozenset({("o2", "first-time")}),
    ),
    Case(
        "merged-refusal",
        "What the guest refused holds for the customer, and a refusal under the guest's id later too.",
        (
            profile(0, marketing_consent=True),
            *guest(order(0), engagement(0, "unsubscribed", scope="review")),
            merged(0.5),
            parcel(1.5, "delivered"),
            *guest(engagement(2.0, "unsubscribed", scope="marketing")),
            order(2.5, "o2"),
        ),
        (CONFIRMED, SUBSCRIBED, CONFIRMED),
        frozenset({MERGED, ("review", "skip", "unsubscribed"), ("thank-you", "skip", "unsubscribed")}),
    ),
)


class CaseRun:
    """A case on the driver, step by step.

    Args:
        case: the case.
        ruleset: the flows and rules; None for those of the shop.
    """

    def __init__(self, case: Case, ruleset: Ruleset | None = None) -> None:
        self.case = case
        self.driver = Driver(shop_ruleset() if ruleset is None else ruleset)
        self._start = self.driver.now
        self._products = 0

    def advance_to_day(self, at: float) -> None:
        """Advance the clock to `at` days after the start."""
        self.driver.advance(self._start + timedelta(days=at) - self.driver.now)

    def handle(self, events: list[CaseEvent]) -> None:
        """Handle the events, as read from their topics."""
        now = self.driver.now
        sends = {mail.message: mail.send_id for mail in self.driver.mails()}
        for event in events:
            record = event.record(self.case.name, now, sends)
            value = CODEC.encode(topics.SCHEMA_OF[event.topic], record)
            if event.topic == topics.PRODUCTS:
                self._products += 1
                self.driver.change_product(version_of(*DECODER.dated_product(value), self._products))
                continue
            at_ms = round(now.timestamp() * 1000)
            key = event.key(self.case.name).encode()
            self.driver.handle(DECODER.event(event.topic, key, value, at_ms))

    def finish(self) -> CaseRun:
        """Handle all events, and advance to the end."""
        for at, events in self.case.events_by_time():
            self.advance_to_day(at)
            self.handle(events)
        self.advance_to_day(self.case.days)
        return self

    @property
    def days(self) -> float:
        """Days since the start."""
        return (self.driver.now - self._start) / timedelta(days=1)

    @property
    def mails(self) -> list[tuple[str, str]]:
        """Flow and message of each email so far."""
        return [(mail.flow, mail.message) for mail in self.driver.mails()]

    @property
    def decisions(self) -> list[Decision]:
        """The decisions so far."""
        return self.driver.decisions()

    @property
    def not_sent(self) -> set[Decision]:
        """The decisions so far that send no email, without those about flows of other cases."""
        return {each for each in self.decisions if each[1] != "send" and each[2] != "where"}

    @property
    def claims(self) -> int:
        """How many codes of pools the customer has claimed so far."""
        return sum(isinstance(effect, ClaimCode) for effect in self.driver.effects)

    @property
    def ordered(self) -> set[tuple[str, str]]:
        """The orders that are attributed to an email so far, with its message."""
        attributions = [effect for effect in self.driver.attributions() if effect.kind == "ordered"]
        return {(str(effect.order_id).removeprefix(f"{self.case.name}-"), effect.message) for effect in attributions}
