"""Events about the person behind a customer id, rather than about what the person did. See events.py for what all events share."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

#: The rule of decisions and withdrawals that follow from an erasure. The mailer reads it: it withdraws transactional emails too.
ERASED = "erased"


class CustomerErased(Struct, frozen=True, gc=False, kw_only=True):
    """The customer's data must be erased: the record of the customer was deleted on the topic `customers`, or `takk forget` deleted it."""

    customer_id: str
    occurred_at: datetime
