"""The values of a product of the catalogue that a condition may use, as they were when the flow started."""

from __future__ import annotations

from decimal import Decimal

from streams.core.conditions.context import EvalContext
from streams.core.values import money


def price(context: EvalContext) -> Decimal:
    return _amount(context, "price")


def old_price(context: EvalContext) -> Decimal:
    return _amount(context, "old_price")


def price_drop(context: EvalContext) -> Decimal:
    return old_price(context) - price(context) if context.data("old_price") else Decimal(0)


def price_drop_percent(context: EvalContext) -> Decimal:
    before = old_price(context)
    return price_drop(context) * 100 / before if before else Decimal(0)


def _amount(context: EvalContext, name: str) -> Decimal:
    minor = context.data(name)
    return money.major(int(minor), context.data("currency")) if minor else Decimal(0)
