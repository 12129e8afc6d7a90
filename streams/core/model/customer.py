"""Everything that Takk knows of one customer: frozen, bounded, and small enough to be written at every event.

`gc=False`: what is frozen and made of values cannot hold itself, so the collector of cycles need not follow it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from streams.core.model.events import OrderLine
from streams.core.model.flow import DAY_STEP, LOOK_STEP

#: The outcome of a mail that a customer did not get, to measure what mails do.
HELD_OUT = "held_out"
#: When a series ends of which no end is known.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
#: The year of a birthday whose year is unknown: a leap year, so that it may be 29 February.
NO_YEAR = 1604


class Profile(Struct, frozen=True, gc=False, array_like=True):
    """Who the customer is, as the newest fact said; `at` is the time of that fact. `gender` is the customer's own word."""

    email: str = ""
    name: str = ""
    locale: str = ""
    country: str = ""
    time_zone: str | None = None
    at: datetime | None = None
    birthday: date | None = None
    gender: str = ""


class Answer(Struct, frozen=True, gc=False, array_like=True):
    """What the customer said to the question for one purpose, and the evidence: when, where they lived, and by which notice."""

    purpose: str
    is_yes: bool
    at: datetime
    country: str = ""
    notice: str = ""


class Consent(Struct, frozen=True, gc=False, array_like=True):
    """What the customer allows. `unsubscribed` holds scopes, sorted; an unsubscription is never undone by a profile.

    `answers` are those to a purpose of their own, sorted; `notice` is the newest notice that the customer was shown at all. New
    fields go to the end, with a default (see `Customer`).
    """

    marketing: bool | None = None
    marketing_at: datetime | None = None
    tracking: bool | None = None
    tracking_at: datetime | None = None
    unsubscribed: tuple[str, ...] = ()
    hard_bounced: bool = False
    complained: bool = False
    soft_bounces: int = 0
    marketing_country: str = ""
    marketing_notice: str = ""
    answers: tuple[Answer, ...] = ()
    notice: str = ""
    notice_at: datetime | None = None

    def is_unsubscribed(self, purpose: str = "marketing") -> bool:
        """Whether the customer wants no mail of `purpose`: none of it, or none that is not owed."""
        return "marketing" in self.unsubscribed or purpose in self.unsubscribed

    def answer(self, purpose: str) -> Answer | None:
        """What the customer said to the question for `purpose`, if they were asked."""
        for answer in self.answers:
            if answer.purpose == purpose:
                return answer
        return None


class OrderFacts(Struct, frozen=True, gc=False, array_like=True):
    """An order as the shop last described it; `total_minor` in minor units of `currency`."""

    email: str
    name: str
    locale: str
    country: str
    ship_country: str
    currency: str
    total_minor: int
    placed_at: datetime
    time_zone: str | None
    lines: tuple[OrderLine, ...]
    discount_minor: int = 0


class Parcel(Struct, frozen=True, gc=False, array_like=True):
    """A parcel: its newest description, and when it first reached each status."""

    parcel_id: str
    status: str
    at: datetime
    carrier: str
    tracking_number: str
    tracking_url: str
    window_from: datetime | None
    window_to: datetime | None
    lines: tuple[tuple[str, int], ...]
    reached: tuple[tuple[str, datetime], ...]

    def has(self, status: str) -> bool:
        """Whether the parcel ever reached `status`."""
        return status in [name for name, _ in self.reached]


class OrderState(Struct, frozen=True, gc=False, array_like=True):
    """An order and what became of it. `facts` is None while only its parcels have been heard of.

    `converted_minor` is the total in the shop's currency (0 if the rate is not known).
    """

    order_id: str
    facts: OrderFacts | None = None
    facts_at: datetime | None = None
    placed: bool = False
    cancelled_at: datetime | None = None
    refunded_at: datetime | None = None
    converted_minor: int = 0
    parcels: tuple[Parcel, ...] = ()
    parcels_in_order: int = 0
    parcels_at: datetime | None = None
    attributed_to: str | None = None
    paid_at: datetime | None = None

    def is_delivered(self) -> bool:
        """Whether the last parcel of the order has been delivered."""
        if not self.parcels or len(self.parcels) < self.parcels_in_order:
            return False
        return sum(parcel.has("delivered") for parcel in self.parcels) >= self.parcels_in_order

    def all_parcels(self, status: str) -> bool:
        """Whether every parcel of the order has reached `status`."""
        reached = sum(parcel.has(status) for parcel in self.parcels)
        return bool(self.parcels) and reached >= max(self.parcels_in_order, len(self.parcels))

    def is_late(self, now: datetime, at_most: timedelta) -> bool:
        """Whether a parcel of the order, not delivered and not returned, is delayed or past its promised window.

        Of one that nothing was heard of for `at_most` nobody knows: a carrier that never tells of a delivery silences no shop.
        """
        for parcel in self.parcels:
            window_to = parcel.window_to
            if parcel.status != "delayed" and (window_to is None or window_to > now):
                continue
            if parcel.has("delivered") or parcel.has("returned"):
                continue
            if now < max(parcel.at, window_to or parcel.at) + at_most:
                return True
        return False

    def parcel(self, parcel_id: str | None) -> Parcel | None:
        """The parcel with this id, if it has been heard of."""
        for parcel in self.parcels:
            if parcel.parcel_id == parcel_id:
                return parcel
        return None


class Sent(Struct, frozen=True, gc=False, array_like=True):
    """A mail that was ordered at `at`, and what came back. `clicked_at` is the newest click of a human.

    The outcome "held_out" stands for a mail that the customer, held out of it, did not get.
    """

    send_id: str
    flow: str
    flow_version: int
    step: str
    message: str
    purpose: str
    order_id: str | None
    at: datetime
    outcome: str | None = None
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None


class Instance(Struct, frozen=True, gc=False, array_like=True):
    """A run of a flow that waits until `due_at` to take the step at path `step`.

    `awaits` is the event or the code that it waits for at that step, "" for none; `wanted_at` when the mail of that step was first due, if it was put
    off since. `about` is what its trigger told, as names and values, and which run it was before a
    migration moved it; `order_id` is "" where no order started it. `reward` is the code of its newest reward, "" if that gave none.
    """

    instance_id: str
    flow: str
    flow_version: int
    order_id: str
    parcel_id: str | None
    step: str
    due_at: datetime
    started_at: datetime
    awaits: str = ""
    wanted_at: datetime | None = None
    about: tuple[tuple[str, str], ...] = ()
    reward: str = ""

    @property
    def has_begun(self) -> bool:
        """Whether it is under way: others wait for the day on which they begin."""
        return self.step not in (DAY_STEP, LOOK_STEP)

    @property
    def is_launch(self) -> bool:
        """Whether it waits for the launch of a product: of the runs that have not begun only those know what they are about."""
        return self.step == DAY_STEP and bool(self.about)


class ExternalContact(Struct, frozen=True, gc=False, array_like=True):
    """What another system, `source`, did at `at`: sent a mail for `purpose`; or, with no purpose, began a series that lasts until `until`
    (None: until it is told that it has ended)."""

    source: str
    at: datetime
    purpose: str
    until: datetime | None = None

    @property
    def is_series(self) -> bool:
        """Whether it is no single mail."""
        return not self.purpose

    def ends(self) -> datetime:
        """When the series is over."""
        return self.until or NEVER


class LastStart(Struct, frozen=True, gc=False, array_like=True):
    """When a flow that may begin again last began: by the mark of what it begins once for."""

    fingerprint: bytes
    at: datetime


class Customer(Struct, frozen=True, gc=False, array_like=True):
    """The state of one customer. New fields go to the end, with a default: the place is the name in the encoded form.

    `spend` is net of cancelled and refunded orders: (currency, minor units), sorted by currency; `spend_converted_minor` is all of it in
    the shop's currency. `discounted` is how many of the purchases had a discount. The `*_marks` are rows of 8-byte marks (see ids.mark),
    the oldest first. `fields` and `lists` are what flows noted, sorted; `segments` those of the segments that flows watch of which the
    customer was a member after the last event, sorted. `pressure` is what other systems do, the newest last.
    `visited_at` is the hour in which the customer last looked at something in the shop.
    """

    customer_id: str
    profile: Profile = Profile()
    consent: Consent = Consent()
    purchases: int = 0
    spend: tuple[tuple[str, int], ...] = ()
    spend_converted_minor: int = 0
    orders: tuple[OrderState, ...] = ()
    forgotten_order_fingerprints: bytes = b""
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    last_order_id: str | None = None
    sends: tuple[Sent, ...] = ()
    last_send_at: datetime | None = None
    instances: tuple[Instance, ...] = ()
    finished_fingerprints: bytes = b""
    seen_fingerprints: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    lists: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    last_starts: tuple[LastStart, ...] = ()
    discounted: int = 0
    contacts: tuple[ExternalContact, ...] = ()
    visited_at: datetime | None = None

    def order(self, order_id: str) -> OrderState | None:
        """The order with this id, if it is remembered."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        return None


def new_customer(customer_id: str) -> Customer:
    """A customer of whom nothing is known but the id."""
    return Customer(customer_id=customer_id)
