"""The entries of a customer in the index of products: the products that the customer wishes for, and those that the customer bought.

The index follows the state: after each event it gets the difference. So a customer who was erased, or merged into another one, leaves it in
the same transaction, and whoever takes over the wishes and purchases enters it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec.structs import replace

from streams.core.model.customer import Customer
from streams.core.model.orders.purchase_log import is_purchase
from streams.core.model.product_events import NoteInterest
from streams.core.model.traits import WISH
from streams.core.rules.ruleset import Ruleset
from streams.core.values import ids
from streams.core.values.local_time import text_of

#: Since when the customer wishes for a product and bought it, UTC; None if not.
Interest: TypeAlias = tuple[datetime | None, datetime | None]
NO_INTEREST: Interest = (None, None)
#: The beginning of the ids of interests from before a flow asked for them. The journal does not have what led to them.
KNOWN = "known-"


def changed_interests(ruleset: Ruleset, before: Customer, after: Customer) -> list[NoteInterest]:
    """Return the changes of the index that follow from those of the state."""
    return _difference(after.customer_id, _watched(ruleset, before), _watched(ruleset, after))


def known_interests(ruleset: Ruleset, state: Customer) -> list[NoteInterest]:
    """Return all entries of the index about a customer, for an index that does not know the customer yet. Their ids begin with `KNOWN`."""
    known = _difference(state.customer_id, {}, _watched(ruleset, state))
    return [replace(each, interest_id=f"{KNOWN}{each.interest_id}") for each in known]


def _watched(ruleset: Ruleset, state: Customer) -> dict[str, Interest]:
    return interests(state, with_wishes=ruleset.watches_wishes, with_purchases=ruleset.watches_purchases)


def interests(state: Customer, *, with_wishes: bool, with_purchases: bool) -> dict[str, Interest]:
    """Return sku -> the customer's interest in it: wishes that were not taken back, and products of orders that were not cancelled."""
    found: dict[str, Interest] = {}
    if with_wishes:
        for each in state.profile.traits.collected:
            if each.kind == WISH and each.is_kept:
                found[each.sku] = (each.at, None)
    for order in state.orders if with_purchases else ():
        facts = order.facts
        if facts is None or not is_purchase(order):
            continue
        for line in facts.lines:
            if line.is_orderable:
                wished_at, bought_at = found.get(line.sku, NO_INTEREST)
                found[line.sku] = (wished_at, min(bought_at or facts.placed_at, facts.placed_at))
    return found


def _difference(customer_id: str, before: dict[str, Interest], after: dict[str, Interest]) -> list[NoteInterest]:
    changes = []
    for sku in dict.fromkeys((*before, *after)):
        interest = after.get(sku, NO_INTEREST)
        if interest != before.get(sku, NO_INTEREST):
            times = ["" if at is None else text_of(at) for at in interest]
            interest_id = ids.digest("interest", customer_id, sku, *times)
            wished_at, bought_at = interest
            changes.append(
                NoteInterest(
                    interest_id=interest_id, customer_id=customer_id, sku=sku, wished_at=wished_at, bought_at=bought_at
                )
            )
    return changes
