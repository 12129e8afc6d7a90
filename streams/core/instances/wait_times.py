"""Moments still to come that a wait can be for: the promised delivery, and when what was bought should have run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.core.conditions.context import EvalContext
from streams.core.model.customer import OrderState
from streams.core.model.flow import MOMENT_OF, Wait, WaitTarget
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import local_time

#: How far ahead something runs out at most: numbers from outside must lead to no time that is none.
LONGEST = timedelta(days=3_650)
_DAYS_AHEAD = 9  # a week and a clock change: an allowed weekday lies within


def ends_at(uow: UnitOfWork, step: Wait, start: datetime, context: EvalContext) -> datetime:
    """When the wait that began at `start` ends."""
    ruleset = uow.ruleset
    where = uow.zone_of(context.order) if step.clock == "customer" else local_time.zone_of_shop(ruleset.shop.time_zone)
    moment = target_time(step.until, context) if step.until is not None else None
    if step.until is None or moment is None:
        return local_time.scale_deadline(start, due(step, start, where), ruleset.day_scale)
    begin = max(start, local_time.subtract_calendar_days(moment, step.until.before, where, ruleset.day_scale))
    # The moment is one of the calendar already: only the time of day is looked for.
    return local_time.scale_deadline(
        begin, due(Wait(path=step.path, at=step.at, not_on=step.not_on), begin, where), ruleset.day_scale
    )


def due(wait: Wait, start: datetime, where: ZoneInfo) -> datetime:
    """When a wait that began at `start` (UTC) ends, as UTC, by the clock of the zone `where`.

    Days are days of the calendar: the hands of the clock stand where they stood. The moment is never earlier than the days
    and hours asked for. An hour that a clock change skips is taken the same distance after the gap; of an hour that comes
    twice the first is taken.
    """
    earliest = start
    if wait.months or wait.days:
        later = local_time.months_after(start.astimezone(where), wait.months) + timedelta(days=wait.days)
        earliest = later.astimezone(UTC)  # a sum has fold 0
    earliest += wait.more
    if wait.at is None and not wait.not_on:
        return earliest
    local = earliest.astimezone(where)
    clock = wait.at or local.time()
    for day in range(_DAYS_AHEAD):
        date = local.date() + timedelta(days=day)
        if date.weekday() in wait.not_on:
            continue
        for fold in (0, 1):
            moment = datetime.combine(date, clock, where).replace(fold=fold).astimezone(UTC)
            if moment >= earliest:
                return moment
    raise ValueError(f"a wait that may end on no day of the week: {wait.path}")


def awaited_target(step: Wait, context: EvalContext) -> str:
    """What an instance awaits at a wait: the moment as it is known, in seconds since 1970, if the wait is for one."""
    if step.until is None:
        return ""
    moment = target_time(step.until, context)
    return f"{MOMENT_OF}{step.path} {int(moment.timestamp()) if moment is not None else ''}"


def target_time(until: WaitTarget, context: EvalContext) -> datetime | None:
    """The moment (UTC) that `until` names, or None if it is not known."""
    if until.time == "order.placed_at":
        return context.facts.placed_at if context.facts else None
    if until.time == "shipment.window_from":
        return context.parcel.window_from if context.parcel else None
    if until.time == "shipment.window_to":
        return context.parcel.window_to if context.parcel else None
    if until.time == "product.launch":
        launch = context.data("launches_at")
        return datetime.fromisoformat(launch) if launch else None
    return runs_out(context, until.lasts * context.uow.ruleset.day_scale)


def runs_out(context: EvalContext, lasts: timedelta) -> datetime | None:
    """When the product that the trigger told should be used up.

    Who bought it twice or more uses it as fast as between the first and the last of these orders; anyone else as fast as the newest order
    says that a piece lasts; or as one piece in `lasts`, if it does not say. Orders that are no longer remembered do not count.
    """
    sku = context.data("sku")
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
        piece_lasts = local_time.scale(timedelta(days=min(days, LONGEST.days)), context.uow.ruleset.day_scale)
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
