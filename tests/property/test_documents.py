"""Documents over any order: they add up or none is made, each text renders as text, and the same order gives the same bytes."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.orders.order import Address, LineDetails, OrderDiscount, OrderLine, OrderTax
from streams.core.model.orders.receipt import receipt_of
from streams.mail.rendering.brand import Details
from streams.mail.rendering.documents.invoice import invoice_of
from streams.mail.rendering.documents.taxes import taxed_amounts
from streams.mail.rendering.render_errors import IncorrectDocument
from tests.harness.documents import ADDRESS, BRAND, DETAILS, LINES, SELLER, document_of, order_of, text_of
from tests.harness.examples import examples

#: Rates in thousandths of a percent.
RATES = (0, 6_000, 8_875, 12_000, 25_000)
texts = st.text(max_size=120) | st.text("abc <>&()\\'\"{}%/#\r\n\t", max_size=300)
carts = st.lists(
    st.tuples(st.integers(0, 500_000), st.integers(1, 9), st.sampled_from(RATES), st.integers(0, 100)),
    min_size=1,
    max_size=8,
)
shops = st.fixed_dictionaries(
    {
        "includes_tax": st.booleans(),
        "off": st.integers(0, 2_000),
        "shipping": st.integers(0, 9_900),
        "by_line": st.booleans(),
    }
)


def half_up(amount: Fraction) -> int:
    """Return an amount in whole minor units."""
    return int(amount + Fraction(1, 2))


def order_for(cart: list[tuple[int, int, int, int]], shop: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an order with taxes that are rounded per line, or once per rate."""
    lines, exact, rounded, net = [], dict.fromkeys(RATES, Fraction(0)), dict.fromkeys(RATES, 0), 0
    for number, (price, quantity, rate, percent_off) in enumerate(cart):
        discount = price * quantity * percent_off // 100
        amount = price * quantity - discount
        details = LineDetails(tax_rate=rate, discount_minor=discount)
        lines.append(OrderLine(f"S-{number}", f"Vare {number}", "", quantity, price, details=details))
        part = Fraction(amount * rate, 100_000 + (rate if shop["includes_tax"] else 0))
        exact[rate] += part
        rounded[rate] += half_up(part)
        net += amount
    taxes = {
        rate: rounded[rate] if shop["by_line"] else half_up(exact[rate]) for rate in {rate for _, _, rate, _ in cart}
    }
    # Discounts and shipping are taxed in a way of their own in each shop; without tax they are the hardest.
    total = net + (0 if shop["includes_tax"] else sum(taxes.values()))
    return order_of(
        tuple(lines), total, shipping_minor=0, discounts=(), prices_include_tax=shop["includes_tax"], paid_minor=None,
        taxes=tuple([OrderTax("", rate, tax) for rate, tax in sorted(taxes.items())]), subtotal_minor=None, invoice_note="Note",
    )  # fmt: skip


@given(carts, shops)
@settings(max_examples=examples(400), deadline=None)
def test_taxable_amounts_and_taxes_are_the_total(cart: list[tuple[int, int, int, int]], shop: dict[str, Any]) -> None:
    """However a shop rounds its taxes, the amounts of all rates give the total, and each is near what its tax says."""
    invoice = invoice_of(order_for(cart, shop), "DK", SELLER)
    assert invoice.taxed
    assert sum(each.net_minor + each.tax_minor for each in invoice.taxed) == invoice.total_minor
    for each in invoice.taxed:
        assert (
            abs(each.net_minor * each.rate / 100 - each.tax_minor)
            <= (len(cart) + 2) * (1 + each.rate / 100) * len(RATES) * 5
        )
    assert invoice.is_invoice


@given(carts, st.integers(-5, 5).filter(bool), st.sampled_from(["total", "subtotal", "line", "row"]))
@settings(max_examples=examples(100), deadline=None)
def test_a_changed_amount_gives_no_document(cart: list[tuple[int, int, int, int]], by: int, which: str) -> None:
    """If one amount of an order that adds up is changed by a single minor unit, no document of it leaves."""
    order = order_for(cart, {"includes_tax": True, "off": 0, "shipping": 0, "by_line": True})
    order["adjustments"].append({"kind": "shipping", "label": "", "rate": "", "amount": dict(order["total"], minor=0)})
    amounts = {
        "total": order["total"], "subtotal": order["subtotal"], "line": order["lines"][0]["amount"], "row": order["adjustments"][-1]["amount"],
    }  # fmt: skip
    amounts[which]["minor"] += by
    with pytest.raises(IncorrectDocument):
        document_of(order)


@given(st.lists(texts, min_size=20, max_size=20))
@settings(max_examples=examples(100), deadline=None)
def test_any_text_in_any_field_renders(found: list[str]) -> None:
    """A document is made, with the same bytes each time, whatever customers and shops write. The file name is safe."""
    title, variant, unit, code, method, payment, number, name, note, vat, *rest = found
    lines = (OrderLine("S", title, "", 2, 100, details=LineDetails(variant, 500, unit, 100, tax_rate=25_000)),)
    address = Address(*[*rest, *found][:7], "DK", "")
    order = order_of(
        lines, 100 - 10 + 20, shipping_minor=20, discounts=(OrderDiscount(code, "", 10),), shipping_method=method, payment_method=payment,
        invoice_number=number, order_number=name, invoice_note=note, vat_number=vat, billing_address=address, shipping_address=ADDRESS,
        taxes=(OrderTax(code, 25_000, 22),), paid_minor=None,
    )  # fmt: skip
    seller = Details(company=rest[0], address=rest[1], vat=rest[2], legal=tuple(rest[3:5]), phone=rest[5])
    brand = replace(BRAND, name=name, details={"*": seller})
    document = document_of(order, brand=brand)
    assert document == document_of(order, brand=brand)
    assert document.data.startswith(b"%PDF-")
    assert re.fullmatch(r"[\w.()+-]+\.pdf", document.name)
    text_of(document)


@given(st.text("ab\\()<>{}&;", min_size=1, max_size=40))
@settings(max_examples=examples(60), deadline=None)
def test_a_text_is_shown_as_it_is(title: str) -> None:
    """Signs with a meaning in PDF, in HTML or in templates have none in a text."""
    lines = (OrderLine("S", title, "", 1, 63_310 - 4_900 + 6_490, details=LineDetails(tax_rate=25_000)),)
    assert title in re.sub(r"\n\s*", "", text_of(document_of(order_of(lines))))


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.sampled_from([Fraction(0), Fraction(6), Fraction(25)]), st.integers(0, 10**8)), max_size=3),
)
def test_amounts_of_any_taxes(total: int, taxes: list[tuple[Fraction, int]]) -> None:
    """Whatever a shop states, the amounts give the total, or the result is empty."""
    found = taxed_amounts(total, taxes, [(Fraction(25), total)], 2)
    assert not found or sum(each.net_minor + each.tax_minor for each in found) == total


def test_the_harness_adds_up() -> None:
    """The order of the other tests adds up by the rule of its schema."""
    assert receipt_of(LINES, 63_310, 0, DETAILS).adds_up
