"""Facts that have happened to one customer: frozen, in the past tense.

Every event names its customer and carries `occurred_at`, the time at which it happened at its source
(timezone-aware UTC). That is not the time at which Takk learned of it: events may be late, doubled and out of order.
`gc=False`: see customer.py.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

ShipmentStatus: TypeAlias = Literal["created", "shipped", "out_for_delivery", "delivered", "delayed", "returned"]
AgentClass: TypeAlias = Literal["human", "privacy_proxy", "scanner", "unknown"]
MailOutcome: TypeAlias = Literal["sent", "refused", "expired", "suppressed", "unknown", "deferred"]


class OrderLine(Struct, frozen=True, gc=False, array_like=True):
    """One line of an order; `unit_price_minor` is in minor units (cents, øre) of the order's currency, one piece lasts `lasts_days`.

    The state keeps it as it is: its fields are encoded by their places (see customer.Customer).
    """

    sku: str
    title: str
    category: str
    quantity: int
    unit_price_minor: int
    lasts_days: int | None = None


class Order(Struct, frozen=True, gc=False, kw_only=True):
    """An order as the shop knew it at one moment; `total_minor` is in minor units of `currency` (ISO 4217), after `discount_minor` was taken off.

    `country` and `ship_country` are ISO 3166-1 alpha-2, `locale` is BCP 47 (`da`, `en-GB`), `time_zone` an IANA name or None.
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


class _OrderTold(Struct, frozen=True, gc=False):
    order: Order
    occurred_at: datetime
    #: Stands for the kind of event in ids. It never changes, whatever the class is called.
    ID_TAG: ClassVar[str]

    @property
    def customer_id(self) -> str:
        return self.order.customer_id


class OrderPlaced(_OrderTold, frozen=True, gc=False):
    """The customer bought."""

    ID_TAG: ClassVar[str] = "OrderPlaced"


class OrderPaid(_OrderTold, frozen=True, gc=False):
    """The money is there."""

    ID_TAG: ClassVar[str] = "OrderPaid"


class OrderChanged(_OrderTold, frozen=True, gc=False):
    """The order is now as given here; what it was before no longer counts."""

    ID_TAG: ClassVar[str] = "OrderChanged"


class OrderCancelled(_OrderTold, frozen=True, gc=False):
    """The order will not be delivered."""

    ID_TAG: ClassVar[str] = "OrderCancelled"


class OrderRefunded(_OrderTold, frozen=True, gc=False):
    """The shop paid the order back."""

    ID_TAG: ClassVar[str] = "OrderRefunded"


class ShippedLine(Struct, frozen=True, gc=False):
    """What part of an order lies in a parcel."""

    sku: str
    quantity: int


class ShipmentUpdated(Struct, frozen=True, gc=False, kw_only=True):
    """A parcel of an order reached `status`. `parcels_in_order` is how many parcels the order has in all.

    `window_from` and `window_to` are the carrier's promised delivery window, if it promised one.
    """

    customer_id: str
    order_id: str
    parcel_id: str
    parcels_in_order: int
    carrier: str
    tracking_number: str
    tracking_url: str
    status: ShipmentStatus
    window_from: datetime | None
    window_to: datetime | None
    lines: tuple[ShippedLine, ...]
    occurred_at: datetime


class MailDelivered(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient's server says that the mail lies in the mailbox."""

    customer_id: str
    send_id: str
    occurred_at: datetime


class MailOpened(Struct, frozen=True, gc=False, kw_only=True):
    """The mail's pixel was fetched."""

    customer_id: str
    send_id: str
    agent: AgentClass
    occurred_at: datetime


class MailClicked(Struct, frozen=True, gc=False, kw_only=True):
    """A link of the mail was followed."""

    customer_id: str
    send_id: str
    link: str
    agent: AgentClass
    occurred_at: datetime


class MailBounced(Struct, frozen=True, gc=False, kw_only=True):
    """The mail came back: `hard` = the address does not exist; otherwise for the time being. `reason` = status code and words."""

    customer_id: str
    send_id: str
    hard: bool
    reason: str
    occurred_at: datetime


class MailComplained(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient called the mail spam."""

    customer_id: str
    send_id: str
    occurred_at: datetime


class Unsubscribed(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient wants no more mail of `scope`: `marketing` (everything but transactional), `review` or `survey`."""

    customer_id: str
    send_id: str | None
    scope: Literal["marketing", "review", "survey"]
    occurred_at: datetime


class SurveyAnswered(Struct, frozen=True, gc=False, kw_only=True):
    """The customer answered a question."""

    customer_id: str
    send_id: str | None
    question: str
    answer: str
    occurred_at: datetime


class ProfileUpdated(Struct, frozen=True, gc=False, kw_only=True):
    """The shop's newest profile of the customer; None = not known, leaves the older value."""

    customer_id: str
    email: str | None = None
    name: str | None = None
    locale: str | None = None
    country: str | None = None
    time_zone: str | None = None
    marketing_consent: bool | None = None
    tracking_consent: bool | None = None
    birthday: date | None = None
    gender: str | None = None
    review_consent: bool | None = None
    survey_consent: bool | None = None
    profile_consent: bool | None = None
    consent_notice: str | None = None
    occurred_at: datetime


class ProductBrowsed(Struct, frozen=True, gc=False, kw_only=True):
    """A known customer looked at a product, put it into the cart, or took it out.

    `launches_at` is when it comes to the shop, if it was not there yet.
    """

    customer_id: str
    kind: Literal["viewed", "added_to_cart", "removed_from_cart"]
    sku: str
    occurred_at: datetime
    launches_at: datetime | None = None


class ContactPressed(Struct, frozen=True, gc=False, kw_only=True):
    """Another system, `source`, sent the customer a mail for `purpose`, or runs a series until `until` (None: until it has ended)."""

    customer_id: str
    source: str
    kind: Literal["sent", "running", "ended"]
    purpose: str
    until: datetime | None
    occurred_at: datetime


class MailReported(Struct, frozen=True, gc=False, kw_only=True):
    """What the mailer did with a send (from `email-events`)."""

    customer_id: str
    send_id: str
    outcome: MailOutcome
    occurred_at: datetime


class CodeGranted(Struct, frozen=True, gc=False, kw_only=True):
    """A pool gave `code`, good until `expires_at` (None: without end), for the reward `reward_id` of a run that waits at `step`."""

    customer_id: str
    reward_id: str
    pool: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    code: str
    expires_at: datetime | None
    occurred_at: datetime


class TimerFired(Struct, frozen=True, gc=False, kw_only=True):
    """A timer of a flow instance ran out; `step` is the path of the step that is to be taken now."""

    customer_id: str
    timer_id: str
    instance_id: str
    flow: str
    step: str
    due_at: datetime
    occurred_at: datetime


class RetryDue(Struct, frozen=True, gc=False, kw_only=True):
    """A send that the mail server put off may be tried again. `command` is the encoded email command, opaque to the core."""

    customer_id: str
    timer_id: str
    send_id: str
    attempt: int
    purpose: str
    not_after: datetime
    command: bytes
    due_at: datetime
    occurred_at: datetime


OrderEvent: TypeAlias = OrderPlaced | OrderPaid | OrderChanged | OrderCancelled | OrderRefunded
EngagementEvent: TypeAlias = (
    MailDelivered | MailOpened | MailClicked | MailBounced | MailComplained | Unsubscribed | SurveyAnswered
)
Event: TypeAlias = (
    OrderEvent
    | ShipmentUpdated
    | EngagementEvent
    | ProfileUpdated
    | ProductBrowsed
    | ContactPressed
    | MailReported
    | CodeGranted
    | TimerFired
    | RetryDue
)
