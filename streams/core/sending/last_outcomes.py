"""The last outcome of a deferred email that is not tried again. Without it, the newest report would remain `deferred`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from streams.core.model.customer import Sent
from streams.core.model.effects import EndMail

#: The end of the ids of these reports. Those of the mailer end with an outcome.
NOT_RETRIED = "not_retried"


def last_outcome(
    sent: Sent | None,
    customer_id: str,
    now: datetime,
    reason: str,
    *,
    send_id: str,
    purpose: str,
    attempt: int | None = None,
    outcome: Literal["suppressed", "expired"] = "suppressed",
) -> EndMail:
    """Return the effect that reports the end of a deferred email.

    Args:
        sent: what is stored of the email, or None if nothing is.
        customer_id: the customer.
        now: the current time, UTC.
        reason: the rule that decided.
        send_id, purpose: the email.
        attempt: the number of the attempt that does not take place, or None if it is not known.
        outcome: the outcome.
    """
    return EndMail(
        event_id=f"{send_id}.{attempt or 'last'}.{NOT_RETRIED}",
        send_id=send_id,
        customer_id=customer_id,
        flow=sent.flow if sent else "",
        flow_version=sent.flow_version if sent else 0,
        step=sent.step if sent else "",
        message=sent.message if sent else "",
        purpose=purpose,
        order_id=sent.order_id if sent else None,
        attempt=attempt or 1,
        outcome=outcome,
        reason=reason,
        commanded_at=sent.at if sent else now,
        occurred_at=now,
    )
