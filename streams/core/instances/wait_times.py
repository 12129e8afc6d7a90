"""Moments still to come that a wait can be for: the promised delivery, and when what was bought should have run out."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.conditions.context import EvalContext
from streams.core.model.customer import OrderState
from streams.core.model.flow import Until
from streams.core.values import local_time

#: How far ahead something runs out at most: numbers from outside must lead to no time that is none.
LONGEST = timedelta(days=3_650)


def moment_of(until: Until, context: EvalContext) -> datetime | None:
    """The moment (UTC) that `until` names, or None if it is not known."""
    if until.moment == "order.placed_at":
        return context.facts.placed_at if context.facts else None
    if until.moment == "shipment.window_from":
        return context.parcel.window_from if context.parcel else None
    if until.moment == "shipment.window_to":
        return context.parcel.window_to if context.parcel else None
    if until.moment == "product.launch":
        launch = context.told("launches_at")
        return datetime.fromisoformat(launch) if launch else None
    return runs_out(context, until.lasts * context.uow.ruleset.day_scale)


def runs_out(context: EvalContext, lasts: timedelta) -> datetime | None:
    """When the product that the trigger told should be used up.

    Who bought it twice or more uses it as fast as between the first and the last of these orders; anyone else as fast as the newest order
    says that a piece lasts; or as one piece in `lasts`, if it does not say. Orders that are no longer remembered do not count.
    """
    sku = context.told("sku")
    bought = sorted(
        [
            (order.facts.placed_at, _pieces(order, sku), _told_days(order, sku))
            for order in context.uow.orders
            if _counts(order, sku) and order.facts
        ]
    )
    if not bought:
        return None
    (first_at, _, _), (last_at, last_pieces, days) = bought[0], bought[-1]
    used = sum(pieces for _, pieces, _ in bought[:-1])
    if used and last_at > first_at:
        piece_lasts = (last_at - first_at) / used
    elif days:
        piece_lasts = local_time.lasting(timedelta(days=min(days, LONGEST.days)), context.uow.ruleset.day_scale)
    else:
        piece_lasts = lasts
    return last_at + (piece_lasts * last_pieces if piece_lasts < LONGEST / last_pieces else LONGEST)


def _counts(order: OrderState, sku: str) -> bool:
    return order.placed and order.cancelled_at is None and _pieces(order, sku) > 0


def _told_days(order: OrderState, sku: str) -> int:
    """How many days one piece lasts, as the order's first line of the product that knows it says; 0 if none does."""
    lines = order.facts.lines if order.facts else ()
    return next((line.lasts_days for line in lines if line.sku == sku and line.lasts_days), 0)


def _pieces(order: OrderState, sku: str) -> int:
    return sum(line.quantity for line in order.facts.lines if line.sku == sku) if order.facts else 0
