"""Handlers of order events: placed, paid, changed, cancelled and refunded."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.handlers import order_memory
from streams.core.handlers.order_totals import update_first_and_last, update_totals
from streams.core.handlers.profiles import dispatch_completion, learn_profile
from streams.core.handlers.shared_ids import note_order_address
from streams.core.handlers.stored_orders import stored_details, stored_lines
from streams.core.instances.exits import exit_instances_on
from streams.core.instances.expiry import use_codes
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.start import start_flows
from streams.core.model.effects import CountSales
from streams.core.model.events import (
    Order,
    OrderCancelled,
    OrderEvent,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
)
from streams.core.model.orders.order import TRACKED
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.orders.receipt import receipt_of
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.popularity import change_of
from streams.core.sending.attribution import attribute_order
from streams.core.triggers.dates import schedule_dates
from streams.core.triggers.dispatch import dispatch
from streams.core.values import ids, local_time, money
from streams.core.values.moments import earliest, latest

# The names in these layouts are part of stored fingerprints. Never change one, and add none for a new field (see ids.frozen_text).
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
    """Update the order, the profile and the purchase totals, then start and resume flows. Events may arrive in any order."""
    order, at = event.order, event.occurred_at
    before = uow.order(order.order_id)
    if before is None and order_memory.forgotten(uow, order.order_id):
        _on_forgotten_order(uow, event)
        return
    if before is None and order_memory.is_before_memory(uow, order.placed_at):
        detail = "it is older than orders that were forgotten, so it may have been counted before"
        log = uow.decisions_of("", 0, "", order.order_id, order_id=order.order_id)
        log.skip("too_old", detail, repeat=f"{event.ID_TAG} {local_time.text_of(at)}")
        return
    after = _merge(uow, before or OrderState(order.order_id), event)
    if after == before:
        return
    _note_flaws(uow, before, after, event)
    limit = uow.ruleset.limits.lines_per_order
    if len(order.lines) > limit:
        uow.hit_limit("lines_per_order", f"{len(order.lines)} lines; the first {limit} are stored", order.order_id)
    is_described_now = before is None or before.facts is None
    if not after.is_test:
        note_order_address(uow, order)
        if after.facts_at == at:  # an older description of the order teaches nothing
            learn_profile(uow, order, order.placed_at)
    update_totals(uow, before, after)
    update_first_and_last(uow, before, after)
    is_placed_now = isinstance(event, OrderPlaced) and not (before is not None and before.placed)
    if is_placed_now:
        after = attribute_order(uow, after)
    uow.put_order(after)
    if uow.ruleset.counts_sales:
        _count_sales(uow, before, after, event)
    if is_placed_now and order.details is not None and order.details.discounts and not after.is_test:
        use_codes(uow, [discount.code for discount in order.details.discounts])
    _exit_instances(uow, event, after, is_placed_now=is_placed_now)
    for occurrence in _occurrences(uow, event, after, is_described_now=is_described_now, is_placed_now=is_placed_now):
        if occurrence.name == "order.refunded" and after.refunded_at is None:
            start_flows(
                uow, occurrence
            )  # a refund of a part: whoever waits for the refund of the order continues to wait
        else:
            dispatch(uow, occurrence)
    dispatch_completion(uow, at)
    if uow.ruleset.has_dates:
        schedule_dates(uow)


def _on_forgotten_order(uow: UnitOfWork, event: OrderEvent) -> None:
    """Process an event of an order that is no longer stored. Once only: the state cannot show otherwise that it is a duplicate.

    A cancellation or a refund changes the totals by what the event says of the order, and starts transactional flows. Other events change
    nothing.
    """
    order, at = event.order, event.occurred_at
    if not isinstance(event, (OrderCancelled, OrderRefunded)) or not order_memory.is_new_end(
        uow, order.order_id, event.NAME
    ):
        return
    before = _merge(uow, OrderState(order.order_id), OrderPlaced(order, order.placed_at))
    after = _merge(uow, before, event)
    update_totals(uow, before, after)
    start_flows(uow, Occurrence(event.NAME, after, None, at), only_transactional=True)


def _exit_instances(uow: UnitOfWork, event: OrderEvent, after: OrderState, *, is_placed_now: bool) -> None:
    """End the instances that leave their flow at this event. Neither a test nor the refund of a part ends any."""
    if is_placed_now:
        if not after.is_test:
            exit_instances_on(uow, event.NAME, None)
    elif not isinstance(event, OrderPlaced) and not (isinstance(event, OrderRefunded) and after.refunded_at is None):
        exit_instances_on(uow, event.NAME, after.order_id)


def _note_flaws(uow: UnitOfWork, before: OrderState | None, after: OrderState, event: OrderEvent) -> None:
    """Log that the address of an order is unusable, once, and that its receipt does not add up, whenever that begins."""
    does_not_add_up = after.does_not_add_up and not (before is not None and before.does_not_add_up)
    has_bad_address = event.order.has_bad_address and uow.is_new("bad_address", after.order_id)
    if not (does_not_add_up or has_bad_address):
        return
    log = uow.decisions_of("", 0, "", after.order_id, order_id=after.order_id)
    if does_not_add_up:
        detail = "the lines, discounts, shipping and tax of the order give another total than its own"
        log.note("does_not_add_up", detail, repeat=local_time.text_of(event.occurred_at))
    if has_bad_address:
        log.note("bad_address", "the address in the order is not one email address; the order is processed without it")


def _occurrences(
    uow: UnitOfWork, event: OrderEvent, order: OrderState, *, is_described_now: bool, is_placed_now: bool
) -> list[Occurrence]:
    """Return the occurrence of the event, followed by those of events that arrived before the order itself.

    Args:
        uow: the unit of work.
        event: the event.
        order: the order after the event.
        is_described_now: whether the event brings the first description of the order.
        is_placed_now: whether the event places the order.
    """
    occurrences = []
    if is_placed_now:
        placed = _in_full(uow, order, event.order)
        occurrences.append(Occurrence(event.NAME, placed, None, event.occurred_at))
        earlier = (
            ("order.paid", order.paid_at),
            ("order.cancelled", order.cancelled_at),
            ("order.refunded", order.refunded_at or order.partly_refunded_at),
        )
        occurrences += [Occurrence(name, order, None, at) for name, at in earlier if at is not None]
    elif not isinstance(event, OrderPlaced):
        occurrences.append(Occurrence(event.NAME, order, None, event.occurred_at))
    if is_described_now or is_placed_now:
        occurrences += [
            Occurrence(f"shipment.{status}", order, parcel, at)
            for parcel in order.parcels
            for status, at in (*parcel.reached, *(((TRACKED, parcel.at),) if parcel.has(TRACKED) else ()))
        ]
    return occurrences


def _count_sales(uow: UnitOfWork, before: OrderState | None, after: OrderState, event: OrderEvent) -> None:
    if before is not None and before.placed and before.facts is not None and not before.facts.lines:
        return  # the state has dropped the lines, so what was counted is unknown
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


def _in_full(uow: UnitOfWork, order: OrderState, event_order: Order) -> OrderState:
    """Return the order with everything that the event says, for the receipt; the state keeps fewer lines and details."""
    facts = order.facts
    if facts is None or (facts.lines is event_order.lines and facts.details is event_order.details):
        return order  # all of it is stored
    if facts != _facts(uow, event_order):
        return order  # the order has a newer description than the event's
    return replace(order, facts=replace(facts, lines=event_order.lines, details=event_order.details))


def _merge(uow: UnitOfWork, before: OrderState, event: OrderEvent) -> OrderState:
    """Return the order after `event`: the newest description, and the times of its statuses.

    An order that is paid after its cancellation lives again: the newest of the two counts.
    """
    order, at = event.order, event.occurred_at
    paid_at, cancelled_at = before.paid_at, before.cancelled_at
    if isinstance(event, OrderPaid):
        paid_at = latest(paid_at, at)
    elif isinstance(event, OrderCancelled):
        cancelled_at = latest(cancelled_at, at)
    if cancelled_at is not None and paid_at is not None and paid_at > cancelled_at:
        cancelled_at = None
    facts, facts_at, converted, is_flawed = (
        before.facts,
        before.facts_at,
        before.converted_minor,
        before.does_not_add_up,
    )
    is_placing = isinstance(event, OrderPlaced)
    # Of two descriptions at the same time, the one that does not place the order is newer, in whatever order they arrive.
    if facts_at is None or at > facts_at or (at == facts_at and not is_placing):
        described = _facts(uow, order)
        if facts is None or at != facts_at or _is_first_arrival(uow, before.order_id, at, facts, described):
            if facts is None or order.total_minor != facts.total_minor or order.currency != facts.currency:
                currency = uow.ruleset.shop.currency
                converted = money.convert(order.total_minor, order.currency, currency, uow.ruleset.rates) or 0
            facts, facts_at, is_flawed = described, at, not _adds_up(order)
    refunded = order.refunded_minor
    is_refund = isinstance(event, OrderRefunded)
    is_whole_refund = is_refund and (refunded is None or refunded >= order.total_minor)
    is_partial_refund = is_refund and not is_whole_refund and bool(refunded)
    return OrderState(
        before.order_id,
        facts,
        facts_at,
        before.placed or is_placing,
        cancelled_at,
        earliest(before.refunded_at, at) if is_whole_refund else before.refunded_at,
        converted,
        before.parcels,
        before.parcels_in_order,
        before.parcels_at,
        before.attributed_to,
        paid_at,
        # The shop says what it has refunded so far, so of two records the larger amount is the newer.
        max(before.refunded_minor, refunded or 0),
        earliest(before.partly_refunded_at, at) if is_partial_refund else before.partly_refunded_at,
        is_flawed,
    )


def _facts(uow: UnitOfWork, order: Order) -> OrderFacts:
    return OrderFacts(
        order.email,
        order.name,
        order.locale,
        order.country,
        order.ship_country,
        order.currency,
        order.total_minor,
        order.placed_at,
        order.time_zone,
        stored_lines(uow, order.lines),
        order.discount_minor,
        stored_details(order.details),
        sum(line.is_orderable for line in order.lines[uow.ruleset.limits.lines_per_order :]),
    )


def _adds_up(order: Order) -> bool:
    """Return whether the receipt of the order adds up.

    A record without lines is not checked: the shop did not say what was bought. Neither is one without any details, since the price of
    the delivery is unknown.
    """
    if not order.lines or (order.details is None and all(line.details is None for line in order.lines)):
        return True
    return receipt_of(order.lines, order.total_minor, order.discount_minor, order.details).adds_up


def _is_first_arrival(uow: UnitOfWork, order_id: str, at: datetime, stored: OrderFacts, described: OrderFacts) -> bool:
    """Return whether `described` differs from the stored description of the same time and arrives for the first time.

    Their times do not show which of the two is newer, so the one that arrives later counts. The earlier one must not replace it
    when it is delivered again.
    """
    if stored in (described, replace(described, lines=())):  # the state may have dropped the lines
        return False
    time = local_time.text_of(at)
    uow.is_new("described", order_id, time, ids.frozen_text(stored, DESCRIPTION_LAYOUT))
    return uow.is_new("described", order_id, time, ids.frozen_text(described, DESCRIPTION_LAYOUT))
