"""The share of an order in the customer's purchases and spend, and the dates of the first and the last order."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import is_purchase, replaced, share_of, worth
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import money


def update_first_and_last(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Update the first and the last order: an order that counts from now on, or one that no longer counts."""
    counted, counts, facts = is_purchase(before), is_purchase(after), after.facts
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
        if order.order_id != after.order_id and order.facts is not None and is_purchase(order)
    ]
    if not kept and uow.purchases:
        return  # the other purchases are no longer stored, so their dates are unknown
    if uow.first_order_at == facts.placed_at:
        uow.first_order_at = min(kept)[0] if kept else None
    if uow.last_order_id == after.order_id:
        uow.last_order_at, uow.last_order_id = max(kept) if kept else (None, None)


def update_totals(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Replace the order's earlier share of the purchase totals, and of the log of purchases, by its present one."""
    if uow.purchase_log is not None or uow.ruleset.counts_purchases:
        _update_log(uow, before, after)
    old, new = worth(before), worth(after)
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


def _update_log(uow: UnitOfWork, before: OrderState | None, after: OrderState) -> None:
    """Replace the order's earlier share of the purchase log by its present one. The first change starts the log with the stored orders."""
    present = after.facts
    if before is not None and before.facts is not None and not before.facts.lines and present is not None:
        # The state has dropped the lines; those of the event are most likely the same.
        before = replace(before, facts=replace(before.facts, lines=present.lines))
    log = uow.purchases_known()
    uow.purchase_log = replaced(log, share_of(before), share_of(after), uow.ruleset.limits.purchases)
