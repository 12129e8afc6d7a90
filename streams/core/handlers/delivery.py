"""Handlers of the mailer's reports and of retries."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.effects import LogDecision, ResendMail
from streams.core.model.events import MailReported, RetryDue
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending import consent
from streams.core.values import ids


def on_delivery_report(uow: UnitOfWork, event: MailReported) -> None:
    """Take in what the mailer did with a send."""
    if event.outcome == "sent" and (uow.last_send_at is None or event.occurred_at > uow.last_send_at):
        uow.last_send_at = event.occurred_at
        uow.changed = True
    for index, sent in enumerate(uow.sends):
        if sent.send_id == event.send_id and sent.outcome != event.outcome and sent.outcome != "sent":
            noted = replace(sent, outcome=event.outcome)
            uow.sends = (*uow.sends[:index], noted, *uow.sends[index + 1 :])
            uow.changed = True
            return


def on_retry_due(uow: UnitOfWork, event: RetryDue) -> None:
    """Hand a send that was put off to the mailer again, unless it may no longer go or is too late."""
    if not uow.is_new(event.send_id, "retry", str(event.attempt)):
        return
    sent = next((one for one in uow.sends if one.send_id == event.send_id), None)
    ruled = consent.decide(uow, event.purpose, uow.order(sent.order_id) if sent and sent.order_id else None)
    rule = None if ruled.is_allowed else ruled.rule
    words = ruled.basis
    if rule is None and uow.now > event.not_after:
        rule, words = "expired", "it may not leave any more"
    if rule is None:
        uow.effects.append(
            ResendMail(send_id=event.send_id, customer_id=uow.customer_id, attempt=event.attempt, command=event.command)
        )
    uow.effects.append(
        LogDecision(
            decision_id=ids.decision_id(event.send_id, str(event.attempt), rule or "put_off"),
            customer_id=uow.customer_id,
            flow=sent.flow if sent else "",
            flow_version=sent.flow_version if sent else 0,
            instance_id="",
            step=sent.step if sent else "",
            outcome="skip" if rule else "retry",
            rule=rule or "put_off",
            detail=f"not tried again: {rule}; {words}" if rule else f"attempt {event.attempt}; {words}",
            send_id=event.send_id,
            order_id=sent.order_id if sent else None,
            decided_at=uow.now,
        )
    )
