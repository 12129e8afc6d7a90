"""Deciding one mail: whether it goes, and what it is made of."""

from __future__ import annotations

from datetime import datetime

from streams.core.conditions.context import EvalContext
from streams.core.model.consent_policy import is_transactional
from streams.core.model.customer import HELD_OUT, Instance, Sent
from streams.core.model.effects import Content, SendMail
from streams.core.model.flow import Flow, Send
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending import consent
from streams.core.sending.smart_sending import expires_at, is_counted, put_off
from streams.core.values import ids, local_time
from streams.core.values.buckets import in_share

# Where an open may be measured only with consent (France: CNIL).
_TRACKING_NEEDS_CONSENT = frozenset(("FR",))


def decide_send(
    uow: UnitOfWork, flow: Flow, step: Send, instance: Instance, context: EvalContext, moment: datetime
) -> datetime | None:
    """Order the mail of `step`, or log the rule that forbids it or puts it off; the moment (UTC) to look at it again, if it is put off.

    Args:
        turn: the customer's turn.
        flow: the flow.
        step: its step.
        instance: the run that came to it; its `wanted_at` says since when the mail is due.
        view: the order and the parcel that the mail is about.
        moment: the moment (UTC) whose mood the greeting has.
    """
    instance_id, order, profile = instance.instance_id, context.order, uow.profile
    send_id = ids.send_id(instance_id, step.path)
    order_id, facts = (order.order_id if order is not None else None), context.facts

    def skip(rule: str, words: str) -> None:
        uow.decide(flow, instance_id, step.path, "skip", rule, words, order_id=order_id, send_id=send_id)

    ruled = consent.ruling(uow, step.purpose, order)
    if not ruled.is_allowed:
        skip(ruled.rule, f"no {step.purpose} mail: {ruled.rule}; {ruled.basis}")
        return None
    # A receipt goes to where the order was placed from; everything else to where the customer is now.
    if is_transactional(step.purpose) and facts is not None:
        address, name = facts.email or profile.email, facts.name or profile.name
    else:
        address = profile.email or (facts.email if facts else "")
        name = profile.name or (facts.name if facts else "")
    if not address:
        skip("no_address", "no address is known")
        return None
    if step.holdout and in_share(step.holdout, "holdout", "send", flow.name, step.path, uow.customer_id):
        hold_out(uow, flow, instance_id, step.path, step.message, step.purpose, order_id)
        return None
    shop, now = uow.ruleset.shop, uow.now
    where, country = uow.zone_of(order), consent.country_of(uow, order)
    not_after = expires_at(uow, step, instance.wanted_at or now, where)
    if now > not_after:
        skip("expired", "it could not be sent before it expired")
        return None
    later = put_off(uow, flow, step, instance_id, not_after, where, country)
    if later is not None:
        due_at = local_time.scale_deadline(now, later.until, 1.0)
        if due_at > not_after:
            skip(later.rule, f"{later.words}; that is after it expires")
            return None
        moment_due = local_time.text_of(due_at)
        uow.decide(
            flow, instance_id, step.path, "defer", later.rule, later.words, order_id=order_id, send_id=send_id, moment=moment_due
        )  # fmt: skip
        return due_at
    if flow.status == "draft":
        uow.decide(
            flow, instance_id, step.path, "draft", "draft", f"would have sent {step.message}", order_id=order_id, send_id=send_id
        )  # fmt: skip
        return None
    locale = (facts.locale if facts else "") or profile.locale or shop.locale
    allowed = uow.consent.tracking
    content = Content(
        uow.customer_id,
        name,
        locale,
        country,
        uow.purchases,
        moment,
        where,
        order,
        context.parcel,
        instance.reward,
        step.products,
        step.at_least,
        uow.orders if step.products else (),
    )
    uow.effects.append(
        SendMail(
            send_id=send_id,
            customer_id=uow.customer_id,
            instance_id=instance_id,
            flow=flow.name,
            flow_version=flow.version,
            step=step.path,
            message=step.message,
            purpose=step.purpose,
            priority=step.priority,
            not_after=not_after,
            to_address=address,
            to_name=name,
            locale=locale,
            time_zone=where.key,
            country=country,
            order_id=order_id,
            content=content,
            tracking=bool(allowed) if country in _TRACKING_NEEDS_CONSENT else allowed is not False,
        )
    )
    words = f"sends {step.message}; {ruled.basis}"
    uow.decide(flow, instance_id, step.path, "send", ruled.rule, words, order_id=order_id, send_id=send_id)
    _remember(uow, Sent(send_id, flow.name, flow.version, step.path, step.message, step.purpose, order_id, now))
    return None


def hold_out(
    uow: UnitOfWork, flow: Flow, instance_id: str, step: str, message: str, purpose: str, order_id: str | None
) -> None:
    """Log that the customer is held out of a mail, a branch or a flow, and remember it: what is bought then is told beside what was sent."""
    send_id = ids.send_id(instance_id, step)
    words = "held out, so that the effect of the mails can be measured"
    uow.decide(flow, instance_id, step, "skip", "holdout", words, order_id=order_id, send_id=send_id)
    if flow.status == "live":
        _remember(
            uow, Sent(send_id, flow.name, flow.version, step, message, purpose, order_id, uow.now, outcome=HELD_OUT)
        )


def _remember(uow: UnitOfWork, sent: Sent) -> None:
    """Remember a mail. The oldest makes room, of those that no cap counts if there are any."""
    uow.changed = True
    uow.sends = (*uow.sends, sent)
    while len(uow.sends) > uow.ruleset.limits.sends:
        leaving = next((old for old in uow.sends[:-1] if not is_counted(uow, old)), uow.sends[0])
        uow.sends = tuple([kept for kept in uow.sends if kept is not leaving])
