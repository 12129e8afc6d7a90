"""What the customer's orders do to the customer."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.handlers.profiles import learn_profile, note_completion
from streams.core.instances.exits import exit_instances_on
from streams.core.model.customer import OrderFacts, OrderState
from streams.core.model.effects import CountSales
from streams.core.model.events import (
    Order,
    OrderCancelled,
    OrderChanged,
    OrderEvent,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
)
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.popularity import change_of
from streams.core.sending.attribution import attribute_order
from streams.core.triggers.dates import schedule_dates
from streams.core.triggers.dispatch import happened
from streams.core.values import ids, local_time, money

# Marks in the state of customers are made of these names. Never change one, and add none for a new field (see ids.frozen_text).
_LINE_LAYOUT = ids.TextLayout("OrderLine", ("sku", "title", "category", "quantity", "unit_price_minor", "lasts_days"))
DESCRIPTION_LAYOUT = ids.TextLayout(
    "OrderFacts",
    (
        "email",
        "name",
        "locale",
        "country",
        "ship_country",
        "currency",
        "total_minor",
        "placed_at",
        "time_zone",
        "lines",
        "discount_minor",
    ),
    {"lines": _LINE_LAYOUT},
)


def on_order(uow: UnitOfWork, event: OrderEvent) -> None:
    """Take in an order that was placed, changed, cancelled or refunded, in whatever order these facts come."""
    told, at = event.order, event.occurred_at
    before = uow.order(told.order_id)
    if before is None and uow.has_forgotten(told.order_id):
        words = f"more than {uow.ruleset.limits.orders} orders; this one is no longer remembered"
        uow.hit_limit("orders", words, told.order_id, event.ID_TAG, local_time.text_of(at))
        return
    after = _merge(uow, before or OrderState(told.order_id), event)
    if after == before:
        return
    most = uow.ruleset.limits.lines_per_order
    if len(told.lines) > most:
        uow.hit_limit("lines_per_order", f"{len(told.lines)} lines; the first {most} are remembered", told.order_id)
    is_new = before is None or before.facts is None
    learn_profile(uow, told, at)
    _recount(uow, before, after)
    _note_days(uow, before, after)
    is_placed_now = isinstance(event, OrderPlaced) and not (before is not None and before.placed)
    if is_placed_now:
        after = attribute_order(uow, after)
    uow.put_order(after)
    if uow.ruleset.counts_sales:
        _count_sales(uow, before, after, event)
    if isinstance(event, OrderCancelled):
        exit_instances_on(uow, "order.cancelled", told.order_id)
        happened(uow, "order.cancelled", after, None, at)
    elif isinstance(event, OrderRefunded):
        exit_instances_on(uow, "order.refunded", told.order_id)
        happened(uow, "order.refunded", after, None, at)
    elif isinstance(event, OrderPaid):
        exit_instances_on(uow, "order.paid", told.order_id)
        happened(uow, "order.paid", after, None, at)
    elif is_placed_now:
        exit_instances_on(uow, "order.placed", None)
        happened(uow, "order.placed", _as_told(uow, after, told), None, at)
    elif isinstance(event, OrderChanged):
        happened(uow, "order.changed", after, None, at)
    if is_placed_now:  # what was told of the order before it was placed has waited for it
        for name, told_at in (
            ("paid", after.paid_at),
            ("cancelled", after.cancelled_at),
            ("refunded", after.refunded_at),
        ):
            if told_at is not None:
                happened(uow, f"order.{name}", after, None, told_at)
    if is_new or is_placed_now:  # and so have parcels
        for parcel in after.parcels:
            for status, reached_at in parcel.reached:
                happened(uow, f"shipment.{status}", after, parcel, reached_at)
    note_completion(uow, at)
    if uow.ruleset.has_days:
        schedule_dates(uow)


def _count_sales(uow: UnitOfWork, before: OrderState | None, after: OrderState, event: OrderEvent) -> None:
    change = change_of(before, after, uow.orders)
    if change is None:
        return
    cause = f"{event.ID_TAG}@{local_time.text_of(event.occurred_at)}"
    uow.effects.append(
        CountSales(
            sales_id=ids.digest("sales", uow.customer_id, after.order_id, cause),
            customer_id=uow.customer_id,
            week=change.week,
            week_before=change.week_before,
            gone=change.gone,
            come=change.come,
            is_new=change.is_new,
            earlier=change.earlier,
        )
    )


def _as_told(uow: UnitOfWork, order: OrderState, told: Order) -> OrderState:
    """The order with all its lines, in full: the receipt lists them all, though only some are remembered."""
    facts = order.facts
    if facts is None or facts.lines is told.lines or facts.lines != _remembered(uow, told.lines):
        return order  # all of it is remembered, or a newer description of the order is
    return replace(order, facts=replace(facts, lines=told.lines))


def _merge(uow: UnitOfWork, known: OrderState, event: OrderEvent) -> OrderState:
    """What is known of the order after `event`: the newest description, and every fact that was ever told."""
    told, at = event.order, event.occurred_at
    facts, facts_at, converted = known.facts, known.facts_at, known.converted_minor
    is_placing = isinstance(event, OrderPlaced)
    # Of two descriptions of the same moment the later in the order's life counts, so that the order of arrival does not.
    if facts_at is None or at > facts_at or (at == facts_at and not is_placing):
        described = OrderFacts(
            told.email,
            told.name,
            told.locale,
            told.country,
            told.ship_country,
            told.currency,
            told.total_minor,
            told.placed_at,
            told.time_zone,
            _remembered(uow, told.lines),
            told.discount_minor,
        )
        if facts is None or at != facts_at or _is_new_of_its_moment(uow, known.order_id, at, facts, described):
            if facts is None or told.total_minor != facts.total_minor or told.currency != facts.currency:
                currency = uow.ruleset.shop.currency
                converted = money.convert(told.total_minor, told.currency, currency, uow.ruleset.rates) or 0
            facts, facts_at = described, at
    return OrderState(
        known.order_id,
        facts,
        facts_at,
        known.placed or is_placing,
        _earliest(known.cancelled_at, at) if isinstance(event, OrderCancelled) else known.cancelled_at,
        _earliest(known.refunded_at, at) if isinstance(event, OrderRefunded) else known.refunded_at,
        converted,
        known.parcels,
        known.parcels_in_order,
        known.parcels_at,
        known.attributed_to,
        _earliest(known.paid_at, at) if isinstance(event, OrderPaid) else known.paid_at,
    )


def _is_new_of_its_moment(uow: UnitOfWork, order_id: str, at: datetime, known: OrderFacts, told: OrderFacts) -> bool:
    """Whether a description that differs from the known one, and is of the same moment, comes for the first time.

    No time tells which of the two is newer, so the later in the log counts; the earlier must not come back when it is delivered again.
    """
    if told == known:
        return False
    moment = local_time.text_of(at)
    uow.is_new("described", order_id, moment, ids.frozen_text(known, DESCRIPTION_LAYOUT))
    return uow.is_new("described", order_id, moment, ids.frozen_text(told, DESCRIPTION_LAYOUT))


def _remembered(uow: UnitOfWork, lines: tuple[OrderLine, ...]) -> tuple[OrderLine, ...]:
    """What is kept of an order's lines: not too many, with names that are not too long. The lines themselves, if all of it is."""
    longest, kept = uow.ruleset.limits.title, lines[: uow.ruleset.limits.lines_per_order]
    if all(len(line.title) <= longest and len(line.category) <= longest for line in kept):
        return kept
    return tuple([replace(line, title=line.title[:longest], category=line.category[:longest]) for line in kept])


def _earliest(known: datetime | None, at: datetime) -> datetime:
    return at if known is None or at < known else known


def _note_days(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Note the order among those of which the first and the last are known, or take it out when it is cancelled."""
    counted, counts, facts = _worth(before)[0], _worth(after)[0], after.facts
    if counted == counts or facts is None:
        return
    day = (facts.placed_at, after.order_id)
    if counts:
        if uow.first_order_at is None or facts.placed_at < uow.first_order_at:
            uow.first_order_at = facts.placed_at
        if uow.last_order_at is None or day > (uow.last_order_at, uow.last_order_id or ""):
            uow.last_order_at, uow.last_order_id = day
        return
    kept = [
        (order.facts.placed_at, order.order_id)
        for order in uow.orders
        if order.order_id != after.order_id and order.facts is not None and _worth(order)[0]
    ]
    if not kept and uow.purchases:
        return  # of orders that are no longer remembered nobody knows the day
    if uow.first_order_at == facts.placed_at:
        uow.first_order_at = min(kept)[0] if kept else None
    if uow.last_order_id == after.order_id:
        uow.last_order_at, uow.last_order_id = max(kept) if kept else (None, None)


def _recount(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Take out what the order counted for before, put in what it counts for now."""
    had, has = _worth(before), _worth(after)
    if had == has:
        return
    uow.purchases += has[0] - had[0]
    uow.discounted += has[4] - had[4]
    uow.spend_converted_minor += has[3] - had[3]
    spend = dict(uow.spend)
    if had[2]:
        spend[had[1]] = spend.get(had[1], 0) - had[2]
    if has[2]:
        spend[has[1]] = spend.get(has[1], 0) + has[2]
    uow.spend = tuple(sorted([(currency, minor) for currency, minor in spend.items() if minor]))


def _worth(order: OrderState | None) -> tuple[int, str, int, int, int]:
    """Purchases, currency, spend, converted spend, and purchases with a discount.

    A cancelled order is no purchase; a refunded one is, but brings nothing.
    """
    if order is None or order.facts is None or not order.placed or order.cancelled_at is not None:
        return 0, "", 0, 0, 0
    discounted = int(order.facts.discount_minor > 0)
    if order.refunded_at is not None:
        return 1, "", 0, 0, discounted
    return 1, order.facts.currency, order.facts.total_minor, order.converted_minor, discounted
