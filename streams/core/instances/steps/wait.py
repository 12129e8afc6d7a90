"""The step `wait`: when it ends, after a span, at a time of day, or at a target time such as a promised delivery."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.core.conditions.context import EvalContext
from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.instance import awaits_target
from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Clock, Step
from streams.core.values import local_time

TargetTime: TypeAlias = Literal[
    "order.placed_at",
    "shipment.window_from",
    "shipment.window_to",
    "shipment.last_day",
    "product.runs_out",
    "product.launch",
]
#: The longest time until a product is used up, or a parcel is collected. It keeps values from events within the range of valid dates.
LONGEST = timedelta(days=3_650)
_A_MOMENT = timedelta.resolution
# A week, and room for a clock change: an allowed weekday is always within that.
_DAYS_AHEAD = 9


class WaitTarget(Struct, frozen=True, kw_only=True):
    """A time to wait for, such as the start of a delivery window.

    Attributes:
        time: the name of the target time.
        before: how long before it the wait ends.
        lasts: how long one piece of a product lasts, if the customer's own rhythm is unknown.
    """

    time: TargetTime
    before: timedelta = timedelta()
    lasts: timedelta = timedelta(days=30)


class Wait(Step, frozen=True, kw_only=True):
    """Wait before the next step.

    The wait takes `months`, `days`, `hours` and `minutes`. Then it continues until `at` o'clock, on a weekday that `on` and `not_on` allow.
    With `until` it ends at that time instead, or `before` it; the length then applies only if the time is unknown. `clock` selects the
    time zone: the customer's or the shop's.
    """

    days: int = 0
    #: Hours and minutes, which are not days of the calendar.
    more: timedelta = timedelta()
    at: time | None = None
    clock: Clock = "customer"
    not_on: frozenset[int] = frozenset()
    months: int = 0
    until: WaitTarget | None = None
    #: Whether the length is written in `m`, which are minutes. Some authors mean months.
    is_in_m: bool = False


def execute(execution: Execution, step: Wait) -> Result:
    """Wait, or continue if the wait is over already."""
    next_path = execution.next_step(step)
    due_at = ends_at(execution.uow, step, _start(execution, step), execution.context)
    if due_at > execution.uow.now and next_path is not None:
        return execution.wait_at(next_path, due_at, awaits=awaited_target(step, execution.context))
    execution.start = due_at
    execution.is_start = False
    return next_path


def _start(execution: Execution, step: Wait) -> datetime:
    """Return the time (UTC) from which a wait counts.

    After an email that is the email, so that two emails never follow each other more closely than the flow says. Only a wait for days until a
    time of day may take a little less, because the email was late: it counts from the planned time.
    """
    if not execution.has_sent or (step.at is not None and (step.days or step.months) and not step.more):
        return execution.start
    # An email at ten o'clock and a wait until ten o'clock: that is the next day.
    return execution.uow.now + _A_MOMENT if step.at is not None else execution.uow.now


def ends_at(uow: UnitOfWork, wait: Wait, start: datetime, context: EvalContext) -> datetime:
    """Return when a wait that begins at `start` ends (both UTC), multiplied by the ruleset's `day_scale`."""
    ruleset = uow.ruleset
    zone = uow.zone_of(context.order) if wait.clock == "customer" else local_time.zone_of_shop(ruleset.shop.time_zone)
    target = target_time(wait.until, context) if wait.until is not None else None
    if wait.until is None or target is None:
        return local_time.scale_deadline(start, due(wait, start, zone), ruleset.day_scale)
    begin = max(start, local_time.subtract_calendar_days(target, wait.until.before, zone, ruleset.day_scale))
    # The target time is already in calendar time, so only the time of day and the weekday are left to apply.
    rest = Wait(path=wait.path, at=wait.at, not_on=wait.not_on)
    return local_time.scale_deadline(begin, due(rest, begin, zone), ruleset.day_scale)


def due(wait: Wait, start: datetime, zone: ZoneInfo) -> datetime:
    """Return when a wait that begins at `start` (UTC) ends, as UTC, by the local clock of `zone`.

    Days are calendar days, so the local time of day stays the same. The result is never earlier than the span asked for. A time of
    day that a clock change skips moves past the gap by its distance. If a time of day occurs twice, the first one counts.

    Raises:
        ValueError: `wait.not_on` holds every day of the week.
    """
    earliest = start
    if wait.months or wait.days:
        later = local_time.months_after(_on_the_clock(wait, start, zone), wait.months) + timedelta(days=wait.days)
        earliest = later.astimezone(UTC)  # a sum has fold 0
    earliest += wait.more
    if wait.at is None and not wait.not_on:
        return earliest
    local = earliest.astimezone(zone)
    clock = wait.at or local.time()
    for days in range(_DAYS_AHEAD):
        day = local.date() + timedelta(days=days)
        if day.weekday() in wait.not_on:
            continue
        for fold in (0, 1):
            end = datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC)
            if end >= earliest:
                return end
    raise ValueError(f"the wait at step {wait.path} excludes every day of the week")


def _on_the_clock(wait: Wait, start: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time of `start`. If a clock change moved the time of day of the wait to it, return that time of day.

    Without this, a daily wait for half past two would leave out the day after the night in which half past two becomes half past three.
    """
    local = start.astimezone(zone)
    if wait.at is not None and local.time() != wait.at:
        planned = datetime.combine(local.date(), wait.at, zone)
        if planned.astimezone(UTC) == start:
            return planned
    return local


def awaited_target(wait: Wait, context: EvalContext) -> str:
    """Return `Instance.awaits` for an instance at `wait`: its target time as it is known now, or "" for a wait without one."""
    return awaits_target(wait.path, target_time(wait.until, context)) if wait.until is not None else ""


def target_time(until: WaitTarget, context: EvalContext) -> datetime | None:
    """Return the time (UTC) that `until` names, or None if it is unknown."""
    if until.time == "order.placed_at":
        return context.facts.placed_at if context.facts else None
    if until.time == "shipment.window_from":
        return context.parcel.window_from if context.parcel else None
    if until.time == "shipment.window_to":
        return context.parcel.window_to if context.parcel else None
    if until.time == "shipment.last_day":
        return _last_day(context)
    if until.time == "product.launch":
        launch = context.data("launches_at")
        return datetime.fromisoformat(launch) if launch else None
    return _runs_out_at(context, until.lasts * context.uow.ruleset.day_scale)


def _last_day(context: EvalContext) -> datetime | None:
    """Return when the last day to collect the parcel begins (UTC), by the customer's clock, or None if it is unknown or years away."""
    parcel = context.parcel
    if parcel is None or parcel.details is None or not parcel.details.last_day:
        return None
    day = date.fromisoformat(parcel.details.last_day)
    if abs(day - parcel.at.date()) > LONGEST:
        return None
    return datetime.combine(day, time(), context.uow.zone_of(context.order)).astimezone(UTC)


def _runs_out_at(context: EvalContext, default_span: timedelta) -> datetime | None:
    """Return when the product of the trigger should be used up (UTC), or None if no stored order contains it.

    One piece lasts as long as the customer's own rate shows, between the first and the last order of the product. Without two orders
    it lasts the days that the newest order states, else `default_span`.
    """
    sku = context.data("sku")
    purchases = sorted(
        [
            (order.facts.placed_at, _pieces(order, sku), _days_per_piece(order, sku))
            for order in context.uow.orders
            if order.facts and order.placed and order.cancelled_at is None and _pieces(order, sku) > 0
        ]
    )
    if not purchases:
        return None
    (first_at, _, _), (last_at, last_pieces, days) = purchases[0], purchases[-1]
    used = sum(pieces for _, pieces, _ in purchases[:-1])
    if used and last_at > first_at:
        span = (last_at - first_at) / used
    elif days:
        span = local_time.scale(timedelta(days=min(days, LONGEST.days)), context.uow.ruleset.day_scale)
    else:
        span = default_span
    return last_at + (span * last_pieces if span < LONGEST / last_pieces else LONGEST)


def _days_per_piece(order: OrderState, sku: str) -> int:
    """Return how many days one piece lasts, by the first line of the product that states it; 0 if none does."""
    lines = order.facts.lines if order.facts else ()
    return next((line.lasts_days for line in lines if line.sku == sku and line.lasts_days), 0)


def _pieces(order: OrderState, sku: str) -> int:
    return sum(line.quantity for line in order.facts.lines if line.sku == sku) if order.facts else 0
