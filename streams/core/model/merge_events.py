"""Events of merges: two customer ids turn out to be one person. See events.py for what all events share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from streams.core.model.customer import Customer
from streams.core.model.person_events import ProfileUpdated

if TYPE_CHECKING:
    from streams.core.model.events import Event


class CustomerMerged(Struct, frozen=True, gc=False, kw_only=True):
    """The shop merged the customer into the customer `into`.

    Attributes:
        profile: the other values of the record, which count first; None if it has none.
    """

    customer_id: str
    into: str
    occurred_at: datetime
    profile: ProfileUpdated | None = None


class HandedOver(Struct, frozen=True, gc=False, kw_only=True):
    """The state of a customer who was merged into this one has arrived. The fields are those of `HandOver`."""

    customer_id: str
    handover_id: str
    state: Customer
    path: tuple[str, ...]
    occurred_at: datetime


class Forwarded(Struct, frozen=True, gc=False, kw_only=True):
    """An event of a customer who was merged into this one has arrived.

    Attributes:
        event: the event, as an event of this customer.
        path: the customer ids that its record has passed through, the first one first.
        occurred_at: that of the event.
        written_at: when its record was written first (UTC).
    """

    customer_id: str
    event: Event
    path: tuple[str, ...]
    occurred_at: datetime
    written_at: datetime


class AliasReleased(Struct, frozen=True, gc=False, kw_only=True):
    """The customer whose alias this one is was erased. The fields are those of `ReleaseAlias`."""

    customer_id: str
    erased_ids: tuple[str, ...]
    state: Customer
    occurred_at: datetime
