"""An order and its parcels as the shop and the carrier describe them: what decisions need, and in the details what emails show.

All amounts are in minor units of the order's currency (cents, øre), and all rates in thousandths of a percent. The state stores these
structs except `Order`, so their fields are encoded by position (see customer.py): add fields at the end, with a default.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

ShipmentStatus: TypeAlias = Literal[
    "created",
    "shipped",
    "out_for_delivery",
    "delivered",
    "delayed",
    "returned",
    "in_transit",
    "ready_for_pickup",
    "exception",
    "returned_to_sender",
    "cancelled",
]
LineKind: TypeAlias = Literal["product", "discount", "gift", "fee", "shipping", "gift_card"]
PaymentStatus: TypeAlias = Literal[
    "unknown",
    "pending",
    "authorized",
    "partially_paid",
    "paid",
    "partially_refunded",
    "refunded",
    "failed",
    "voided",
]
#: The kinds of lines that are goods: they are shipped, reviewed and recommended. The others only change the amount.
GOODS: frozenset[str] = frozenset(("product", "gift", "gift_card"))


class LineDetails(Struct, frozen=True, gc=False, array_like=True):
    """The details of a line.

    Attributes:
        variant: the variant as shown to the customer.
        quantity_thousandths, unit: the exact quantity in thousandths of a unit such as kg; None for pieces.
        total_minor: what the customer pays for the line, after its discount and including tax; None if the shop did not say.
        discount_minor: the discount on this line.
        tax_rate, tax_minor: its tax; None if unknown.
        kind: what the line is.
        is_digital: whether nothing is shipped for it.
        image_url, product_url: "" if unknown; the state leaves them out, since the catalogue has them.
    """

    variant: str = ""
    quantity_thousandths: int | None = None
    unit: str = ""
    total_minor: int | None = None
    discount_minor: int = 0
    tax_rate: int | None = None
    tax_minor: int | None = None
    kind: LineKind = "product"
    is_digital: bool = False
    image_url: str = ""
    product_url: str = ""


class Address(Struct, frozen=True, gc=False, array_like=True):
    """A postal address in parts, each of which may be empty; `country` is ISO 3166-1 alpha-2."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str = ""
    phone: str = ""


class PickupPoint(Struct, frozen=True, gc=False, array_like=True):
    """The place where the customer collects an order."""

    name: str = ""
    address: Address | None = None
    opening_hours: str = ""


class ParcelDetails(Struct, frozen=True, gc=False, array_like=True):
    """The details of a parcel's newest status.

    Attributes:
        exception_reason: why the parcel is held up, one of `ExceptionReason`; "" without an exception.
        pickup: where it waits; its name and opening hours, and the address without a recipient.
        code, last_day: the code that opens the box or is shown at the counter, and the last day to collect it (ISO 8601); "" if unknown.
        estimated_day: the day of the estimated delivery (ISO 8601); "" if unknown.
        carrier_status: the status in the carrier's own words.
        is_test: whether it belongs to a test.
    """

    exception_reason: str = ""
    pickup: PickupPoint | None = None
    code: str = ""
    last_day: str = ""
    estimated_day: str = ""
    carrier_status: str = ""
    is_test: bool = False


#: Not a status that a carrier reports: the tracking number or page of a parcel is known.
TRACKED = "tracked"
#: Statuses after which the goods are not with the customer.
_BACK = frozenset(("returned", "returned_to_sender", "cancelled"))


class Parcel(Struct, frozen=True, gc=False, array_like=True):
    """A parcel: its newest description, and in `reached` the time at which it first reached each status."""

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
    details: ParcelDetails | None = None

    @property
    def is_back(self) -> bool:
        """Whether the goods are not with the customer: sent back, undeliverable, or never shipped."""
        return any(name in _BACK for name, _ in self.reached)

    def has(self, status: str) -> bool:
        """Return whether the parcel ever reached `status`; with `tracked`, whether its tracking number or page is known."""
        if status == TRACKED:
            return bool(self.tracking_number or self.tracking_url)
        return status in [name for name, _ in self.reached]


class OrderDiscount(Struct, frozen=True, gc=False, array_like=True):
    """A discount of the whole order, with the code that the customer entered or the name of the campaign."""

    code: str = ""
    title: str = ""
    amount_minor: int = 0


class OrderTax(Struct, frozen=True, gc=False, array_like=True):
    """The tax of one rate; None if the rate is unknown."""

    title: str = ""
    tax_rate: int | None = None
    amount_minor: int = 0


class OrderReturn(Struct, frozen=True, gc=False, array_like=True):
    """Goods that came back, as (sku, quantity); `received_at` is None until the shop has received them."""

    return_id: str = ""
    received_at: datetime | None = None
    lines: tuple[tuple[str, int], ...] = ()


class GiftRecipient(Struct, frozen=True, gc=False, array_like=True):
    """The recipient of a gift, and the greeting of the customer who gives it."""

    name: str = ""
    email: str = ""
    message: str = ""


class OrderDetails(Struct, frozen=True, gc=False, array_like=True):
    """The details of an order.

    Attributes:
        order_number: the number that the customer knows, "" if it is the id.
        shop_id: the shop, if several write to one topic.
        subtotal_minor: the lines after their discounts; None if the shop did not say.
        shipping_minor, shipping_method: the price and the name of the delivery; None if the price is unknown or a line.
        discounts: the discounts of the whole order.
        taxes, tax_minor: the tax per rate, and all tax; None if the shop did not say.
        prices_include_tax: whether prices include tax; otherwise it is added to them.
        paid_minor: what has been paid; None if unknown.
        shop_currency, shop_total_minor: the total in the shop's currency, if the customer paid in another.
        payment_method, payment_status, payment_at: the payment, and when it reached its status (UTC).
        invoice_number, invoiced_at, invoice_note: the number of the shop's own invoice, when it was issued (UTC), and what the law asks it
            to say besides its amounts.
        returns: what came back.
        billing_address, shipping_address, pickup_point: where the invoice and the goods go; None if unknown.
        status_url, return_url, withdrawal_url: pages of the shop; "" if unknown.
        note: the customer's note.
        tags: the shop's tags.
        company, vat_number: the customer's company.
        is_test: whether the order counts nowhere and only the shop's own addresses get its emails.
        is_gift, gift_recipient: whether it is a gift, and for whom.
    """

    order_number: str = ""
    shop_id: str = ""
    subtotal_minor: int | None = None
    shipping_minor: int | None = None
    shipping_method: str = ""
    discounts: tuple[OrderDiscount, ...] = ()
    taxes: tuple[OrderTax, ...] = ()
    tax_minor: int | None = None
    prices_include_tax: bool = True
    paid_minor: int | None = None
    shop_currency: str = ""
    shop_total_minor: int | None = None
    payment_method: str = ""
    payment_status: PaymentStatus = "unknown"
    payment_at: datetime | None = None
    invoice_number: str = ""
    returns: tuple[OrderReturn, ...] = ()
    billing_address: Address | None = None
    shipping_address: Address | None = None
    pickup_point: PickupPoint | None = None
    status_url: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    company: str = ""
    vat_number: str = ""
    is_test: bool = False
    is_gift: bool = False
    gift_recipient: GiftRecipient | None = None
    return_url: str = ""
    withdrawal_url: str = ""
    invoiced_at: datetime | None = None
    invoice_note: str = ""


#: The details of an order that has none.
NO_DETAILS = OrderDetails()
NO_LINE_DETAILS = LineDetails()


class OrderLine(Struct, frozen=True, gc=False, array_like=True):
    """One line of an order; `unit_price_minor` is in minor units (cents, øre) of the order's currency.

    `sku` is "" for a line without one, and `lasts_days` is the number of days that one piece lasts. A line of which the shop says no more
    has no `details`. The state stores this struct, so its fields are encoded by position (see customer.py).
    """

    sku: str
    title: str
    category: str
    quantity: int
    unit_price_minor: int
    lasts_days: int | None = None
    details: LineDetails | None = None

    @property
    def is_goods(self) -> bool:
        """Whether the line is something that the customer gets, not a fee or a discount, and has not been removed."""
        return self.quantity > 0 and (self.details or NO_LINE_DETAILS).kind in GOODS

    @property
    def is_orderable(self) -> bool:
        """Whether the customer can order the line again."""
        return bool(self.sku) and self.is_goods


class Order(Struct, frozen=True, gc=False, kw_only=True):
    """An order as the shop described it at one time.

    `total_minor` is in minor units of `currency` (ISO 4217), after deduction of `discount_minor`. `country` and `ship_country` are ISO
    3166-1 alpha-2 codes, `locale` is a BCP 47 tag (`da`, `en-GB`), and `time_zone` is an IANA name or None. `refunded_minor` is the sum
    of all refunds so far; None if the shop did not say. `has_bad_address`: the shop gave an address that is not one. `is_imported`: the
    order comes from an earlier system, and starts no flow.
    """

    order_id: str
    customer_id: str
    email: str
    name: str
    locale: str
    country: str
    ship_country: str
    currency: str
    total_minor: int
    placed_at: datetime
    lines: tuple[OrderLine, ...]
    time_zone: str | None = None
    discount_minor: int = 0
    refunded_minor: int | None = None
    details: OrderDetails | None = None
    has_bad_address: bool = False
    is_imported: bool = False

    @property
    def is_test(self) -> bool:
        """Whether the order is a test, which counts nowhere."""
        return self.details is not None and self.details.is_test
