"""The share of an order in the customer's purchases and spend, and the dates of the first and the last order."""

from __future__ import annotations

from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import money


def update_first_and_last(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Update the first and the last order: an order that counts from now on, or one that no longer counts."""
    counted, counts, facts = _worth(before)[0], _worth(after)[0], after.facts
    if counted == counts or facts is None:
        return
    key = (facts.placed_at, after.order_id)
    if counts:
        if uow.first_order_at is None or facts.placed_at < uow.first_order_at:
            uow.first_order_at = facts.placed_at
        if uow.last_order_at is None or key > (uow.last_order_at, uow.last_order_id or ""):
            uow.last_order_at, uow.last_order_id = key
        return
    kept = [
        (order.facts.placed_at, order.order_id)
        for order in uow.orders
        if order.order_id != after.order_id and order.facts is not None and _worth(order)[0]
    ]
    if not kept and uow.purchases:
        return  # the other purchases are no longer stored, so their dates are unknown
    if uow.first_order_at == facts.placed_at:
        uow.first_order_at = min(kept)[0] if kept else None
    if uow.last_order_id == after.order_id:
        uow.last_order_at, uow.last_order_id = max(kept) if kept else (None, None)


def update_totals(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Replace the order's earlier share of the purchase totals by its present one."""
    old, new = _worth(before), _worth(after)
    if old == new:
        return
    uow.purchases += new[0] - old[0]
    uow.discounted += new[4] - old[4]
    uow.spend_converted_minor = money.saturated(uow.spend_converted_minor + new[3] - old[3])
    spend = dict(uow.spend)
    if old[2]:
        spend[old[1]] = money.saturated(spend.get(old[1], 0) - old[2])
    if new[2]:
        spend[new[1]] = money.saturated(spend.get(new[1], 0) + new[2])
    uow.spend = tuple(sorted([(currency, minor) for currency, minor in spend.items() if minor]))


def _worth(order: OrderState | None) -> tuple[int, str, int, int, int]:
    """Return the order's share of the totals: purchases, currency, spend, converted spend, and purchases with a discount.

    A cancelled order is not a purchase, and neither is a test. Refunded amounts are not spend.
    """
    if order is None or order.facts is None or not order.placed or order.cancelled_at is not None or order.is_test:
        return 0, "", 0, 0, 0
    total, discounted = order.facts.total_minor, int(order.facts.discount_minor > 0)
    kept = 0 if order.refunded_at is not None else total - order.refund_minor
    if not kept:
        return 1, "", 0, 0, discounted
    return 1, order.facts.currency, kept, order.converted_minor * kept // total, discounted
