"""Decide one email: log whether it is sent, skipped or deferred, and build what it contains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import EVENT_DATA, orders_of, spend_minor
from streams.core.model import customer
from streams.core.model.customer import HELD_OUT
from streams.core.model.effects import Content, SendMail
from streams.core.model.fields import all_fields
from streams.core.model.instance import REWARD_ENDS, REWARD_NAME, Instance
from streams.core.model.traits import NO_TRAITS
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow, Send
from streams.core.sending import consent, smart_sending
from streams.core.sending.check import (
    REQUEST_ID,
    TO_ADDRESS,
    Deferred,
    Recipient,
    SendOutcome,
    Skipped,
    check_send,
    is_about_test,
)
from streams.core.sending.product_data import product_of, products_of
from streams.core.values import ids
from streams.core.values.addresses import address_hash


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
    found = check_send(uow, flow, step, instance, context)
    outcome = found.outcome
    if isinstance(outcome, Deferred):
        log.defer(outcome.rule, found.text, outcome.until)
        return outcome
    if isinstance(outcome, Skipped):
        if outcome.rule == "holdout":
            hold_out(uow, flow, instance, step.path, step, order_id)
        elif outcome.rule == "draft":
            log.draft(f"would have sent {step.message}")
        else:
            log.skip(outcome.rule, found.text)
        return outcome
    recipient, not_after = found.recipient, found.not_after
    content = _content(uow, flow, step, instance, context, greeted_at, recipient, together)
    uow.effects.append(_command(uow, send_id, flow, step, instance, not_after, recipient, content))
    log.send(outcome.rule, f"sends {step.message}; {found.text}")
    if not is_about_test(context):  # an email of a test counts nowhere
        key = uow.ruleset.address_key
        address = address_hash(key, recipient.address) if key else b""
        message, purpose, now = step.message, step.purpose, uow.now
        sent = customer.Sent(
            send_id, flow.name, flow.version, step.path, message, purpose, order_id, now, address=address
        )
        _remember(uow, sent)
    return outcome


def log_joined(uow: UnitOfWork, flow: Flow, step: Send, other: Instance, instance: Instance) -> None:
    """Log that the email of another instance is sent as that of `instance`."""
    log = uow.decisions(flow, other, step.path, send_id=ids.send_id(other.instance_id, step.path))
    if flow.status == "draft":
        log.draft(f"would have joined the email of instance {instance.instance_id}")
    else:
        log.skip("joined", f"it is part of the email {ids.send_id(instance.instance_id, step.path)}")


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


def _content(
    uow: UnitOfWork,
    flow: Flow,
    step: Send,
    instance: Instance,
    context: EvalContext,
    greeted_at: datetime,
    recipient: Recipient,
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
        reward_name=context.data(REWARD_NAME) if instance.reward else "",
        reward_ends_at=context.data(REWARD_ENDS) if instance.reward else "",
        placed=orders_of(context) if is_private else 0,
        spend_minor=spend_minor(context) if is_private else 0,
        currency=uow.ruleset.shop.currency,
        fields=all_fields(uow) if is_private else (),
        event=tuple([item for item in context.trigger_data if item[0] in EVENT_DATA]) if is_private else (),
        shop_country=uow.ruleset.shop.country,
        shop_locale=uow.ruleset.shop.locale,
        rounds=step.rounds,
        together=tuple(products_of(flow, (context, *together))) if step.together else None,
    )


def _command(
    uow: UnitOfWork,
    send_id: str,
    flow: Flow,
    step: Send,
    instance: Instance,
    not_after: datetime,
    recipient: Recipient,
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
        attach=step.attach,
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
