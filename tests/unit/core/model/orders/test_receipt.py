"""The receipt of an order: what the shop states counts, the rest is computed, and it says whether it adds up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.model.orders.order import LineDetails, OrderDetails, OrderDiscount, OrderLine, OrderTax
from streams.core.model.orders.receipt import quantity_text, rate_text, receipt_of

PLAIN = OrderLine("s1", "Tea", "tea", 2, 12_500)
LINES = (PLAIN, OrderLine("s2", "Boots", "shoes", 1, 39_900))


def with_details(line: OrderLine, **details: object) -> OrderLine:
    """Return the line with details."""
    return replace(line, details=replace(line.details or LineDetails(), **details))


def test_an_order_without_details() -> None:
    """Quantity times price is the amount of a line, and the discount of the order is a row."""
    receipt = receipt_of(LINES, 54_900, 10_000, None)
    assert (receipt.lines, receipt.subtotal, receipt.total) == ((25_000, 39_900), 64_900, 54_900)
    assert [(row.kind, row.minor) for row in receipt.rows] == [("discount", -10_000)]
    assert receipt.adds_up


@pytest.mark.parametrize(
    ("details", "is_judged"),
    [
        (None, False),
        (OrderDetails(order_number="#1"), False),
        (OrderDetails(subtotal_minor=64_900), False),
        (OrderDetails(shipping_minor=0), True),
        (OrderDetails(shipping_minor=0, prices_include_tax=False), True),
        (OrderDetails(subtotal_minor=64_800), True),
    ],
)
def test_a_total_is_judged_only_if_the_shop_states_its_shipping(details: OrderDetails | None, is_judged: bool) -> None:
    """A total of 49 more is wrong only if the shipping is known. Lines that contradict the subtotal are always wrong."""
    assert receipt_of(LINES, 69_800, 0, details).adds_up is not is_judged


def test_a_line_of_shipping_states_the_shipping() -> None:
    """An order whose shipping is a line is judged."""
    lines = (*LINES, OrderLine("", "Post", "", 1, 4_900, None, LineDetails(kind="shipping")))
    assert receipt_of(lines, 69_800, 0, None).adds_up
    assert not receipt_of(lines, 69_900, 0, None).adds_up


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        (PLAIN, 25_000),
        (with_details(PLAIN, discount_minor=1_000), 24_000),
        (with_details(PLAIN, total_minor=24_999), 24_999),
        (with_details(PLAIN, quantity_thousandths=500, unit="kg"), 6_250),
        (with_details(replace(PLAIN, unit_price_minor=101), quantity_thousandths=335), 34),
        (with_details(replace(PLAIN, unit_price_minor=-101), quantity_thousandths=500), -51),
        (with_details(replace(PLAIN, quantity=1, unit_price_minor=-5_000), kind="discount"), -5_000),
        (replace(PLAIN, quantity=0), 0),
        (replace(PLAIN, quantity=-1), -12_500),
    ],
)
def test_the_amount_of_a_line(line: OrderLine, amount: int) -> None:
    """The stated total counts; else the quantity, by weight rounded half away from zero, times the price, less the discount."""
    assert receipt_of((line,), amount, 0, None).lines == (amount,)
    assert receipt_of((line,), amount, 0, None).adds_up


def test_tax_that_is_included_and_tax_that_is_added() -> None:
    """Included tax is only shown; without `prices_include_tax` it is a row, and a line's stated total is shown without its tax."""
    taxes = (OrderTax("VAT", 25_000, 12_980),)
    included = receipt_of(LINES, 64_900, 0, OrderDetails(taxes=taxes))
    assert (included.rows, [row.minor for row in included.included], included.adds_up) == ((), [12_980], True)
    stated = (with_details(PLAIN, total_minor=31_250, tax_minor=6_250), LINES[1])
    details = OrderDetails(taxes=(OrderTax("VAT", 25_000, 16_225),), prices_include_tax=False)
    added = receipt_of(stated, 81_125, 0, details)
    assert added.lines == (25_000, 39_900)
    assert ([row.minor for row in added.rows], added.included, added.adds_up) == ([16_225], (), True)
    assert receipt_of(stated, 81_125, 0, replace(details, taxes=(), tax_minor=16_225)).adds_up


def test_discounts_are_not_subtracted_twice() -> None:
    """The discounts of lines, and lines that are discounts, are part of the order's discount. Rows with codes replace the rest of it."""
    lines = (
        with_details(PLAIN, discount_minor=1_000),
        OrderLine("", "Sale", "", 1, -2_000, None, LineDetails(kind="discount")),
    )
    receipt = receipt_of(lines, 20_500, 4_500, None)
    assert [(row.label, row.minor) for row in receipt.rows] == [("", -1_500)]
    assert receipt.adds_up
    codes = OrderDetails(
        discounts=(OrderDiscount("TEN", "", 1_000), OrderDiscount("", "Spring", 500), OrderDiscount("FREE", "", 0))
    )
    receipt = receipt_of(lines, 20_500, 4_500, codes)
    assert [(row.label, row.minor) for row in receipt.rows] == [("TEN", -1_000), ("Spring", -500)]
    assert receipt.adds_up


def test_a_stated_subtotal_must_be_that_of_the_lines() -> None:
    """A subtotal that the lines contradict is shown as stated, and the receipt does not add up."""
    receipt = receipt_of(LINES, 64_800, 0, OrderDetails(subtotal_minor=64_800))
    assert (receipt.subtotal, receipt.adds_up) == (64_800, False)
    assert receipt_of(LINES, 64_900, 0, OrderDetails(subtotal_minor=64_900)).adds_up


def test_decimal_texts() -> None:
    """Quantities and rates are decimal numbers without zeros at the end."""
    assert [quantity_text(with_details(PLAIN, quantity_thousandths=n)) for n in (500, 1_000, 1_250, 10_000, -500)] == [
        "0.5", "1", "1.25", "10", "-0.5",
    ]  # fmt: skip
    assert quantity_text(PLAIN) == "2"
    assert [rate_text(rate) for rate in (25_000, 8_875, 5_500, 0, None)] == ["25", "8.875", "5.5", "0", ""]
