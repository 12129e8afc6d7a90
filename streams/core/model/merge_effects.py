"""The effects of a merge of two customers. See effects.py for what all effects share."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.customer import Customer


class HandOver(Struct, frozen=True, gc=False, kw_only=True):
    """Hand the whole state of a customer over to the customer that it was merged into.

    Attributes:
        handover_id: the id of the hand-over: the same for a merge that is processed again.
        customer_id: the customer who receives the state.
        state: the state of the customer who was merged.
        path: the customer ids that the state has passed through, the first one first.
        merged_at: when the merge occurred (UTC).
    """

    handover_id: str
    customer_id: str
    state: Customer
    path: tuple[str, ...]
    merged_at: datetime


class ForwardEvent(Struct, frozen=True, gc=False, kw_only=True):
    """Publish the record of the present event again, for the customer `customer_id`: that of the record is an alias of it.

    Attributes:
        path: the customer ids that the record has passed through, the first one first.
    """

    customer_id: str
    path: tuple[str, ...]


class ReleaseAlias(Struct, frozen=True, gc=False, kw_only=True):
    """End the alias `customer_id`, because its customer was erased.

    Attributes:
        erased_ids: the erased customer, and all its aliases.
        state: what stays of the erased customer: the refusals, under the id of the alias.
    """

    release_id: str
    customer_id: str
    erased_ids: tuple[str, ...]
    state: Customer
    released_at: datetime
