"""The content of an invoice or a receipt, from the data of an order and the shop's brand. Nothing is corrected: see `invoice_of`.

A document is an invoice only if it has what the law of the shop's country asks for. In the European Union that is article 226 of the VAT
directive (2006/112/EC):

1. the date of issue: `order.invoiced_at`;
2. a sequential number: `order.invoice_number`, which the shop gives;
3. the VAT number of the seller: `vat` or `registration` of the brand;
4. the VAT number of the buyer, if the buyer pays the tax to the state: `order.vat_number`;
5. full name and address of both: `company` and `address` of the brand, `order.billing_address`;
6. quantity and nature of the goods: the lines;
7. the date of the supply, if it is known and differs from the date of issue: the date of the order is shown, the supply follows it;
8. the taxable amount per rate or exemption, the price of a unit without VAT, and discounts that it does not include: `taxed_amounts` and the
   lines;
9. the rate of VAT: `order.taxes`;
10. the amount of VAT: `order.taxes`;
11. why no VAT is charged, "Reverse charge", and the other notices of points 10a to 15: `order.invoice_note`.

Without one of them, or if the taxes contradict the rates of the lines, the document is a receipt. After a refund the law asks for a credit
note (article 219), which Takk does not make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from streams.mail.rendering.brand import Details, is_placeholder
from streams.mail.rendering.documents.taxes import TaxedAmount, net_price, rate_of, taxed_amounts, taxes_agree
from streams.mail.rendering.render_errors import IncorrectDocument

#: Lines of a document, as many as an order has at most (`schemas/order.avsc`). They are about 60 pages.
MOST_LINES = 1_000
#: Countries without VAT or a similar tax ask for none of its parts. Elsewhere, and if the country is unknown, they are asked for.
_WITHOUT_VAT = frozenset(("US", "HK", "GG", "JE", "GI"))


class DocumentLine(Struct, frozen=True):
    """A line of goods, a fee, a discount or a delivery.

    Attributes:
        title, variant: what it is.
        quantity, unit: how much, as a decimal number with a dot, and its unit; "" for a line without a quantity.
        unit_minor: the price of one unit, without tax if the rate is known; None without a quantity.
        discount_minor: the discount that `amount_minor` has, 0 or more.
        rate: the tax rate in percent, as a decimal number with a dot; "" if it is unknown.
        amount_minor: what the buyer pays for the line.
        kind: the kind of the line.
    """

    title: str
    variant: str
    quantity: str
    unit: str
    unit_minor: int | None
    discount_minor: int
    rate: str
    amount_minor: int
    kind: str


class Invoice(Struct, frozen=True, kw_only=True):
    """The content of a document. All amounts are in minor units of `currency`.

    Attributes:
        is_invoice: whether it is an invoice. Otherwise it is a receipt.
        lacks: the parts that it lacks to be an invoice, in words.
        number, issued_at: the number and the date (ISO 8601) of an invoice; "" for a receipt.
        order_number, placed_at: the number and the date (ISO 8601) of the order.
        has_net_prices: whether the prices of units are without tax, although the amounts of the lines include it.
        includes_tax: whether the amounts of lines include tax.
        lines: the lines.
        subtotal_minor: the sum of the lines.
        rows: discounts, shipping and added tax, as (kind, label, rate, amount).
        total_minor: what the buyer pays.
        taxed: the taxable amounts with their tax, per rate; empty if they cannot be computed.
        taxes: the tax as the shop states it, as (label, rate, amount).
        paid_minor: what has been paid; None if that is unknown.
        refunded_minor: what has been refunded.
        payment_method: how the buyer pays, or "".
        buyer, delivery: the billing address and the shipping address, or None.
        vat_number: the buyer's VAT number, or "".
        note: what the law asks the invoice to say, or "".
    """

    is_invoice: bool
    lacks: tuple[str, ...]
    number: str
    issued_at: str
    order_number: str
    placed_at: str
    currency: str
    has_net_prices: bool
    includes_tax: bool
    lines: tuple[DocumentLine, ...]
    subtotal_minor: int
    rows: tuple[tuple[str, str, str, int], ...]
    total_minor: int
    taxed: tuple[TaxedAmount, ...]
    taxes: tuple[tuple[str, str, int], ...]
    paid_minor: int | None
    refunded_minor: int
    payment_method: str
    buyer: Mapping[str, str] | None
    delivery: Mapping[str, str] | None
    vat_number: str
    note: str

    @property
    def due_minor(self) -> int | None:
        """The amount that the buyer still has to pay; None if that is unknown."""
        return None if self.paid_minor is None else max(0, self.total_minor - self.paid_minor)


def invoice_of(order: Mapping[str, Any], shop_country: str, seller: Details) -> Invoice:
    """Return the content of the document of an order.

    Args:
        order: the order in the data of a command.
        shop_country: the country of the shop (ISO 3166-1 alpha-2), or "".
        seller: the details of the shop.

    Raises:
        IncorrectDocument: the amounts of the order contradict each other, or it has too many lines.
    """
    if len(order["lines"]) > MOST_LINES:
        raise IncorrectDocument(f"the order has more than {MOST_LINES:,} lines")
    currency, total = order["total"]["currency"], _minor(order["total"])
    check_amounts(order)
    rows = tuple([(row["kind"], row["label"], row["rate"], _minor(row["amount"])) for row in order["adjustments"]])
    includes_tax = order["prices_include_tax"]
    stated = order["included_taxes"] if includes_tax else [row for row in order["adjustments"] if row["kind"] == "tax"]
    taxes = tuple([(row["label"], row["rate"], _minor(row["amount"])) for row in stated])
    only_rate = taxes[0][1] if len(taxes) == 1 else ""
    rates = [line.get("tax_rate") or ("" if line["kind"] == "gift_card" else only_rate) for line in order["lines"]]
    parts = len([line for line in order["lines"] if line["quantity"] or _minor(line["amount"])]) + len(rows)
    rated_taxes = [(rate_of(rate), amount) for _, rate, amount in taxes]
    rated_lines = [(rate_of(rate), _minor(line["amount"])) for line, rate in zip(order["lines"], rates, strict=True)]
    taxed = taxed_amounts(total, rated_taxes, rated_lines, parts)
    others = [amount for kind, _, _, amount in rows if kind != "tax"]
    is_consistent = taxes_agree(rated_taxes, rated_lines, others, taxed, parts, includes_tax=includes_tax)
    lacks = _lacks(order, seller, taxed, asks_for_tax=shop_country not in _WITHOUT_VAT, rates=rates)
    if not is_consistent:
        lacks, taxed = (*lacks, "taxes that agree with the rates of the lines"), ()
    if not taxes or not is_consistent:
        rates = [""] * len(rates)  # nothing is charged by them
    has_net_prices = includes_tax and bool(taxes) and all(rates)
    lines = tuple(
        [
            _line(line, rate, has_net_prices=has_net_prices)
            for line, rate in zip(order["lines"], rates, strict=True)
            if line["quantity"] or _minor(line["amount"])
        ]
    )
    paid = _minor(order["paid"]) if order["paid"] else None
    return Invoice(
        is_invoice=not lacks,
        lacks=lacks,
        number="" if lacks else order["invoice_number"],
        issued_at="" if lacks else order["invoiced_at"],
        order_number=order["order_number"],
        placed_at=order["placed_at"],
        currency=currency,
        has_net_prices=has_net_prices,
        includes_tax=includes_tax,
        lines=lines,
        subtotal_minor=_minor(order["subtotal"]),
        rows=rows,
        total_minor=total,
        taxed=taxed,
        taxes=taxes,
        paid_minor=total if paid is None and order["is_paid"] else paid,
        refunded_minor=_minor(order["refunded"]) if order["refunded"] else 0,
        payment_method=order["payment_method"],
        buyer=order["billing_address"],
        delivery=order["shipping_address"],
        vat_number=order["vat_number"],
        note=order["invoice_note"],
    )


def check_amounts(order: Mapping[str, Any]) -> None:
    """Check that the lines of an order give its subtotal, and that with all that is added and subtracted its total.

    Raises:
        IncorrectDocument: they do not, a currency differs, or the tax is more than the total.
    """
    rows = [row["amount"] for row in order["adjustments"]]
    included = [row["amount"] for row in order["included_taxes"]]
    amounts = [line["amount"] for line in order["lines"]]
    if len({each["currency"] for each in (order["total"], order["subtotal"], *amounts, *rows, *included)}) > 1:
        raise IncorrectDocument("the amounts have several currencies")
    if sum(map(_minor, amounts)) != _minor(order["subtotal"]):
        raise IncorrectDocument("the lines do not give the subtotal")
    if _minor(order["subtotal"]) + sum(map(_minor, rows)) != _minor(order["total"]):
        raise IncorrectDocument("subtotal, discounts, shipping and added tax do not give the total")
    if sum(map(_minor, included)) > max(0, _minor(order["total"])):
        raise IncorrectDocument("the tax is more than the total")


def _lacks(
    order: Mapping[str, Any], seller: Details, taxed: tuple[TaxedAmount, ...], *, asks_for_tax: bool, rates: list[str]
) -> tuple[str, ...]:
    """Return what an order and its shop lack for an invoice."""
    buyer = order["billing_address"] or {}
    rows = (*order["included_taxes"], *order["adjustments"])
    is_taxed = any(row["kind"] == "tax" and _minor(row["amount"]) for row in rows)
    # Takk comes with a brand that names no company, for trials.
    is_example = any(map(is_placeholder, seller.legal_lines))
    has_one_rate = len([each for each in taxed if each.rate]) <= 1
    parts = {
        "the number of the invoice": bool(order["invoice_number"]),
        "its date": bool(order["invoiced_at"]),
        "the name of the seller": bool(seller.company),
        "the address of the seller": bool(seller.address),
        "the name of the buyer": bool(buyer.get("name") or buyer.get("company")),
        "the address of the buyer": bool(buyer.get("line1") and (buyer.get("city") or buyer.get("postal_code"))),
        "the goods": bool(order["lines"]),
    }
    if asks_for_tax:
        parts |= {
            "the VAT number of the seller": bool(seller.vat or seller.registration) or is_example,
            "the taxable amounts": bool(taxed) or not is_taxed,
            "the tax rate of each line": has_one_rate or all(rates),
            "why no tax is charged": is_taxed or bool(order["invoice_note"]),
        }
    return tuple([name for name, is_there in parts.items() if not is_there])


def _line(line: Mapping[str, Any], rate: str, *, has_net_prices: bool) -> DocumentLine:
    is_counted = line["kind"] in ("product", "gift", "gift_card")
    price = _minor(line["unit_price"])
    return DocumentLine(
        title=line["title"],
        variant=line["variant"],
        quantity=line["quantity_decimal"] if is_counted else "",
        unit=line["unit"],
        unit_minor=None if not is_counted else net_price(price, rate_of(rate)) if has_net_prices else price,
        discount_minor=_minor(line["discount"]) if line["discount"] else 0,
        rate=rate,
        amount_minor=_minor(line["amount"]),
        kind=line["kind"],
    )


def _minor(amount: Mapping[str, Any]) -> int:
    return int(amount["minor"])
