"""The state of one customer: immutable, bounded, and small enough to be written at every event.

Immutable values cannot form reference cycles, so `gc=False` keeps them out of the garbage collector. `array_like` stores fields
by position: add new fields at the end of a struct, with a default.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from streams.core.model.instance import Instance, LastStart
from streams.core.model.orders import OrderDetails, OrderLine
from streams.core.model.orders import Parcel as Parcel
from streams.core.rules.sending_rules import HistoryState

#: The outcome of an email that a customer did not get, so that the effect of emails can be measured.
HELD_OUT = "held_out"
#: The end of a series whose end is unknown.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
#: The year of a birthday whose year is unknown: a leap year, so that it may be 29 February.
NO_YEAR = 1604


class Profile(Struct, frozen=True, gc=False, array_like=True):
    """The customer's profile.

    Attributes:
        at: the time of the newest event that changed it.
        gender: in the customer's own words.
        stated_country: the country that the shop's newest profile has, while `country` may also come from a newer order.
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


class Answer(Struct, frozen=True, gc=False, array_like=True):
    """The answer to the consent question for one purpose, with the evidence: time, country of residence and notice."""

    purpose: str
    is_yes: bool
    at: datetime
    country: str = ""
    notice: str = ""


class Resubscription(Struct, frozen=True, gc=False, array_like=True):
    """A "yes" with evidence to emails of `purpose`: it counts more than an older unsubscription.

    Attributes:
        purpose: `marketing`, or one with a consent of its own.
        at: when the customer said yes (UTC).
        country: the customer's country of residence.
        notice: the version of the notice that the customer saw.
        source: where the customer said yes, or "".
        wording: the text that the customer agreed to, or "".
    """

    purpose: str
    at: datetime
    country: str = ""
    notice: str = ""
    source: str = ""
    wording: str = ""


class Consent(Struct, frozen=True, gc=False, array_like=True):
    """The customer's consent, and the state of the address.

    Attributes:
        unsubscribed: scopes, sorted. Only a newer "yes" with evidence (`resubscriptions`) counts more.
        soft_bounces: soft bounces since the last delivery.
        answers: the answers to questions for one purpose, sorted by purpose.
        notice: the newest notice that the customer was shown.
        unsubscribed_at: the time of the newest unsubscription from each scope, sorted by scope. Earlier versions did not store it; nothing
            counts more than an unsubscription of unknown time.
        resubscriptions: the newest for each purpose, sorted by purpose.
        bad_address_at: when the shop sent an address of the customer that is not one. None after it sent a valid one.
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
    unsubscribed_at: tuple[tuple[str, datetime], ...] = ()
    resubscriptions: tuple[Resubscription, ...] = ()
    bad_address_at: datetime | None = None

    def is_unsubscribed(self, purpose: str = "marketing") -> bool:
        """Return whether the customer unsubscribed from `purpose`, or from everything that is not transactional, and has not returned."""
        return any(
            scope in self.unsubscribed and self.resubscription(scope, purpose) is None
            for scope in dict.fromkeys(("marketing", purpose))
        )

    def unsubscription_at(self, scope: str) -> datetime | None:
        """Return when the customer last unsubscribed from `scope` (UTC), or None if that is unknown."""
        return dict(self.unsubscribed_at).get(scope)

    def resubscription(self, scope: str, purpose: str) -> Resubscription | None:
        """Return the "yes" that lets emails of `purpose` continue after an unsubscription from `scope`, or None.

        A "yes" to marketing does not undo an unsubscription from one purpose. A "yes" to one purpose lets only that one continue.
        """
        left_at = self.unsubscription_at(scope)
        if left_at is None:
            return None
        later = [yes for yes in self.resubscriptions if yes.purpose in (scope, purpose) and yes.at > left_at]
        return max(later, key=lambda yes: yes.at, default=None)

    def answer(self, purpose: str) -> Answer | None:
        """Return the answer to the question for `purpose`, or None if there is no answer."""
        for answer in self.answers:
            if answer.purpose == purpose:
                return answer
        return None


class OrderFacts(Struct, frozen=True, gc=False, array_like=True):
    """An order as the shop last described it; `total_minor` is in minor units of `currency`. `details` are those that the shop gave."""

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
    details: OrderDetails | None = None


#: Statuses of a parcel that is late whatever its window says.
_HELD_UP = frozenset(("delayed", "exception"))


class OrderState(Struct, frozen=True, gc=False, array_like=True):
    """An order, its status and its parcels.

    Attributes:
        facts: the newest description, or None while only events of its parcels have arrived.
        converted_minor: the total in minor units of the shop's currency, 0 if the exchange rate is unknown.
        parcels_in_order: the number of parcels that the order is shipped in.
        attributed_to: the send id of the email that the order is credited to.
        refunded_at: when it was refunded completely.
        refunded_minor: the refunds so far, in minor units of the order's currency; 0 if the shop gave no amounts.
        partly_refunded_at: when a part of it was refunded first.
        does_not_add_up: whether the lines and amounts of the newest description give another total than the shop.
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
    refunded_minor: int = 0
    partly_refunded_at: datetime | None = None
    does_not_add_up: bool = False

    @property
    def is_test(self) -> bool:
        """Whether the order is a test, which counts nowhere."""
        return self.facts is not None and self.facts.details is not None and self.facts.details.is_test

    @property
    def refund_minor(self) -> int:
        """The refunded amount, in minor units of the order's currency: at most its total, and all of it without a known amount."""
        if self.facts is None:
            return 0
        total = self.facts.total_minor
        if self.refunded_at is not None and not self.refunded_minor:
            return total
        return min(self.refunded_minor, total)

    def all_parcels(self, status: str) -> bool:
        """Return whether every parcel of the order has reached `status`. Cancelled parcels do not count."""
        parcels = [parcel for parcel in self.parcels if not parcel.has("cancelled")]
        expected = self.parcels_in_order - (len(self.parcels) - len(parcels))
        return bool(parcels) and sum(parcel.has(status) for parcel in parcels) >= max(expected, len(parcels))

    def is_open(self, now: datetime, at_most: timedelta) -> bool:
        """Return whether more may happen to the order: it is placed, and not fully delivered, refunded, cancelled, or placed `at_most` ago."""
        if self.facts is None or not self.placed or self.cancelled_at is not None or self.refunded_at is not None:
            return False
        return now - self.facts.placed_at < at_most and not self.all_parcels("delivered")

    def is_late(self, now: datetime, at_most: timedelta) -> bool:
        """Return whether a parcel, neither delivered nor back nor ready for pickup, is held up or past its promised window.

        A parcel counts as late for `at_most` after its last event or the end of its window. So a carrier that never reports
        deliveries cannot block emails permanently.
        """
        for parcel in self.parcels:
            window_to = parcel.window_to
            if parcel.status not in _HELD_UP and (window_to is None or window_to > now):
                continue
            if parcel.has("delivered") or parcel.is_back or parcel.status == "ready_for_pickup":
                continue
            if now < max(parcel.at, window_to or parcel.at) + at_most:
                return True
        return False

    def parcel(self, parcel_id: str | None) -> Parcel | None:
        """Return the parcel with this id, or None if it is unknown."""
        for parcel in self.parcels:
            if parcel.parcel_id == parcel_id:
                return parcel
        return None


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
        fields: the values that flows set, sorted by name.
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

    def order(self, order_id: str) -> OrderState | None:
        """Return the order with this id, or None if it is not stored."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        return None


def new_customer(customer_id: str) -> Customer:
    """Return the state of a customer before the first event."""
    return Customer(customer_id=customer_id)
