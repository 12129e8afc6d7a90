"""Emails of a simulation that the mailer would not send: the decisions that its reports become."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.effects import Effect, LogDecision, SendMail
from streams.core.sending.address_limits import CAPPED, LIMITED, SUPPRESSED

#: The rule of the mailer if there are too few products for an email's recommendations.
TOO_FEW = "too_few_products"
_RULES = frozenset((TOO_FEW, SUPPRESSED, CAPPED, LIMITED))


def suppressed(mail: SendMail, rule: str, detail: str, now: datetime) -> LogDecision:
    """Return the decision that takes the place of an email.

    Args:
        mail: the email.
        rule: the mailer's rule, and `detail` its words.
        now: the current time, UTC.
    """
    return LogDecision(
        decision_id=f"{mail.send_id}.1.{rule}",
        customer_id=mail.customer_id,
        flow=mail.flow,
        flow_version=mail.flow_version,
        instance_id=mail.instance_id,
        step=mail.step,
        outcome="skip",
        rule=rule,
        detail=detail,
        send_id=mail.send_id,
        order_id=mail.order_id,
        decided_at=now,
    )


def suppressed_send(effect: Effect) -> str | None:
    """Return the send id of an email that the mailer would not send; None for other effects."""
    return effect.send_id if isinstance(effect, LogDecision) and effect.rule in _RULES else None
