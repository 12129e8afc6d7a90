"""Whether an email may be sent now, by consent, address, holdout, expiry and smart sending. Nothing is logged or sent."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.core.conditions.context import EvalContext
from streams.core.model.customer import Profile
from streams.core.model.instance import Instance
from streams.core.model.orders.order_state import OrderFacts
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Flow, Send
from streams.core.sending import consent, smart_sending
from streams.core.values import local_time
from streams.core.values.buckets import in_share
from streams.core.values.person_names import printable_name


class Sent(Struct, frozen=True, gc=False):
    """The email was commanded; `rule` is the rule that allowed it."""

    rule: str


class Skipped(Struct, frozen=True, gc=False):
    """The email is never sent, because of `rule`."""

    rule: str


class Deferred(Struct, frozen=True, gc=False):
    """The email waits because of `rule`; it has to be decided again at `until` (UTC)."""

    rule: str
    until: datetime


SendOutcome: TypeAlias = Sent | Skipped | Deferred


#: In the data of a trigger: the request of the customer that the email is about, and the address that it goes to if that is not the customer's.
REQUEST_ID, TO_ADDRESS = "request_id", "to_address"


class Recipient(NamedTuple):
    """The recipient of an email: the address ("" if it is unknown), the name, the time zone and the country (ISO 3166-1 alpha-2)."""

    address: str
    name: str
    zone: ZoneInfo
    country: str


class Check(NamedTuple):
    """Whether an email may be sent now, why as a text for people, its recipient, and when it expires (UTC)."""

    outcome: SendOutcome
    text: str
    recipient: Recipient
    not_after: datetime


def check_send(uow: UnitOfWork, flow: Flow, step: Send, instance: Instance, context: EvalContext) -> Check:
    """Return whether the email of `step` may be sent now. The arguments are those of `decide_send`."""
    recipient = _recipient(uow, step, context)
    zone = recipient.zone
    not_after = smart_sending.expires_at(uow, step, instance.wanted_at or uow.now, zone)

    def skip(rule: str, text: str) -> Check:
        return Check(Skipped(rule), text, recipient, not_after)

    decision = consent.decide(uow, step.purpose, context.order)
    if not decision.is_allowed:
        return skip(decision.rule, f"no {step.purpose} email: {decision.rule}; {decision.basis}")
    if not recipient.address:
        return skip("no_address", "the email address is unknown")
    if is_about_test(context) and recipient.address.lower() not in uow.ruleset.test_recipients:
        return skip("test_order", "the order is a test, and the address is not among TAKK_TEST_RECIPIENTS")
    if step.holdout and in_share(step.holdout, "holdout", "send", flow.name, step.path, uow.customer_id):
        return skip("holdout", "held out")
    if uow.now > not_after:
        return skip("expired", "it could not be sent before it expired")
    # An email that had to wait for another rule is no longer one that the customer waits for.
    is_any_hour = (
        step.any_hour and instance.wanted_at is None and consent.allows_any_hour(uow, step.purpose, context.order)
    )
    deferral = smart_sending.check(
        uow, flow, step, instance.instance_id, not_after, zone, recipient.country, is_any_hour=is_any_hour
    )
    if deferral is not None:
        until = local_time.round_up(deferral.until)
        if until > not_after:
            return skip(deferral.rule, f"{deferral.text}; it expires before that ends")
        return Check(Deferred(deferral.rule, until), deferral.text, recipient, not_after)
    if flow.status == "draft":
        return skip("draft", "the flow is a draft")
    return Check(Sent(decision.rule), decision.basis, recipient, not_after)


def may_join(uow: UnitOfWork, step: Send, other: Instance, context: EvalContext, sending: EvalContext) -> bool:
    """Return whether the email of another instance may be sent as that of the instance that sends.

    It must be allowed too, not have expired, and go to the same address. Transactional emails join those of their own order only.

    Args:
        uow: the customer.
        step: the step that sends both.
        other: the other instance.
        context: its order and parcel.
        sending: the order and the parcel of the instance that sends.
    """
    if is_transactional(step.purpose) and context.order_id != sending.order_id:
        return False
    if is_about_test(context) != is_about_test(sending):
        return False
    if not consent.decide(uow, step.purpose, context.order).is_allowed:
        return False
    recipient = _recipient(uow, step, context)
    if recipient.address.lower() != _recipient(uow, step, sending).address.lower():
        return False
    return uow.now <= smart_sending.expires_at(uow, step, other.wanted_at or uow.now, recipient.zone)


def is_about_test(context: EvalContext) -> bool:
    """Return whether the order or the parcel is a test."""
    if context.order is not None and context.order.is_test:
        return True
    details = context.parcel.details if context.parcel is not None else None
    return details is not None and details.is_test


def _recipient(uow: UnitOfWork, step: Send, context: EvalContext) -> Recipient:
    order = context.order
    zone, country = uow.zone_of(order), consent.country_of(uow, order)
    if address := context.data(TO_ADDRESS):
        # A new address that nobody has confirmed may be a stranger's, who must not read the name.
        return Recipient(address, "", zone, country)
    first: Profile | OrderFacts = uow.profile
    second = context.facts or uow.profile
    if is_transactional(step.purpose):
        # A receipt goes to the address of the order, everything else to the customer's present address.
        first, second = second, first
    name = printable_name(first.name) or printable_name(second.name)
    return Recipient(first.email or second.email, name, zone, country)
