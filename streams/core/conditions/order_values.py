"""The values of orders and their products that a condition may use, each read from the evaluation context."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from streams.core.conditions.context import EvalContext
from streams.core.model.orders.order import NO_DETAILS, OrderDetails, OrderLine
from streams.core.model.orders.receipt import receipt_of
from streams.core.values import money


def total(context: EvalContext) -> Decimal:
    facts = context.facts
    return money.major(facts.total_minor, facts.currency) if facts else Decimal(0)


def discount(context: EvalContext) -> Decimal:
    facts = context.facts
    return money.major(facts.discount_minor, facts.currency) if facts else Decimal(0)


def details(context: EvalContext) -> OrderDetails:
    return (context.facts.details if context.facts else None) or NO_DETAILS


def is_invoiced(context: EvalContext) -> bool:
    """Return whether the shop has issued an invoice: its number, its date and the billing address are known."""
    known = details(context)
    return bool(known.invoice_number) and known.invoiced_at is not None and known.billing_address is not None


def subtotal(context: EvalContext) -> Decimal:
    facts = context.facts
    if facts is None:
        return Decimal(0)
    receipt = receipt_of(facts.lines, facts.total_minor, facts.discount_minor, facts.details)
    return money.major(receipt.subtotal, facts.currency)


def shipping(context: EvalContext) -> Decimal:
    facts, minor = context.facts, details(context).shipping_minor
    return money.major(minor, facts.currency) if facts and minor is not None else Decimal(0)


def refunded(context: EvalContext) -> Decimal:
    order, facts = context.order, context.facts
    return money.major(order.refund_minor, facts.currency) if order and facts else Decimal(0)


def value(context: EvalContext) -> Decimal:
    return (
        money.major(context.order.converted_minor, context.uow.ruleset.shop.currency) if context.order else Decimal(0)
    )


def ship_country(context: EvalContext) -> str:
    return context.facts.ship_country if context.facts else ""


def lines(context: EvalContext) -> tuple[OrderLine, ...]:
    return tuple([line for line in context.facts.lines if line.is_goods]) if context.facts else ()


def is_late(context: EvalContext) -> bool:
    return context.order is not None and context.order.is_late(context.uow.now, context.uow.ruleset.late_at_most)


def product(context: EvalContext) -> OrderLine | None:
    sku = context.data("sku")
    return next((line for line in lines(context) if line.sku == sku), None)


def lasts_days(context: EvalContext) -> int:
    """Return how many days one piece of the product lasts, as its order says; 0 if the order does not say it."""
    line = product(context)
    return (line.lasts_days or 0) if line is not None else 0


def is_coming(context: EvalContext) -> bool:
    launches_at = context.data("launches_at")
    return bool(launches_at) and datetime.fromisoformat(launches_at) > context.uow.now


def is_bought(context: EvalContext) -> bool:
    """Return whether the product was bought after it was viewed or, for a product of an order, in a later order."""
    sku, seen_at = context.data("sku"), context.data("seen_at")
    since = datetime.fromisoformat(seen_at) if seen_at else context.facts.placed_at if context.facts else None
    own_order_id = "" if seen_at or context.order is None else context.order.order_id
    return any(
        order.order_id != own_order_id and order.placed and order.cancelled_at is None and line.sku == sku
        for order in context.uow.orders
        if not order.is_test and order.facts is not None and (since is None or order.facts.placed_at >= since)
        for line in order.facts.lines
    )
