"""The receipt of an order: its lines, what is added and subtracted, and whether that gives the total.

Everything is computed in minor units. Where the shop says what a line, a discount or a tax amounts to, that counts; Takk computes only what
the shop left out, and it never corrects an amount: a receipt that does not add up is sent as the shop describes it, and marked.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from streams.core.model.orders.order import NO_DETAILS, NO_LINE_DETAILS, LineDetails, OrderDetails, OrderLine
from streams.core.values.money import saturated
from streams.core.values.text import thousandths_text

RowKind: TypeAlias = Literal["discount", "shipping", "tax"]
#: Thousandths of a unit in one unit.
_THOUSAND = 1000


class Row(Struct, frozen=True, gc=False):
    """An amount between the lines and the total, below 0 for a discount.

    Attributes:
        kind: what the amount is.
        label: the code of a discount, the method of shipping, the name of a tax; "" if it has none.
        tax_rate: the rate of a tax in thousandths of a percent; None if unknown.
        minor: the amount in minor units of the order's currency.
    """

    kind: RowKind
    label: str
    minor: int
    tax_rate: int | None = None


class Receipt(Struct, frozen=True, gc=False):
    """The amounts of an order, in minor units of its currency.

    Attributes:
        lines: the amount of each line after its own discount, with the tax if prices include it.
        subtotal: the sum of the lines, as the shop says it or else computed.
        rows: what is added to the subtotal; their sum and the subtotal are the total.
        included: the tax that is already in the prices.
        total: what the customer pays.
        adds_up: whether the lines are the subtotal, and the subtotal and the rows the total. The total of an order that does not state
            its shipping is not judged: it may contain it.
    """

    lines: tuple[int, ...]
    subtotal: int
    rows: tuple[Row, ...]
    included: tuple[Row, ...]
    total: int
    adds_up: bool


def receipt_of(
    lines: tuple[OrderLine, ...], total_minor: int, discount_minor: int, details: OrderDetails | None
) -> Receipt:
    """Return the receipt of an order.

    Args:
        lines: all lines of the order.
        total_minor: the total that the shop states.
        discount_minor: all discounts of the order, those of its lines included.
        details: the details that the shop gave.
    """
    known = details or NO_DETAILS
    amounts = [_line_amount(line, includes_tax=known.prices_include_tax) for line in lines]
    computed = sum(amounts)
    subtotal = computed if known.subtotal_minor is None else known.subtotal_minor
    rows = _discounts(lines, discount_minor, known)
    if known.shipping_minor is not None:
        rows.append(Row("shipping", known.shipping_method, known.shipping_minor))
    taxes = _taxes(known)
    if not known.prices_include_tax:
        rows += taxes
    return Receipt(
        lines=tuple([saturated(amount) for amount in amounts]),
        subtotal=saturated(subtotal),
        rows=tuple(rows),
        included=tuple(taxes) if known.prices_include_tax else (),
        total=total_minor,
        adds_up=computed == subtotal
        and (subtotal + sum([row.minor for row in rows]) == total_minor or not _states_shipping(lines, known)),
    )


def _states_shipping(lines: tuple[OrderLine, ...], details: OrderDetails) -> bool:
    """Return whether the price of the delivery is known: as an amount, or as a line. Records of the former schema could not state it."""
    return details.shipping_minor is not None or any(
        line.details is not None and line.details.kind == "shipping" for line in lines
    )


def quantity_text(line: OrderLine) -> str:
    """Return the quantity of a line as a decimal number with a dot: `2`, `0.5`."""
    thousandths = (line.details or NO_LINE_DETAILS).quantity_thousandths
    return str(line.quantity) if thousandths is None else thousandths_text(thousandths)


def rate_text(rate: int | None) -> str:
    """Return a rate in thousandths of a percent as a decimal number of percent: `25`, `8.875`; "" if it is unknown."""
    return "" if rate is None else thousandths_text(rate)


def _line_amount(line: OrderLine, *, includes_tax: bool) -> int:
    details = line.details
    if details is None:
        return line.quantity * line.unit_price_minor
    if details.total_minor is not None:
        if includes_tax:
            return details.total_minor
        if details.tax_minor is not None:
            return details.total_minor - details.tax_minor
    if details.quantity_thousandths is None:
        return line.quantity * line.unit_price_minor - details.discount_minor
    return _rounded(details.quantity_thousandths * line.unit_price_minor) - details.discount_minor


def _rounded(thousandths: int) -> int:
    """Return a number of thousandths as a whole number, half away from zero as tills round."""
    whole = (abs(thousandths) + _THOUSAND // 2) // _THOUSAND
    return whole if thousandths >= 0 else -whole


def _discounts(lines: tuple[OrderLine, ...], discount_minor: int, details: OrderDetails) -> list[Row]:
    if details.discounts:
        return [
            Row("discount", discount.code or discount.title, -discount.amount_minor)
            for discount in details.discounts
            if discount.amount_minor
        ]
    of_lines = sum([_discount_of(line, line.details) for line in lines if line.details is not None])
    return [Row("discount", "", of_lines - discount_minor)] if discount_minor > of_lines else []


def _discount_of(line: OrderLine, details: LineDetails) -> int:
    """Return the part of the order's discounts that a line already has: its own discount, or what a line of discount is."""
    if details.kind == "discount":
        return -_line_amount(line, includes_tax=True)
    return details.discount_minor


def _taxes(details: OrderDetails) -> list[Row]:
    rows = [Row("tax", tax.title, tax.amount_minor, tax.tax_rate) for tax in details.taxes]
    if not rows and details.tax_minor is not None:
        rows = [Row("tax", "", details.tax_minor)]
    return rows
