"""The cases: what happens to a customer, day by day, and what must come of it. A table, run on the driver and on a real broker.

Facts are told as records, so that both read the same bytes. Between a timer that runs out and the next fact lies half a day or more:
on a real broker a day is a matter of seconds, and nothing there happens at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.driver import Driver
from tests.harness.events import shop_ruleset

CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
#: Flow, outcome and rule of a decision.
Decision = tuple[str, str, str]


@dataclass(frozen=True)
class CaseEvent:
    """What happens `at` so many days after the case began. `about`: the message whose send an engagement is with."""

    at: float
    topic: str
    values: dict[str, Any]
    about: str = ""

    def record(self, customer: str, now: datetime, sends: dict[str, str]) -> dict[str, Any]:
        """The record that tells it at `now`; `sends`: the send id of each message so far. Ids of orders and parcels are the case's own."""
        values = {"customer_id": customer, "occurred_at": now, **self.values}
        for name in ("order_id", "parcel_id"):
            if name in values:
                values[name] = f"{customer}-{values[name]}"
        if self.topic == topics.ORDERS:
            return records.order(email=f"{customer}@example.org", placed_at=now, **values)
        if self.topic == topics.SHIPMENTS:
            return records.shipment(**{"window_from": None, "window_to": None, **values})
        if self.topic == topics.CUSTOMERS:
            return records.profile(**values)
        return records.engagement(**values, send_id=sends[self.about] if self.about else None)


def order(at: float, order_id: str = "o1", kind: str = "placed", **values: Any) -> CaseEvent:
    """News of an order of 500 kroner."""
    return CaseEvent(at, topics.ORDERS, {"order_id": order_id, "kind": kind, **values})


def parcel(at: float, status: str, parcel_id: str = "p1", parcels: int = 1, order_id: str = "o1") -> CaseEvent:
    """News of a parcel."""
    values = {"status": status, "parcel_id": parcel_id, "parcels_in_order": parcels, "order_id": order_id}
    return CaseEvent(at, topics.SHIPMENTS, values)


def engagement(at: float, kind: str, about: str = "", **values: Any) -> CaseEvent:
    """What was done with the mail `about`, or without one."""
    return CaseEvent(at, topics.ENGAGEMENT, {"kind": kind, **values}, about)


def profile(at: float, **values: Any) -> CaseEvent:
    """The shop's profile of the customer."""
    return CaseEvent(at, topics.CUSTOMERS, values)


@dataclass(frozen=True)
class Case:
    """What happens, and what comes of it.

    Attributes:
        name: of the case, and of its customer.
        says: what the case holds, in a sentence.
        facts: in the order of time.
        mails: flow and message of every mail, in the order in which they are decided.
        against: every decision that is not for a mail.
        ordered: the orders credited to a mail, and the mail's message.
        days: how long the world goes on.
    """

    name: str
    description: str
    facts: tuple[CaseEvent, ...]
    mails: tuple[tuple[str, str], ...]
    not_sent: frozenset[Decision] = frozenset()
    ordered: frozenset[tuple[str, str]] = frozenset()
    days: float = 8.0

    def events_by_time(self) -> Iterator[tuple[float, list[CaseEvent]]]:
        """The facts of each moment, in the order of time."""
        for at in sorted({fact.at for fact in self.facts}):
            yield at, [fact for fact in self.facts if fact.at == at]


CONFIRMED = ("order-confirmation", "confirmation")
SHIPPED = ("shipment-confirmation", "shipped")
FIRST = ("thank-you", "first-time")
RETURNING = ("thank-you", "returning")
VIP = ("thank-you", "vip")
ASKED_FIRST = ("review", "ask-first-time")
ASKED = ("review", "ask")

CASES: tuple[Case, ...] = (
    Case(
        "plain",
        "An order is confirmed, thanked for, announced, and asked about two days after it came.",
        (order(0), parcel(1.5, "shipped"), parcel(2.5, "delivered")),
        (CONFIRMED, FIRST, SHIPPED, ASKED_FIRST),
    ),
    Case(
        "refunded",
        "Who got the money back is not asked for a review, and told so in a decision.",
        (order(0), parcel(1.5, "shipped"), parcel(2.5, "delivered"), order(3.0, kind="refunded")),
        (CONFIRMED, FIRST, SHIPPED),
        frozenset({("review", "exit", "order.refunded")}),
    ),
    Case(
        "cancelled",
        "A cancelled order is not thanked for.",
        (order(0), order(0, kind="cancelled")),
        (CONFIRMED,),
        frozenset({("thank-you", "exit", "order.cancelled")}),
    ),
    Case(
        "split",
        "An order in two parcels is announced twice and asked about once, after the last parcel.",
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
        "An order told three times is one order: one mail of each kind.",
        (order(0), order(0), order(1.5)),
        (CONFIRMED, FIRST),
    ),
    Case(
        "unsubscribed",
        "Who unsubscribed gets what the shop owes and no marketing.",
        (order(0), engagement(0, "unsubscribed", scope="marketing"), order(2.0, "o2")),
        (CONFIRMED, CONFIRMED),
        frozenset({("thank-you", "skip", "unsubscribed")}),
    ),
    Case(
        "no-review",
        "Who unsubscribed from reviews only is thanked and not asked.",
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
        "Who said no to marketing is not thanked.",
        (profile(0, marketing_consent=False), order(0)),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "no_consent")}),
    ),
    Case(
        "german",
        "In Germany a purchase allows thanks, and no request for a review.",
        (order(0, country="DE"), parcel(1.5, "delivered")),
        (CONFIRMED, FIRST),
        frozenset({("review", "skip", "no_own_opt_in")}),
    ),
    Case(
        "german-yes",
        "Who said yes to reviews is asked in Germany too; a yes to marketing would not do.",
        (
            profile(0, marketing_consent=True, review_consent=True, consent_notice="2026-03"),
            order(0, country="DE"),
            parcel(1.5, "delivered"),
        ),
        (CONFIRMED, FIRST, ASKED_FIRST),
    ),
    Case(
        "no-to-reviews",
        "Who said no to reviews, and yes to marketing, is thanked and not asked.",
        (profile(0, marketing_consent=True, review_consent=False), order(0), parcel(1.5, "delivered")),
        (CONFIRMED, FIRST),
        frozenset({("review", "skip", "no_consent")}),
    ),
    Case(
        "elsewhere",
        "In a country without a line of its own a purchase is no consent.",
        (order(0, country="PT"), parcel(1.5, "delivered")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "no_consent"), ("review", "skip", "no_consent")}),
    ),
    Case(
        "moved",
        "Whose profile says another country since the order is under that country's rules.",
        (profile(0.5, country="DE"), order(0, country="DK"), parcel(1.5, "delivered")),
        (CONFIRMED, FIRST),
        frozenset({("review", "skip", "no_own_opt_in")}),
    ),
    Case(
        "bounced",
        "A mailbox that does not exist gets no marketing.",
        (order(0), engagement(0.1, "bounced", "confirmation", hard=True, reason="5.1.1 no such user")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "hard_bounced")}),
    ),
    Case(
        "complained",
        "Who called a mail spam gets no marketing.",
        (order(0), engagement(0.1, "complained", "confirmation")),
        (CONFIRMED,),
        frozenset({("thank-you", "skip", "complained")}),
    ),
    Case(
        "thanked",
        "The first order, the second, and the one that makes a VIP are thanked for in words of their own.",
        (order(0), order(2.0, "o2"), order(4.0, "o3", total_minor=2_000_000)),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING, CONFIRMED, VIP),
    ),
    Case(
        "clicked",
        "An order after a click is credited to the mail; a later one is not.",
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
        "A mail scanner's click earns no credit.",
        (
            order(0),
            engagement(1.5, "clicked", "first-time", link="https://shop.example/", agent="scanner"),
            order(2.0, "o2"),
        ),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING),
    ),
    Case(
        "early-parcel",
        "A parcel that is known before its order is announced when the order comes.",
        (parcel(0, "shipped"), order(0.5)),
        (CONFIRMED, SHIPPED, FIRST),
    ),
    Case(
        "late-news",
        "A parcel that is there already is not announced any more.",
        (order(0), parcel(1.5, "delivered"), parcel(2.0, "shipped")),
        (CONFIRMED, FIRST, ASKED_FIRST),
        frozenset({("shipment-confirmation", "skip", "already_delivered")}),
    ),
    Case(
        "second-review",
        "Who buys again is asked in other words.",
        (order(0), order(1.5, "o2"), parcel(3.0, "delivered", order_id="o2")),
        (CONFIRMED, FIRST, CONFIRMED, RETURNING, ASKED),
    ),
)


class CaseRun:
    """A case on the driver, moment by moment."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.driver = Driver(shop_ruleset())
        self._start = self.driver.now

    def until(self, at: float) -> None:
        """The clock moves on to `at` days after the beginning."""
        self.driver.advance(self._start + timedelta(days=at) - self.driver.now)

    def tell(self, facts: list[CaseEvent]) -> None:
        """The facts become known, as they are read from their topics."""
        now = self.driver.now
        sends = {mail.message: mail.send_id for mail in self.driver.mails()}
        for fact in facts:
            record = fact.record(self.case.name, now, sends)
            value = CODEC.encode(topics.SCHEMA_OF[fact.topic], record)
            at_ms = round(now.timestamp() * 1000)
            self.driver.handle(DECODER.event(fact.topic, self.case.name.encode(), value, at_ms))

    def finish(self) -> CaseRun:
        """All of it."""
        for at, facts in self.case.events_by_time():
            self.until(at)
            self.tell(facts)
        self.until(self.case.days)
        return self

    @property
    def days(self) -> float:
        """Days since the beginning."""
        return (self.driver.now - self._start) / timedelta(days=1)

    @property
    def mails(self) -> list[tuple[str, str]]:
        """Flow and message of each mail so far."""
        return [(mail.flow, mail.message) for mail in self.driver.mails()]

    @property
    def decisions(self) -> list[Decision]:
        """Each decision so far."""
        return self.driver.decisions()

    @property
    def ordered(self) -> set[tuple[str, str]]:
        """The orders credited to a mail so far, with the mail's message."""
        credits = [one for one in self.driver.attributions() if one.kind == "ordered"]
        return {(str(one.order_id).removeprefix(f"{self.case.name}-"), one.message) for one in credits}
