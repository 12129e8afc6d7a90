"""Effects about an email that was commanded before: try it again, do not send it, or report how it ended. See effects.py."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct


class ResendMail(Struct, frozen=True, gc=False, kw_only=True):
    """Try to send an email again that the mail server deferred.

    Attributes:
        attempt: the number of this attempt; the first was 1.
        command: the record on `email-commands` that is repeated.
    """

    send_id: str
    customer_id: str
    attempt: int
    command: bytes


class WithdrawMail(Struct, frozen=True, gc=False, kw_only=True):
    """Do not send `send_id`, unless it has been sent: `rule` forbids it now."""

    withdrawal_id: str
    customer_id: str
    send_id: str
    rule: str
    withdrawn_at: datetime


class EndMail(Struct, frozen=True, gc=False, kw_only=True):
    """Report the last outcome of a deferred email that is not tried again. The mailer reports all other outcomes.

    Attributes:
        instance_id, flow, flow_version, step, message: where the email comes from; empty if that is no longer stored.
        attempt: the number of the attempt that does not take place; 1 if it is not known.
        outcome: `suppressed` if a rule forbids the attempt, `expired` if it would be too late.
        reason: the rule.
        commanded_at: when the email was decided, UTC; the time of this outcome if that is no longer stored.
        occurred_at: the time of this outcome, UTC.
    """

    event_id: str
    send_id: str
    customer_id: str
    instance_id: str = ""
    flow: str = ""
    flow_version: int = 0
    step: str = ""
    message: str = ""
    purpose: str
    order_id: str | None = None
    attempt: int
    outcome: Literal["suppressed", "expired"]
    reason: str
    commanded_at: datetime
    occurred_at: datetime
