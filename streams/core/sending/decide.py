"""Decide one email: whether it is sent, skipped or deferred, and what it contains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.core.conditions.context import EvalContext
from streams.core.model import customer
from streams.core.model.customer import HELD_OUT
from streams.core.model.effects import Content, SendMail
from streams.core.model.instance import Instance
from streams.core.model.orders.order_state import OrderFacts
from streams.core.model.traits import NO_TRAITS
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Flow, Send
from streams.core.sending import consent, smart_sending
from streams.core.sending.product_data import product_of, products_of
from streams.core.values import ids, local_time
from streams.core.values.addresses import address_hash
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


class _Recipient(NamedTuple):
    """The recipient of an email: the address ("" if it is unknown), the name, the time zone and the country (ISO 3166-1 alpha-2)."""

    address: str
    name: str
    zone: ZoneInfo
    country: str


def decide_send(
    uow: UnitOfWork,
    flow: Flow,
    step: Send,
    instance: Instance,
    context: EvalContext,
    greeted_at: datetime,
    together: Sequence[EvalContext] = (),
) -> SendOutcome:
    """Command the email of `step`, or log the rule that skips or defers it.

    Args:
        uow: the customer.
        flow: the flow of the step.
        step: the step that sends the email.
        instance: the instance that reached the step. Its `wanted_at` is when it did so first, if the email was deferred before.
        context: the order and the parcel that the email is about.
        greeted_at: the time (UTC) that the greeting suits.
        together: the contexts of the instances that the same email is for.
    """
    order = context.order
    send_id = ids.send_id(instance.instance_id, step.path)
    order_id = order.order_id if order is not None else None

    log = uow.decisions(flow, instance, step.path, order_id=order_id, send_id=send_id)

    def skip(rule: str, text: str) -> Skipped:
        log.skip(rule, text)
        return Skipped(rule)

    decision = consent.decide(uow, step.purpose, order)
    if not decision.is_allowed:
        return skip(decision.rule, f"no {step.purpose} email: {decision.rule}; {decision.basis}")
    recipient = _recipient(uow, step, context)
    if not recipient.address:
        return skip("no_address", "the email address is unknown")
    is_test = is_about_test(context)
    if is_test and recipient.address.lower() not in uow.ruleset.test_recipients:
        return skip("test_order", "the order is a test, and the address is not among TAKK_TEST_RECIPIENTS")
    if step.holdout and in_share(step.holdout, "holdout", "send", flow.name, step.path, uow.customer_id):
        hold_out(uow, flow, instance, step.path, step, order_id)
        return Skipped("holdout")
    zone, country = recipient.zone, recipient.country
    not_after = smart_sending.expires_at(uow, step, instance.wanted_at or uow.now, zone)
    if uow.now > not_after:
        return skip("expired", "it could not be sent before it expired")
    deferral = smart_sending.check(uow, flow, step, instance.instance_id, not_after, zone, country)
    if deferral is not None:
        until = local_time.scale_deadline(uow.now, deferral.until, 1.0)
        if until > not_after:
            return skip(deferral.rule, f"{deferral.text}; it expires before that ends")
        log.defer(deferral.rule, deferral.text, until)
        return Deferred(deferral.rule, until)
    if flow.status == "draft":
        log.draft(f"would have sent {step.message}")
        return Skipped("draft")
    content = _content(uow, flow, step, instance, context, greeted_at, recipient, together)
    uow.effects.append(_command(uow, send_id, flow, step, instance, not_after, recipient, content))
    log.send(decision.rule, f"sends {step.message}; {decision.basis}")
    if not is_test:  # an email of a test counts nowhere
        key = uow.ruleset.address_key
        address = address_hash(key, recipient.address) if key else b""
        _remember(
            uow,
            customer.Sent(
                send_id,
                flow.name,
                flow.version,
                step.path,
                step.message,
                step.purpose,
                order_id,
                uow.now,
                address=address,
            ),
        )
    return Sent(decision.rule)


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


def log_joined(uow: UnitOfWork, flow: Flow, step: Send, other: Instance, instance: Instance) -> None:
    """Log that the email of another instance is sent as that of `instance`."""
    log = uow.decisions(flow, other, step.path, send_id=ids.send_id(other.instance_id, step.path))
    if flow.status == "draft":
        log.draft(f"would have joined the email of instance {instance.instance_id}")
    else:
        log.skip("joined", f"it is part of the email {ids.send_id(instance.instance_id, step.path)}")


def is_about_test(context: EvalContext) -> bool:
    """Return whether the order or the parcel is a test."""
    if context.order is not None and context.order.is_test:
        return True
    details = context.parcel.details if context.parcel is not None else None
    return details is not None and details.is_test


def hold_out(
    uow: UnitOfWork, flow: Flow, instance: Instance, path: str, send: Send | None = None, order_id: str | None = None
) -> None:
    """Log that the customer is held out of an email, a branch or a flow, and remember it.

    Later orders are then attributed to the holdout, so that they can be compared with those after an email.

    Args:
        uow: the customer.
        flow: the flow.
        instance: the instance.
        path: the path of the step that sends or branches, or of the first step.
        send: the step, if the customer is held out of one email only.
        order_id: the order, by default the instance's own.
    """
    send_id = ids.send_id(instance.instance_id, path)
    order_id = order_id or instance.order_id or None
    log = uow.decisions(flow, instance, path, order_id=order_id, send_id=send_id)
    log.skip("holdout", "held out to measure the effect of the emails")
    if flow.status == "live":
        message, purpose = (send.message, send.purpose) if send is not None else ("", flow.purpose)
        _remember(
            uow,
            customer.Sent(
                send_id, flow.name, flow.version, path, message, purpose, order_id, uow.now, outcome=HELD_OUT
            ),
        )


def _recipient(uow: UnitOfWork, step: Send, context: EvalContext) -> _Recipient:
    order = context.order
    zone, country = uow.zone_of(order), consent.country_of(uow, order)
    if address := context.data(TO_ADDRESS):
        # A new address that nobody has confirmed may be a stranger's, who must not read the name.
        return _Recipient(address, "", zone, country)
    first: customer.Profile | OrderFacts = uow.profile
    second = context.facts or uow.profile
    if is_transactional(step.purpose):
        # A receipt goes to the address of the order, everything else to the customer's present address.
        first, second = second, first
    name = printable_name(first.name) or printable_name(second.name)
    return _Recipient(first.email or second.email, name, zone, country)


def _content(
    uow: UnitOfWork,
    flow: Flow,
    step: Send,
    instance: Instance,
    context: EvalContext,
    greeted_at: datetime,
    recipient: _Recipient,
    together: Sequence[EvalContext],
) -> Content:
    facts, is_private = context.facts, not uow.is_shared and not context.data(TO_ADDRESS)
    recommends = step.recommends
    log = uow.purchase_log if is_private else None
    return Content(
        customer_id=uow.customer_id,
        name=recipient.name,
        locale=(facts.locale if facts else "") or uow.profile.locale or uow.ruleset.shop.locale,
        country=recipient.country,
        purchases=uow.purchases,
        greeted_at=greeted_at,
        zone=recipient.zone,
        order=context.order,
        parcel=context.parcel,
        reward=instance.reward,
        products=step.products,
        at_least=step.at_least,
        orders=uow.orders if step.products or recommends.categories else (),
        traits=uow.profile.traits if is_private else NO_TRAITS,
        request_id=context.data(REQUEST_ID),
        recommends=recommends,
        favourites=log.counts() if log is not None else (),
        viewed=tuple([each.sku for each in reversed(uow.viewed)])
        if "browsed" in recommends.sources and is_private
        else (),
        product=product_of(flow, context),
        together=tuple(products_of(flow, (context, *together))) if step.together else None,
    )


def _command(
    uow: UnitOfWork,
    send_id: str,
    flow: Flow,
    step: Send,
    instance: Instance,
    not_after: datetime,
    recipient: _Recipient,
    content: Content,
) -> SendMail:
    return SendMail(
        send_id=send_id,
        customer_id=uow.customer_id,
        instance_id=instance.instance_id,
        flow=flow.name,
        flow_version=flow.version,
        step=step.path,
        message=step.message,
        purpose=step.purpose,
        priority=step.priority,
        not_after=not_after,
        to_address=recipient.address,
        to_name=recipient.name,
        locale=content.locale,
        time_zone=recipient.zone.key,
        country=recipient.country,
        order_id=content.order.order_id if content.order is not None else None,
        content=content,
        tracking=consent.may_track(uow, step.purpose, content.order),
    )


def _remember(uow: UnitOfWork, sent: customer.Sent) -> None:
    """Remember an email, and forget others if there are too many."""
    uow.changed = True
    uow.sends = (*uow.sends, sent)
    forget_sends(uow)


def forget_sends(uow: UnitOfWork) -> None:
    """If there are too many emails, forget the oldest that no cap counts, else the oldest."""
    while len(uow.sends) > uow.ruleset.limits.sends:
        forgotten = next((old for old in uow.sends[:-1] if not smart_sending.is_counted(uow, old)), uow.sends[0])
        uow.sends = tuple([kept for kept in uow.sends if kept is not forgotten])
