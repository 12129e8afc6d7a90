"""Invoices and receipts: when a document is which, and when none may leave."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.orders.order import LineDetails, OrderLine, OrderTax
from streams.mail.rendering.documents.invoice import MOST_LINES, Invoice, invoice_of
from streams.mail.rendering.documents.taxes import TaxedAmount
from streams.mail.rendering.render_errors import IncorrectDocument
from tests.harness.documents import ADDRESS, DETAILS, LINES, SELLER, order_of

#: A line with another rate than the others, at the price of the second one.
BOOK = replace(LINES[1], details=LineDetails(tax_rate=6_000))


def invoice(shop_country: str = "DK", seller: Any = SELLER, **changes: Any) -> Invoice:
    """Return the content of a document, with changes of the order's details."""
    return invoice_of(order_of(**changes), shop_country, seller)


def test_an_order_with_all_that_the_law_asks_for_has_an_invoice() -> None:
    """Number, date, taxable amount and prices without tax are those of the order."""
    found = invoice()
    assert (found.is_invoice, found.number, found.lacks) == (True, "F-17", ())
    assert found.taxed == (TaxedAmount(Fraction(25), 50_648, 12_662),)
    assert [line.unit_minor for line in found.lines] == [10_000, 31_920]
    assert found.due_minor == 0


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"invoice_number": ""}, "the number of the invoice"),
        ({"invoiced_at": None}, "its date"),
        ({"billing_address": None}, "the name of the buyer"),
        ({"billing_address": replace(ADDRESS, name="")}, "the name of the buyer"),
        ({"billing_address": replace(ADDRESS, line1="")}, "the address of the buyer"),
        ({"seller": replace(SELLER, company="")}, "the name of the seller"),
        ({"seller": replace(SELLER, address="")}, "the address of the seller"),
        ({"seller": replace(SELLER, vat="", registration="")}, "the VAT number of the seller"),
        ({"taxes": (OrderTax("moms", None, 12_662),)}, "the taxable amounts"),
        ({"taxes": (OrderTax("moms", 25_000, 6_000),)}, "the taxable amounts"),
        ({"taxes": ()}, "why no tax is charged"),
        ({"taxes": (OrderTax("moms", 8_875, 5_161),)}, "taxes that agree with the rates of the lines"),
        (
            {"taxes": (OrderTax("moms", 8_875, 5_161),), "shop_country": "US"},
            "taxes that agree with the rates of the lines",
        ),
        (
            {"taxes": (OrderTax("moms", 25_000, 9_000), OrderTax("moms", 6_000, 1_036)), "lines": (LINES[0], BOOK)},
            "taxes that agree",
        ),
        (
            {
                "taxes": (OrderTax("moms", 25_000, 10_000), OrderTax("moms", 12_000, 1_427)),
                "lines": (LINES[0], replace(LINES[1], details=None)),
            },
            "the tax rate of each line",
        ),
    ],
)
def test_without_a_part_the_document_is_a_receipt(changes: dict[str, Any], lacks: str) -> None:
    """A receipt has neither the number nor the date of an invoice, whatever else the order has."""
    found = invoice(**changes)
    assert [part for part in found.lacks if lacks in part]
    assert (found.is_invoice, found.number, found.issued_at) == (False, "", "")


def test_a_receipt_does_not_show_rates_that_its_tax_contradicts() -> None:
    """It has the prices that the buyer paid, and the tax as the shop states it."""
    found = invoice(taxes=(OrderTax("moms", 8_875, 5_161),))
    assert [(line.rate, line.unit_minor) for line in found.lines] == [("", 12_500), ("", 39_900)]
    assert (found.taxed, found.taxes) == ((), (("moms", "8.875", 5_161),))


@pytest.mark.parametrize(
    ("taxes", "rates"),
    [
        ([(4_000, 2_596), (4_875, 3_164)], (8_875, 8_875)),
        ([(4_000, 2_596), (4_000, 2_596)], (8_000, 8_000)),
        ([(4_000, 2_596), (2_000, 500), (1_000, 399)], (6_000, 5_000)),
    ],
)
def test_several_taxes_of_the_same_goods(taxes: list[tuple[int, int]], rates: tuple[int, int]) -> None:
    """A line may have the rate of several taxes together, as for a state and a city, also if they have the same rate."""
    stated = tuple([OrderTax("Tax", rate, amount) for rate, amount in taxes])
    lines = tuple([replace(line, details=LineDetails(tax_rate=rate)) for line, rate in zip(LINES, rates, strict=True)])
    total = 63_310 + sum([amount for _, amount in taxes])
    assert invoice("US", taxes=stated, lines=lines, prices_include_tax=False, total_minor=total).is_invoice


def test_the_sums_of_very_many_taxes_are_not_tried() -> None:
    """An order may have 100 taxes, and 100 taxes have more sums than a computer can try."""
    stated = tuple([OrderTax("Tax", 1_000 + number, 0) for number in range(100)])
    lines = tuple([replace(line, details=LineDetails(tax_rate=99_999)) for line in LINES])
    found = invoice("US", taxes=stated, lines=lines, prices_include_tax=False, total_minor=63_310)
    assert found.lacks == ("taxes that agree with the rates of the lines",)


def test_a_cheap_line_without_tax_is_not_taxed() -> None:
    """Many lines leave room for roundings, but what is not taxed is not part of a taxable amount."""
    lines = [OrderLine(f"S-{n}", "Te", "", 1, 1_000, details=LineDetails(tax_rate=25_000)) for n in range(40)]
    lines.append(OrderLine("B", "Frimærke", "", 1, 100, details=LineDetails(tax_rate=0)))
    taxes = (OrderTax("moms", 25_000, 8_000), OrderTax("moms", 0, 0))
    found = invoice(lines=tuple(lines), total_minor=40_100, taxes=taxes, discounts=(), shipping_minor=0)
    assert found.taxed == (TaxedAmount(Fraction(25), 32_000, 8_000), TaxedAmount(Fraction(0), 100, 0))


def test_a_rate_without_tax_is_no_exemption() -> None:
    """A shop that states 25 % and no tax contradicts itself, also with a note. Prices without a tax that nobody charged are not shown."""
    found = invoice(taxes=(OrderTax("moms", 25_000, 0),), invoice_note="Reverse charge")
    assert not found.is_invoice
    assert (found.has_net_prices, [line.unit_minor for line in found.lines]) == (False, [12_500, 39_900])
    assert invoice(taxes=(OrderTax("moms", None, 0),), invoice_note="Reverse charge").is_invoice


def test_lines_without_tax_show_no_rate() -> None:
    """The rate that the goods would have is not charged if another one pays the tax."""
    assert {line.rate for line in invoice(taxes=(), invoice_note="Reverse charge").lines} == {""}


def test_an_exemption_is_stated_instead_of_tax() -> None:
    """An order without tax has an invoice if its note says why. A country without VAT does not ask for it."""
    assert invoice(taxes=(), invoice_note="Reverse charge").is_invoice
    assert invoice("US", taxes=()).is_invoice
    assert not invoice("", taxes=()).is_invoice


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subtotal_minor": 64_901}, "the lines do not give the subtotal"),
        ({"total_minor": 63_311}, "do not give the total"),
        ({"shipping_minor": None}, "do not give the total"),
        ({"lines": LINES[:1]}, "do not give the total"),
        ({"taxes": (OrderTax("moms", 25_000, 63_311),)}, "the tax is more than the total"),
        ({"prices_include_tax": False}, "do not give the total"),
    ],
)
def test_a_document_that_does_not_add_up_never_leaves(changes: dict[str, Any], reason: str) -> None:
    """Neither as an invoice nor as a receipt."""
    for number in ("F-17", ""):
        with pytest.raises(IncorrectDocument, match=reason):
            invoice(**{"invoice_number": number, **changes})


def test_an_order_with_two_currencies_has_no_document() -> None:
    """An amount in another currency cannot be part of a sum."""
    order = order_of()
    order["lines"][0]["amount"]["currency"] = "SEK"
    with pytest.raises(IncorrectDocument, match="several currencies"):
        invoice_of(order, "DK", SELLER)


def test_a_document_has_as_many_lines_as_an_order() -> None:
    """One more line is an error, instead of a document without its end."""
    free = OrderLine("S-0", "Gift", "gifts", 1, 0)
    assert len(invoice(lines=(*LINES, *[free] * (MOST_LINES - 2))).lines) == MOST_LINES
    with pytest.raises(IncorrectDocument, match="more than 1,000 lines"):
        invoice(lines=(*LINES, *[free] * (MOST_LINES - 1)))


def test_tax_that_is_added_to_the_prices() -> None:
    """Prices and amounts of lines are without tax, and so is what was taxed."""
    found = invoice(prices_include_tax=False, lines=LINES, taxes=(OrderTax("VAT", 25_000, 15_828),), total_minor=79_138)
    assert (found.is_invoice, found.has_net_prices) == (True, False)
    assert found.taxed == (TaxedAmount(Fraction(25), 63_310, 15_828),)
    assert [line.unit_minor for line in found.lines] == [12_500, 39_900]


def test_two_rates_and_a_gift_card() -> None:
    """Each rate has its own amount, and what no tax is in has none. All of them give the total."""
    book = OrderLine("S-3", "Bog", "books", 1, 10_600, details=LineDetails(tax_rate=6_000))
    card = OrderLine("S-4", "Gavekort", "cards", 1, 20_000, details=LineDetails(kind="gift_card"))
    taxes = (OrderTax("moms", 25_000, 12_662), OrderTax("moms", 6_000, 600))
    found = invoice(lines=(*LINES, book, card), taxes=taxes, total_minor=93_910)
    assert found.taxed == (
        TaxedAmount(Fraction(25), 50_648, 12_662), TaxedAmount(Fraction(6), 10_000, 600), TaxedAmount(Fraction(0), 20_000, 0),
    )  # fmt: skip
    assert sum(each.net_minor + each.tax_minor for each in found.taxed) == found.total_minor


def test_what_is_still_due() -> None:
    """A payment in part leaves an amount. Without any word of the payment, nothing is said of it."""
    assert invoice(paid_minor=10_000).due_minor == 53_310
    assert invoice(paid_minor=None).due_minor is None
    assert DETAILS.paid_minor == 63_310
