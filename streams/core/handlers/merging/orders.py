"""The orders of two customer ids that are one person: each order once, with the newest that is known of it.

An order counts once if at least one of both customers still stores it: its share of the totals is then known, and is subtracted from the sum.
An order that both have forgotten counts twice. All that is left of it is a hash of its id and its state, which has neither an amount nor
whether the order still counts. Such orders cannot even be counted: the hashes of open orders' parcels are in the same row. So the totals are
not corrected in part, and purchases and spend stay in step.

The error has bounds. The totals are never too low. `purchases` are too high by at most the fingerprints that both rows have, of which there are
at most `Limits.order_fingerprints`, and the spend by the amounts of these orders. The decision `forgotten_orders` reports their number.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.handlers.order_totals import update_first_and_last, update_totals
from streams.core.model.customer import Customer
from streams.core.model.orders import forgotten_orders
from streams.core.model.orders.order import Parcel
from streams.core.model.orders.order_room import placed_at
from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import log_of, merged
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import fingerprints, money
from streams.core.values.moments import LONG_AGO, earliest, latest
from streams.core.values.parcel_statuses import STATUS_ORDER


def merge_orders(uow: UnitOfWork, other: Customer) -> list[OrderState]:
    """Add the orders and the totals of another customer state. An order that both have counts once.

    Returns:
        The orders of which one customer had the parcels and the other the description: nothing has been sent about their parcels.
    """
    _add_totals(uow, other)
    own = {order.order_id: order for order in uow.orders}
    theirs = {order.order_id: order for order in other.orders}
    own_row, their_row = uow.forgotten_order_fingerprints, other.forgotten_order_fingerprints
    for order_id, order in own.items():
        if order_id not in theirs and forgotten_orders.find(their_row, order_id):
            update_totals(uow, order, OrderState(order_id))
    uow.forgotten_order_fingerprints = fingerprints.merge(their_row, own_row, uow.ruleset.limits.order_fingerprints)
    uow.forgotten_until = latest(uow.forgotten_until, other.forgotten_until)
    completed = []
    for order_id in sorted(own.keys() & theirs.keys()):
        mine, yours = own[order_id], theirs[order_id]
        merged = merged_order(mine, yours, uow.ruleset.limits.parcels_per_order)
        update_totals(uow, yours, OrderState(order_id))
        update_totals(uow, mine, merged)
        uow.put_order(merged)
        if merged.facts is not None and (mine.facts is None or yours.facts is None):
            completed.append(merged)
    for order in sorted([order for order_id, order in theirs.items() if order_id not in own], key=placed_at):
        if forgotten_orders.find(own_row, order.order_id):
            update_totals(uow, order, OrderState(order.order_id))
        else:
            uow.put_order(order)
    _merge_first_and_last(uow, other)
    for order_id in sorted(own.keys() & theirs.keys()):
        # It may have counted for one, and no longer does.
        for order in (own[order_id], theirs[order_id]):
            update_first_and_last(uow, order, uow.order(order_id) or order)
    return completed


def merged_order(one: OrderState, other: OrderState, most_parcels: int) -> OrderState:
    """Return what is known of an order, in whatever order both states are given: the newest description, and all statuses."""
    newer, older = sorted((one, other), key=_rank, reverse=True)
    paid_at, cancelled_at = latest(one.paid_at, other.paid_at), latest(one.cancelled_at, other.cancelled_at)
    if cancelled_at is not None and paid_at is not None and paid_at > cancelled_at:
        cancelled_at = None  # paid after its cancellation, the order lives again
    counted = max(one, other, key=lambda each: (each.parcels_at or LONG_AGO, each.parcels_in_order))
    parcels: dict[str, Parcel] = {}
    for parcel in (*one.parcels, *other.parcels):
        stored = parcels.get(parcel.parcel_id)
        parcels[parcel.parcel_id] = parcel if stored is None else _merged_parcel(stored, parcel)
    return replace(
        newer,
        placed=one.placed or other.placed,
        cancelled_at=cancelled_at,
        refunded_at=earliest(one.refunded_at, other.refunded_at),
        parcels=tuple([parcels[parcel_id] for parcel_id in sorted(parcels)][:most_parcels]),
        parcels_in_order=counted.parcels_in_order,
        parcels_at=counted.parcels_at,
        attributed_to=newer.attributed_to or older.attributed_to,
        paid_at=paid_at,
        refunded_minor=max(one.refunded_minor, other.refunded_minor),
        partly_refunded_at=earliest(one.partly_refunded_at, other.partly_refunded_at),
    )


def _rank(order: OrderState) -> tuple[datetime, bool, str]:
    # Of two descriptions of the same time, one may have lost its lines.
    return order.facts_at or LONG_AGO, bool(order.facts and order.facts.lines), repr(order)


def _merged_parcel(one: Parcel, other: Parcel) -> Parcel:
    newer, older = sorted(
        (one, other), key=lambda each: (each.at, STATUS_ORDER.index(each.status), repr(each)), reverse=True
    )
    reached = dict(older.reached)
    for status, at in newer.reached:
        reached[status] = min(reached.get(status, at), at)
    return replace(newer, reached=tuple(sorted(reached.items(), key=lambda item: (item[1], item[0]))))


def _add_totals(uow: UnitOfWork, other: Customer) -> None:
    bounds = uow.ruleset.limits.purchases
    if uow.purchase_log is not None or other.purchase_log is not None or uow.ruleset.counts_purchases:
        theirs = other.purchase_log if other.purchase_log is not None else log_of(other.orders, bounds)
        uow.purchase_log = merged(uow.purchases_known(), theirs, bounds)
    uow.purchases += other.purchases
    uow.discounted += other.discounted
    uow.spend_converted_minor = money.saturated(uow.spend_converted_minor + other.spend_converted_minor)
    spend = dict(uow.spend)
    for currency, minor in other.spend:
        spend[currency] = money.saturated(spend.get(currency, 0) + minor)
    uow.spend = tuple(sorted([(currency, minor) for currency, minor in spend.items() if minor]))


def _merge_first_and_last(uow: UnitOfWork, other: Customer) -> None:
    uow.first_order_at = earliest(uow.first_order_at, other.first_order_at)
    own = (uow.last_order_at or LONG_AGO, uow.last_order_id or "")
    if other.last_order_at is not None and (other.last_order_at, other.last_order_id or "") > own:
        uow.last_order_at, uow.last_order_id = other.last_order_at, other.last_order_id
