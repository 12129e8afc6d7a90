"""Orders that the core gives to the outside: frozen, in the imperative.

Each has an id made from what caused it, so that obeying it twice is harmless. `gc=False`: see customer.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.core.model.consent_policy import Purpose
from streams.core.model.customer import OrderState, Parcel

DecisionOutcome: TypeAlias = Literal["send", "skip", "defer", "exit", "draft", "limit", "schedule", "retry"]


class ScheduleTimer(Struct, frozen=True, gc=False, kw_only=True):
    """Wake instance `instance_id` at `due_at` to take the step at path `step`."""

    timer_id: str
    customer_id: str
    instance_id: str
    flow: str
    step: str
    due_at: datetime


class Content(Struct, frozen=True, gc=False):
    """What one email is about. `sending/content.py` makes the data for its templates of it.

    Attributes:
        customer_id, name, locale, country, purchases: the customer, and how many orders they placed.
        greeted_at: the time (UTC) that the greeting suits.
        zone: the customer's time zone.
        order, parcel: the order and the parcel that the email is about, if any.
        reward: the code of the instance's newest reward, "" if there is none.
        products, at_least: how many products the email recommends at most and at least; 0 for none.
        orders: the customer's orders, which decide about the products; empty if it recommends none.
        chosen: the products, if they are chosen before the email is encoded, as a simulation does. Otherwise the mailer chooses.
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


class MailFields(Struct, frozen=True, gc=False, kw_only=True):
    """The fields that an email has in common from the decision to the mailer's command."""

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


class SendMail(MailFields, frozen=True, gc=False, kw_only=True):
    """Render message `message` of `flow` in `locale` with `context` and send it, unless it is later than `not_after`.

    `purpose` "order" is transactional; everything else carries an unsubscribe link and obeys suppression.
    """

    content: Content
    tracking: bool


class ResendMail(Struct, frozen=True, gc=False, kw_only=True):
    """Hand an encoded email command to the mailer again, as attempt number `attempt` (the first was 1)."""

    send_id: str
    customer_id: str
    attempt: int
    command: bytes


class LogDecision(Struct, frozen=True, gc=False, kw_only=True):
    """Why a mail is sent or not: `rule` is the name of the rule that decided, `detail` its words for people, without personal data."""

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
    """Tell neighbours what a customer did with a send, enriched with where the send came from.

    `kind` is an engagement kind, or `ordered` for an order within the attribution window after a click
    (then `revenue_minor` and `currency` are set).
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
    """Honour `code` once for the reward `name`, until `expires_at`. The same step of the same run gives the same code."""

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
    """Give a code of `pool` for the reward `reward_id`, if there is one before `give_up_at`: afterwards nobody waits for it."""

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
    """Nobody waits any longer for the code that was claimed for `reward_id`; if it was granted meanwhile, it goes back to the pool.

    `give_up_at` is that of the claim.
    """

    reward_id: str
    customer_id: str
    pool: str
    give_up_at: datetime
    withdrawn_at: datetime


class EmitSignal(Struct, frozen=True, gc=False, kw_only=True):
    """Tell other systems that a customer came to a step; what is to be done is theirs."""

    signal_id: str
    customer_id: str
    kind: str
    flow: str
    flow_version: int
    instance_id: str
    step: str
    order_id: str | None
    emitted_at: datetime


class WithdrawMail(Struct, frozen=True, gc=False, kw_only=True):
    """Do not send `send_id`, if it has not left yet: `rule` forbids it since it was ordered."""

    withdrawal_id: str
    customer_id: str
    send_id: str
    rule: str
    withdrawn_at: datetime


class CountSales(Struct, frozen=True, gc=False, kw_only=True):
    """Count what was bought, or no longer count it: the fields of `popularity.Change`."""

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
    | SendMail
    | ResendMail
    | LogDecision
    | Attribute
    | IssueReward
    | ClaimCode
    | WithdrawClaim
    | EmitSignal
    | WithdrawMail
    | CountSales
)
