"""Effects: what the core asks the outside world to do. Immutable, named in the imperative.

The id of an effect is derived from its cause, so that executing the effect twice is harmless. For `gc=False` see customer.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.core.model.address_effects import AddressEventKind as AddressEventKind
from streams.core.model.address_effects import NoteAddress as NoteAddress
from streams.core.model.gateway_effects import ForgetCustomer as ForgetCustomer
from streams.core.model.gateway_effects import ShowCustomer as ShowCustomer
from streams.core.model.mail_effects import EndMail as EndMail
from streams.core.model.mail_effects import ResendMail as ResendMail
from streams.core.model.mail_effects import WithdrawMail as WithdrawMail
from streams.core.model.merge_effects import ForwardEvent as ForwardEvent
from streams.core.model.merge_effects import HandOver as HandOver
from streams.core.model.merge_effects import ReleaseAlias as ReleaseAlias
from streams.core.model.orders.order import Parcel
from streams.core.model.orders.order_state import OrderState
from streams.core.model.product_events import NoteInterest as NoteInterest
from streams.core.model.traits import NO_TRAITS, Traits
from streams.core.rules.consent_policy import Purpose
from streams.core.rules.recommends import USUAL, Recommends

DecisionOutcome: TypeAlias = Literal["send", "skip", "defer", "exit", "draft", "limit", "schedule", "retry", "note"]


class ScheduleTimer(Struct, frozen=True, gc=False, kw_only=True):
    """Fire a timer at `due_at` (UTC) for the step at path `step` of an instance."""

    timer_id: str
    customer_id: str
    instance_id: str
    flow: str
    step: str
    due_at: datetime


class CancelTimers(Struct, frozen=True, gc=False, kw_only=True):
    """Delete all timers of the customer: those of instances and the retries of emails. Timers that are scheduled later stay."""

    cancellation_id: str
    customer_id: str


class Content(Struct, frozen=True, gc=False):
    """The subject of one email. `sending/content.py` turns it into the data for the templates.

    Attributes:
        customer_id, name, locale, country, purchases, traits: the customer, how many orders they placed, and what else the shop says.
            The name is as `printable_name` returns it.
        greeted_at, zone: the time (UTC) that the greeting suits, and the customer's time zone.
        order, parcel: the order and the parcel that the email is about, if any.
        reward, reward_name, reward_ends_at: the code of the instance's newest reward, its name, and its end (ISO 8601), or "".
        placed, spend_minor, currency: the customer's orders and their sum in the shop's currency, those before the first record included.
        fields: the values that flows have stored about the customer.
        event: the data of the event that the flow started with, or last waited for.
        request_id: the request that the email asks to confirm, or "".
        products, at_least: how many products the email recommends at most and at least; 0 for none.
        recommends: where the products come from, and how many categories the email recommends.
        orders: the customer's orders, which decide about the products; empty if it recommends none.
        favourites: the customer's categories with the number of orders, the favourite first; empty until a flow asks for them.
        viewed: the products that the customer viewed, the newest first, if the email recommends them.
        product: the product of the instance, as templates get it; None unless its flow runs per product.
        together: the products of all instances that the email is for, as templates get them; None unless it is sent `together`.
        shop_country, shop_locale: the shop's country (ISO 3166-1 alpha-2) and locale.
        rounds: the number of the round and of all rounds of the repetition that sends the email, or zeros.
        chosen, chosen_categories: the products and the categories, if they are chosen before the email is encoded, as a simulation
            does. Otherwise the mailer chooses.
    """

    customer_id: str
    name: str
    locale: str
    country: str
    purchases: int
    greeted_at: datetime
    zone: ZoneInfo
    order: OrderState | None = None
    parcel: Parcel | None = None
    reward: str = ""
    products: int = 0
    at_least: int = 0
    orders: tuple[OrderState, ...] = ()
    chosen: tuple[dict[str, Any], ...] | None = None
    traits: Traits = NO_TRAITS
    request_id: str = ""
    recommends: Recommends = USUAL
    favourites: tuple[tuple[str, int], ...] = ()
    viewed: tuple[str, ...] = ()
    chosen_categories: tuple[dict[str, Any], ...] | None = None
    product: dict[str, Any] | None = None
    together: tuple[dict[str, Any], ...] | None = None
    reward_name: str = ""
    reward_ends_at: str = ""
    placed: int = 0
    spend_minor: int = 0
    currency: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    event: tuple[tuple[str, str], ...] = ()
    shop_country: str = ""
    shop_locale: str = ""
    rounds: tuple[int, int] = (0, 0)


class MailFields(Struct, frozen=True, gc=False, kw_only=True):
    """The fields that `SendMail` and the mailer's `Command` share.

    Attributes:
        send_id: the id of the email.
        customer_id, instance_id: the customer, and the instance that sends.
        flow, flow_version, step: the flow, and the path of the step that sends.
        message: the name of the message, without its language.
        purpose: the purpose, which decides about consent. Transactional emails are sent regardless of it.
        priority: 0 to 100; the mailer sends higher ones first.
        not_after: when the email expires (UTC).
        to_address, to_name: the recipient.
        locale, time_zone, country: the customer's language, IANA time zone and country (ISO 3166-1 alpha-2).
        order_id: the order that the email is about, if any.
        attach: the document that the email carries, or "".
    """

    send_id: str
    customer_id: str
    instance_id: str
    flow: str
    flow_version: int
    step: str
    message: str
    purpose: Purpose
    priority: int
    not_after: datetime
    to_address: str
    to_name: str
    locale: str
    time_zone: str
    country: str
    order_id: str | None
    attach: str = ""


class SendMail(MailFields, frozen=True, gc=False, kw_only=True):
    """Render a message and send it, unless it has expired.

    Attributes:
        content: the subject of the email.
        tracking: whether opens and clicks may be measured.
    """

    content: Content
    tracking: bool


class LogDecision(Struct, frozen=True, gc=False, kw_only=True):
    """Log why an email is sent or not, or why a flow does something else.

    Attributes:
        outcome: what was decided.
        rule: the name of the rule that decided.
        detail: a text for people, without personal data.
    """

    decision_id: str
    customer_id: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    outcome: DecisionOutcome
    rule: str
    detail: str
    send_id: str | None
    order_id: str | None
    decided_at: datetime


class Attribute(Struct, frozen=True, gc=False, kw_only=True):
    """Publish how a customer engaged with an email, together with the flow that sent it.

    Attributes:
        kind: the kind of engagement, or `ordered` for an order within the attribution window after a click.
        link: the link that was clicked, if any.
        agent: whether a person, a proxy or a scanner acted.
        revenue_minor, currency: the total of the order for `ordered` (ISO 4217, minor units).
    """

    attribution_id: str
    customer_id: str
    kind: str
    send_id: str
    flow: str
    flow_version: int
    step: str
    message: str
    order_id: str | None
    link: str | None
    agent: str
    revenue_minor: int | None
    currency: str | None
    occurred_at: datetime


class IssueReward(Struct, frozen=True, gc=False, kw_only=True):
    """Accept `code` once for the reward `name`, until `expires_at` (UTC).

    The same step of the same instance always gives the same code.
    """

    reward_id: str
    customer_id: str
    name: str
    code: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    issued_at: datetime
    expires_at: datetime


class ClaimCode(Struct, frozen=True, gc=False, kw_only=True):
    """Grant a code of `pool` for the reward `reward_id`, unless none is free before `give_up_at` (UTC)."""

    reward_id: str
    customer_id: str
    pool: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    claimed_at: datetime
    give_up_at: datetime


class WithdrawClaim(Struct, frozen=True, gc=False, kw_only=True):
    """Withdraw the claim of `reward_id`. If its code was already granted, the code returns to the pool.

    `give_up_at` is that of the claim (UTC).
    """

    reward_id: str
    customer_id: str
    pool: str
    give_up_at: datetime
    withdrawn_at: datetime


class EmitSignal(Struct, frozen=True, gc=False, kw_only=True):
    """Publish a signal for other systems: the customer has reached a step. They decide what to do.

    `data` are the values that the flow adds, as texts.
    """

    signal_id: str
    customer_id: str
    kind: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    emitted_at: datetime
    data: dict[str, str] = {}


class CountSales(Struct, frozen=True, gc=False, kw_only=True):
    """Change the sales counts. The fields are those of `popularity.Change`."""

    sales_id: str
    customer_id: str
    week: int
    week_before: int
    gone: tuple[str, ...]
    come: tuple[str, ...]
    is_new: bool
    earlier: tuple[str, ...]


Effect: TypeAlias = (
    ScheduleTimer
    | CancelTimers
    | SendMail
    | ResendMail
    | LogDecision
    | Attribute
    | IssueReward
    | ClaimCode
    | WithdrawClaim
    | EmitSignal
    | WithdrawMail
    | EndMail
    | CountSales
    | NoteAddress
    | HandOver
    | ForwardEvent
    | ReleaseAlias
    | ShowCustomer
    | ForgetCustomer
    | NoteInterest
)
