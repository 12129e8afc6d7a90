"""The state of one customer: immutable, bounded, and small enough to be written at every event.

Immutable values cannot form reference cycles, so `gc=False` keeps them out of the garbage collector. `array_like` stores fields
by position: add new fields at the end of a struct, with a default.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from msgspec import Struct

from streams.core.model.clicks import HeldClick
from streams.core.model.consent import Consent
from streams.core.model.gateway_state import NO_GATEWAY, GatewayState
from streams.core.model.instance import Instance, LastStart
from streams.core.model.orders.order import Parcel as Parcel
from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import PurchaseLog
from streams.core.model.traits import NO_TRAITS, Traits
from streams.core.rules.sending_rules import HistoryState

#: The outcome of an email that a customer did not get, so that the effect of emails can be measured.
HELD_OUT = "held_out"
#: The end of a series whose end is unknown.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
#: The year of a birthday whose year is unknown: a leap year, so that it may be 29 February.
NO_YEAR = 1604


def day_text(day: date) -> str:
    """Return a day as the contracts write it: 1984-05-01, or --05-01 without the year."""
    return f"--{day:%m-%d}" if day.year <= NO_YEAR else day.isoformat()


class Profile(Struct, frozen=True, gc=False, array_like=True):
    """The customer's profile.

    Attributes:
        at: the time of the newest event that changed it.
        gender: in the customer's own words.
        stated_country: the country that the shop's newest profile has, while `country` may also come from a newer order.
        traits: what else the shop says, and the customer's wishes and likes.
        birthday_at: when the birthday was stated, or removed if `birthday` is None. None if it never was, or by an older program.
        removed_birthdays: the birthdays that the customer removed, see removed_dates.py.
        birthday_since: since when the same birthday has been stated, UTC; None: since `birthday_at`.
    """

    email: str = ""
    name: str = ""
    locale: str = ""
    country: str = ""
    time_zone: str | None = None
    at: datetime | None = None
    birthday: date | None = None
    gender: str = ""
    stated_country: str = ""
    traits: Traits = NO_TRAITS
    birthday_at: datetime | None = None
    removed_birthdays: bytes = b""
    birthday_since: datetime | None = None


class Sent(Struct, frozen=True, gc=False, array_like=True):
    """An email that was decided at `at`, with its outcome and engagement.

    Attributes:
        outcome: the mailer's newest report, or "held_out" for an email that the customer did not get so that its effect can be
            measured. None before the first report.
        clicked_at: the newest click of a human.
        address: the keyed hash of the recipient's address (see `values.addresses`), empty if there is no key.
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
    address: bytes = b""


class ExternalContact(Struct, frozen=True, gc=False, array_like=True):
    """An email of another system, or a series of them.

    Attributes:
        source: the other system.
        at: when it sent the email or started the series.
        purpose: the purpose of the email, "" for a series.
        until: the end of a series, or None until the system reports the end.
    """

    source: str
    at: datetime
    purpose: str
    until: datetime | None = None

    @property
    def is_series(self) -> bool:
        """Whether this is a series rather than a single email."""
        return not self.purpose

    @property
    def ends_at(self) -> datetime:
        """The time at which the series ends; `NEVER` if it is unknown."""
        return self.until or NEVER


class History(Struct, frozen=True, gc=False, array_like=True):
    """The orders of a customer before the first record that Takk has.

    Attributes:
        state: `complete` if the counts include every earlier order, `partial` if there may be more, `unknown` if nobody has said it.
        at: when the shop said it, UTC.
        orders: the earlier orders.
        spend_minor: their sum, in minor units of the shop's currency.
    """

    state: HistoryState = "unknown"
    at: datetime | None = None
    orders: int = 0
    spend_minor: int = 0


class Viewed(Struct, frozen=True, gc=False, array_like=True):
    """A product that the customer viewed or put into the cart, and when they last did (UTC)."""

    sku: str
    at: datetime


class Merge(Struct, frozen=True, gc=False, array_like=True):
    """The merges of a customer with other customer ids of the same person (see `handlers/merges.py`).

    Attributes:
        into: the customer that this one was merged into, "" for none. With it the state holds nothing else: the id is an alias.
        at: when that merge occurred, UTC.
        ids: the customers that were merged into this one, directly or through others, the oldest first.
        handovers: a row of fingerprints of the hand-overs that were merged, the oldest first.
    """

    into: str = ""
    at: datetime | None = None
    ids: tuple[str, ...] = ()
    handovers: bytes = b""


class Customer(Struct, frozen=True, gc=False, array_like=True):
    """The state of one customer.

    Attributes:
        spend: net of cancelled and refunded orders, as (currency, minor units), sorted by currency.
        spend_converted_minor: all spend in minor units of the shop's currency.
        discounted: the number of purchases with a discount.
        forgotten_order_fingerprints: orders that are no longer stored, and what happened to them. Like the other two `*_fingerprints`
            this is a row of 8-byte hashes, the oldest first (see `values.fingerprints`).
        finished_fingerprints: instances that have ended.
        seen_fingerprints: events that have been processed.
        fields: the values that flows set, and amounts that expire, sorted by name (see `model/fields.py`).
        lists: the lists that the customer is on, sorted.
        segments: the segments that start flows and that the customer belonged to after the last event, sorted. Those that only
            a worker with other templates knows stay.
        contacts: emails and series of other systems, the newest last.
        visited_at: the hour in which the customer last visited the shop.
        order_addresses: the newest addresses of orders, see `handlers/shared_ids.py`.
        shared_until: until when the id counts as shared by several people (UTC), or None.
        noted_address: the hash of the address for which the refusals of `consent` were published.
        forgotten_until: when the newest order that is no longer stored was placed.
        history: what the customer bought before; None if the shop has not said it.
        merge: the customer ids that were merged with this one; None for most customers.
        held_clicks: the newest clicks, of which some may still be held (see `model/clicks.py`); the held ones are the last.
        gateway: what belongs to the pages of the gateway.
        purchase_log: the purchases by time and category; None until a flow asks for a period or a category.
        viewed: the products that the customer viewed last, the newest last; only if an email recommends them.
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
    order_addresses: bytes = b""
    shared_until: datetime | None = None
    noted_address: bytes = b""
    forgotten_until: datetime | None = None
    history: History | None = None
    merge: Merge | None = None
    held_clicks: tuple[HeldClick, ...] = ()
    gateway: GatewayState = NO_GATEWAY
    purchase_log: PurchaseLog | None = None
    viewed: tuple[Viewed, ...] = ()

    @property
    def is_alias(self) -> bool:
        """Whether the customer was merged into another one, who gets all events."""
        return self.merge is not None and bool(self.merge.into)

    def order(self, order_id: str) -> OrderState | None:
        """Return the order with this id, or None if it is not stored."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        return None


def new_customer(customer_id: str) -> Customer:
    """Return the state of a customer before the first event."""
    return Customer(customer_id=customer_id)
