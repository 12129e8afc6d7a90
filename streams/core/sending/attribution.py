"""Attribution: which email an order is credited to."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.model.customer import HELD_OUT, Sent
from streams.core.model.effects import Attribute
from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids


def attribute_order(uow: UnitOfWork, order: OrderState) -> OrderState:
    """Credit a placed order, once, to an email; return the order as it is credited.

    The order is credited to the email that a human clicked last within the attribution window before it. Without a click it is
    credited to the newest email that the customer was held out of in that window, for comparison. A test counts nowhere. While a click
    before the order is held, nothing is credited.
    """
    facts = order.facts
    if facts is None or not uow.sends or not order.placed or order.attributed_to is not None or order.is_test:
        return order
    if any(click.due_at is not None and click.at <= facts.placed_at for click in uow.held_clicks):
        return order
    sent, kind = _clicked_before(uow, facts.placed_at), "ordered"
    if sent is None:
        sent, kind = _held_out_before(uow, facts.placed_at), "ordered_held_out"
    if sent is None:
        return order
    uow.effects.append(
        Attribute(
            attribution_id=ids.digest("attribution", sent.send_id, kind, order.order_id),
            customer_id=uow.customer_id,
            kind=kind,
            send_id=sent.send_id,
            flow=sent.flow,
            flow_version=sent.flow_version,
            step=sent.step,
            message=sent.message,
            order_id=order.order_id,
            link=None,
            agent="human",
            revenue_minor=facts.total_minor,
            currency=facts.currency,
            occurred_at=facts.placed_at,
        )
    )
    return replace(order, attributed_to=sent.send_id)


def attribute_orders(uow: UnitOfWork) -> None:
    """Credit all orders that can be credited now."""
    for order in uow.orders:
        credited = attribute_order(uow, order)
        if credited is not order:
            uow.put_order(credited)


def _clicked_before(uow: UnitOfWork, placed_at: datetime) -> Sent | None:
    newest: Sent | None = None
    for sent in uow.sends:
        clicked = sent.clicked_at
        if clicked is None or not clicked <= placed_at <= clicked + uow.ruleset.attribution_window:
            continue
        if newest is None or newest.clicked_at is None or clicked >= newest.clicked_at:
            newest = sent
    return newest


def _held_out_before(uow: UnitOfWork, placed_at: datetime) -> Sent | None:
    held = [
        sent
        for sent in uow.sends
        if sent.outcome == HELD_OUT and sent.at < placed_at <= sent.at + uow.ruleset.attribution_window
    ]
    return held[-1] if held else None
