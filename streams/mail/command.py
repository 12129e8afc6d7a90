"""The order that the mailer gets: one mail to render and send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from streams.core.model.consent_policy import Purpose


class Command(Struct, frozen=True, kw_only=True):
    """A send as it lies on `email-commands`: the fields of `SendMail`, and what the wire adds.

    `attempt` counts from 1. `commanded_at` (UTC) is when it was decided, the same over all attempts.
    `raw` is the record's value as it was read, framing included: what a retry carries.
    """

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
    context: dict[str, Any]
    tracking: bool
    attempt: int
    commanded_at: datetime
    raw: bytes
