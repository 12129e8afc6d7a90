"""Events of one customer: immutable, named in the past tense.

Every event names its customer and carries `occurred_at`, the time at which it happened at its source (timezone-aware UTC). That
is not the time at which Takk receives it: events may be late, duplicated and out of order. For `gc=False` see customer.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from streams.core.model.clicks import AgentClass as AgentClass
from streams.core.model.merge_events import AliasReleased as AliasReleased
from streams.core.model.merge_events import CustomerMerged as CustomerMerged
from streams.core.model.merge_events import Forwarded as Forwarded
from streams.core.model.merge_events import HandedOver as HandedOver
from streams.core.model.orders.order import Order as Order
from streams.core.model.orders.order import OrderLine as OrderLine
from streams.core.model.orders.order import ParcelDetails
from streams.core.model.orders.order import ShipmentStatus as ShipmentStatus
from streams.core.model.person_events import CustomerActed as CustomerActed
from streams.core.model.person_events import CustomerErased as CustomerErased
from streams.core.model.person_events import CustomerRequested as CustomerRequested
from streams.core.model.person_events import ProfileUpdated as ProfileUpdated
from streams.core.model.product_events import ProductChanged as ProductChanged

MailOutcome: TypeAlias = Literal["sent", "refused", "expired", "suppressed", "unknown", "deferred"]


class _OrderEvent(Struct, frozen=True, gc=False):
    order: Order
    occurred_at: datetime
    #: The type of the event in ids. It never changes, even if the class is renamed.
    ID_TAG: ClassVar[str]
    #: The event in flow definitions.
    NAME: ClassVar[str]

    @property
    def customer_id(self) -> str:
        return self.order.customer_id

    @property
    def is_imported(self) -> bool:
        return self.order.is_imported


class OrderPlaced(_OrderEvent, frozen=True, gc=False):
    """The customer placed the order."""

    ID_TAG: ClassVar[str] = "OrderPlaced"
    NAME: ClassVar[str] = "order.placed"


class OrderPaid(_OrderEvent, frozen=True, gc=False):
    """The order was paid."""

    ID_TAG: ClassVar[str] = "OrderPaid"
    NAME: ClassVar[str] = "order.paid"


class OrderChanged(_OrderEvent, frozen=True, gc=False):
    """The order was changed; `order` replaces the earlier description."""

    ID_TAG: ClassVar[str] = "OrderChanged"
    NAME: ClassVar[str] = "order.changed"


class OrderCancelled(_OrderEvent, frozen=True, gc=False):
    """The order was cancelled and will not be delivered."""

    ID_TAG: ClassVar[str] = "OrderCancelled"
    NAME: ClassVar[str] = "order.cancelled"


class OrderRefunded(_OrderEvent, frozen=True, gc=False):
    """The shop refunded the order."""

    ID_TAG: ClassVar[str] = "OrderRefunded"
    NAME: ClassVar[str] = "order.refunded"


class ShippedLine(Struct, frozen=True, gc=False):
    """The part of an order line that a parcel contains."""

    sku: str
    quantity: int


class ShipmentUpdated(Struct, frozen=True, gc=False, kw_only=True):
    """A parcel of an order that is shipped in `parcels_in_order` parcels reached `status`. `window_*` is the promised delivery window."""

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
    is_imported: bool = False
    details: ParcelDetails | None = None


class MailDelivered(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient's mail server accepted the email into the mailbox."""

    customer_id: str
    send_id: str
    occurred_at: datetime


class MailOpened(Struct, frozen=True, gc=False, kw_only=True):
    """The tracking pixel of the email was fetched."""

    customer_id: str
    send_id: str
    agent: AgentClass
    occurred_at: datetime
    event_id: str = ""


class MailClicked(Struct, frozen=True, gc=False, kw_only=True):
    """A link of the email was followed."""

    customer_id: str
    send_id: str
    link: str
    agent: AgentClass
    occurred_at: datetime
    event_id: str = ""


class MailBounced(Struct, frozen=True, gc=False, kw_only=True):
    """The email bounced: permanently if `hard`, else temporarily. `reason` is the status code and text."""

    customer_id: str
    send_id: str | None
    hard: bool
    reason: str
    occurred_at: datetime


class MailComplained(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient marked the email, or an unknown one, as spam."""

    customer_id: str
    send_id: str | None
    occurred_at: datetime


class Unsubscribed(Struct, frozen=True, gc=False, kw_only=True):
    """The recipient unsubscribed from `scope`: `marketing` (everything that is not transactional), `review`, `survey` or `service`."""

    customer_id: str
    send_id: str | None
    scope: Literal["marketing", "review", "survey", "service"]
    occurred_at: datetime
    event_id: str = ""


class SurveyAnswered(Struct, frozen=True, gc=False, kw_only=True):
    """The customer answered a survey question, with a text, a number (in thousandths) or both."""

    customer_id: str
    send_id: str | None
    question: str
    answer: str
    occurred_at: datetime
    number_thousandths: int | None = None
    event_id: str = ""


BrowsingKind: TypeAlias = Literal["viewed", "added_to_cart", "removed_from_cart", "cart_emptied"]


class ProductBrowsed(Struct, frozen=True, gc=False, kw_only=True):
    """A known customer viewed a product or changed the cart; `launches_at` is set if the product was not launched yet. `cart_emptied` has no sku."""

    customer_id: str
    kind: BrowsingKind
    sku: str
    occurred_at: datetime
    launches_at: datetime | None = None


class ContactPressed(Struct, frozen=True, gc=False, kw_only=True):
    """Another system, `source`, sent an email for `purpose`, or runs a series until `until` (None: until it reports the end)."""

    customer_id: str
    source: str
    kind: Literal["sent", "running", "ended"]
    purpose: str
    until: datetime | None
    occurred_at: datetime


class MailReported(Struct, frozen=True, gc=False, kw_only=True):
    """The mailer reported the outcome of an email (from the topic `email-events`)."""

    customer_id: str
    send_id: str
    outcome: MailOutcome
    occurred_at: datetime


class CodeGranted(Struct, frozen=True, gc=False, kw_only=True):
    """A pool granted `code` for the reward `reward_id` of an instance at `step`. It is valid until `expires_at` (None: no expiry)."""

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
    """The timer of an instance fired; `step` is the path of the step to execute now."""

    customer_id: str
    timer_id: str
    instance_id: str
    flow: str
    step: str
    due_at: datetime
    occurred_at: datetime


class RetryDue(Struct, frozen=True, gc=False, kw_only=True):
    """An email that the mail server delayed may be retried. `command` is the encoded email command, opaque to the core."""

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
    | CustomerActed
    | CustomerRequested
    | ProfileUpdated
    | CustomerErased
    | CustomerMerged
    | HandedOver
    | Forwarded
    | AliasReleased
    | ProductBrowsed
    | ProductChanged
    | ContactPressed
    | MailReported
    | CodeGranted
    | TimerFired
    | RetryDue
)
