"""Handlers of the mailer's reports and of retries."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.effects import LogDecision, ResendMail
from streams.core.model.events import MailReported, RetryDue
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending import consent
from streams.core.sending.last_outcomes import last_outcome
from streams.core.values import ids


def on_delivery_report(uow: UnitOfWork, event: MailReported) -> None:
    """Store the mailer's newest report of an email. A report after "sent" changes nothing."""
    if event.outcome == "sent" and (uow.last_send_at is None or event.occurred_at > uow.last_send_at):
        uow.last_send_at = event.occurred_at
        uow.changed = True
    for index, sent in enumerate(uow.sends):
        if sent.send_id == event.send_id and sent.outcome != event.outcome and sent.outcome != "sent":
            reported = replace(sent, outcome=event.outcome)
            uow.sends = (*uow.sends[:index], reported, *uow.sends[index + 1 :])
            uow.changed = True
            return


def on_retry_due(uow: UnitOfWork, event: RetryDue) -> None:
    """Return a delayed email to the mailer, unless it has expired or consent no longer allows it. Log the decision.

    An email that is not returned ends here, so its last outcome is reported here.
    """
    if not uow.is_new(event.send_id, "retry", str(event.attempt)):
        return
    sent = next((sent for sent in uow.sends if sent.send_id == event.send_id), None)
    decision = consent.decide(uow, event.purpose, uow.order(sent.order_id) if sent and sent.order_id else None)
    is_retried = decision.is_allowed and uow.now <= event.not_after
    if is_retried:
        rule, detail = "put_off", f"attempt {event.attempt}; {decision.basis}"
    elif decision.is_allowed:
        rule, detail = "expired", "not retried: it has expired"
    else:
        rule, detail = decision.rule, f"not retried: {decision.rule}; {decision.basis}"
    if is_retried:
        uow.effects.append(
            ResendMail(send_id=event.send_id, customer_id=uow.customer_id, attempt=event.attempt, command=event.command)
        )
    elif sent is None or sent.outcome in (None, "deferred"):
        uow.effects.append(
            last_outcome(
                sent,
                uow.customer_id,
                uow.now,
                "not_after" if decision.is_allowed else rule,
                send_id=event.send_id,
                purpose=event.purpose,
                attempt=event.attempt,
                outcome="expired" if decision.is_allowed else "suppressed",
            )
        )
    # Not `uow.decisions`: the id of this decision is made of the send and the attempt.
    uow.effects.append(
        LogDecision(
            decision_id=ids.decision_id(event.send_id, str(event.attempt), rule),
            customer_id=uow.customer_id,
            flow=sent.flow if sent else "",
            flow_version=sent.flow_version if sent else 0,
            instance_id="",
            step=sent.step if sent else "",
            outcome="retry" if is_retried else "skip",
            rule=rule,
            detail=detail,
            send_id=event.send_id,
            order_id=sent.order_id if sent else None,
            decided_at=uow.now,
        )
    )
