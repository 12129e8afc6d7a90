"""The state of one order with its parcels, as a customer's state stores it. For `array_like` and `gc=False` see customer.py."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from streams.core.model.orders.order import OrderDetails, OrderLine, Parcel


class OrderFacts(Struct, frozen=True, gc=False, array_like=True):
    """An order as the shop last described it; `total_minor` is in minor units of `currency`. `details` are those that the shop gave.

    `more_items`: how many items the order has that are not in `lines`, because the state keeps a limited number.
    """

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
    more_items: int = 0


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
        """Return whether a parcel, neither delivered nor back nor ready for pickup, was held up or is past its promised window.

        A parcel counts as late for `at_most` after its last event or the end of its window. So a carrier that never reports
        deliveries cannot block emails permanently.
        """
        for parcel in self.parcels:
            window_to = parcel.window_to
            is_on_time = window_to is None or window_to > now
            if is_on_time and not any(status in _HELD_UP for status, _ in parcel.reached):
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


def newest_sale(orders: tuple[OrderState, ...]) -> OrderState | None:
    """Return the order with facts that was placed last, or None. Cancelled orders and tests do not count."""
    newest = newest_at = None
    for order in orders:
        facts = order.facts
        if facts is None or not order.placed or order.cancelled_at is not None:
            continue
        if (newest_at is None or facts.placed_at > newest_at) and not order.is_test:
            newest, newest_at = order, facts.placed_at
    return newest
