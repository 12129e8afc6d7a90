"""Money adds up: over generated orders, lines, adjustments and total agree to the smallest unit, or the order is marked."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.effects import LogDecision, SendMail
from streams.core.sending.content import template_data
from streams.mail.rendering.filters import plain_amount
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.events import shop_ruleset
from tests.harness.records import AT, AT_MS

DECODER = Decoder(CODEC)
RULESET = shop_ruleset()
NOW = AT + timedelta(minutes=1)
#: Currencies with 0, 2 and 3 decimals.
CURRENCIES = ("JPY", "DKK", "EUR", "KWD")
RATES = (0, 6_000, 8_875, 12_000, 25_000)

prices = st.integers(0, 200_000) | st.sampled_from([0, 1, 99, 10**12])
carts = st.lists(
    st.fixed_dictionaries(
        {
            "price": prices,
            "quantity": st.integers(0, 5),
            "weight": st.none() | st.integers(1, 5_000),
            "percent_off": st.sampled_from([0, 0, 10, 33, 100]),
            "rate": st.sampled_from(RATES),
            "states_total": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)


def half_up(amount: Fraction) -> int:
    """Return an amount in whole minor units, as a till rounds it."""
    return int(amount + Fraction(1, 2))


def order_of(cart: list[dict[str, Any]], shop: dict[str, Any]) -> dict[str, Any]:
    """Return the record that a shop writes for a cart. Its amounts are exact fractions that are rounded once."""
    includes_tax, lines, taxes, net = shop["includes_tax"], [], dict.fromkeys(RATES, 0), 0
    for number, item in enumerate(cart):
        quantity = Fraction(item["weight"], 1_000) if item["weight"] else Fraction(item["quantity"])
        full = half_up(quantity * item["price"])
        discount = half_up(Fraction(full * item["percent_off"], 100))
        amount, rate = full - discount, Fraction(item["rate"], 100_000)
        tax = half_up(amount * rate / (1 + rate)) if includes_tax else half_up(amount * rate)
        taxes[item["rate"]] += tax
        net += amount
        stated = amount if includes_tax else amount + tax
        lines.append(
            records.line(
                sku=f"s{number}",
                quantity=1 if item["weight"] else item["quantity"],
                unit_price_minor=item["price"],
                quantity_thousandths=item["weight"],
                unit="kg" if item["weight"] else "",
                discount_minor=discount,
                tax_rate=item["rate"],
                tax_minor=tax,
                total_minor=stated if item["states_total"] else None,
            )
        )
    of_order = min(shop["off"], net)
    total = net - of_order + shop["shipping"] + (0 if includes_tax else sum(taxes.values()))
    of_lines = sum(line["discount_minor"] for line in lines)
    rows = [{"code": "A", "title": "", "amount_minor": of_order}] if shop["has_codes"] else []
    return records.order(
        currency=shop["currency"],
        lines=lines,
        total_minor=total,
        discount_minor=of_order + of_lines,
        discounts=rows,
        shipping_minor=shop["shipping"],
        subtotal_minor=net if shop["states_subtotal"] else None,
        taxes=[{"title": "", "tax_rate": rate, "amount_minor": tax} for rate, tax in taxes.items() if tax],
        prices_include_tax=includes_tax,
    )


shops = st.fixed_dictionaries(
    {
        "currency": st.sampled_from(CURRENCIES),
        "includes_tax": st.booleans(),
        "off": st.integers(0, 50_000),
        "has_codes": st.booleans(),
        "shipping": st.integers(0, 20_000),
        "states_subtotal": st.booleans(),
    }
)


def confirmed(record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the data of the order in its confirmation, and whether the order is marked as not adding up."""
    event = DECODER.event(topics.ORDERS, b"c1", CODEC.encode("order", record), AT_MS)
    after, effects = advance(RULESET, new_customer("c1"), event, NOW)
    [mail] = [effect for effect in effects if isinstance(effect, SendMail) and effect.message == "confirmation"]
    is_noted = any(isinstance(effect, LogDecision) and effect.rule == "does_not_add_up" for effect in effects)
    assert is_noted == after.orders[0].does_not_add_up
    return template_data(mail.content)["order"], is_noted


def sums(order: dict[str, Any]) -> tuple[int, int, int]:
    """Return the sum of the lines, the subtotal, and the subtotal with its adjustments."""
    lines = sum(line["amount"]["minor"] for line in order["lines"])
    subtotal = order["subtotal"]["minor"]
    return lines, subtotal, subtotal + sum(row["amount"]["minor"] for row in order["adjustments"])


@given(carts, shops)
def test_an_order_that_adds_up_in_the_shop_adds_up_on_the_receipt(
    cart: list[dict[str, Any]], shop: dict[str, Any]
) -> None:
    """Tax included or added, several rates, shipping, weights, discounts of lines and of the order, any currency: no unit is lost."""
    record = order_of(cart, shop)
    order, is_marked = confirmed(record)
    assert not is_marked
    lines, subtotal, total = sums(order)
    assert lines == subtotal
    assert total == record["total_minor"] == order["total"]["minor"]
    amounts = [
        order["total"],
        *[line["amount"] for line in order["lines"]],
        *[row["amount"] for row in order["adjustments"]],
    ]
    assert {amount["currency"] for amount in amounts} == {shop["currency"]}
    # As printed, too: the decimals of the currency are exactly those of its minor unit.
    printed = sum(Fraction(plain_amount(amount["minor"], amount["currency"])) for amount in amounts[1:])
    assert printed == Fraction(plain_amount(total, shop["currency"]))


@given(carts, shops, st.integers(-3, 3), st.sampled_from(["total_minor", "shipping_minor", "line"]))
@example([{"price": 100, "quantity": 1, "weight": None, "percent_off": 0, "rate": 0, "states_total": False}],
         {"currency": "JPY", "includes_tax": True, "off": 0, "has_codes": False, "shipping": 0, "states_subtotal": False}, 1, "line")  # fmt: skip
def test_an_order_is_marked_exactly_if_its_amounts_disagree(
    cart: list[dict[str, Any]], shop: dict[str, Any], error: int, place: str
) -> None:
    """One unit too many or too few anywhere marks the order, and its confirmation is sent all the same."""
    record = order_of(cart, shop)
    if place == "line":
        error = abs(error)  # below 0 it would be a discount, which the order's discount may have already
        price = records.line(sku="x", quantity=1, unit_price_minor=error)
        record["lines"] = [*record["lines"], price]
    else:
        record[place] = max(0, record[place] + error)
        error = record[place] - order_of(cart, shop)[place]
    order, is_marked = confirmed(record)
    assert is_marked == (error != 0)
    assert order["total"]["minor"] == record["total_minor"]


@given(carts, shops, st.lists(st.integers(0, 100), max_size=3))
def test_partial_refunds_reduce_the_spend_and_nothing_else(
    cart: list[dict[str, Any]], shop: dict[str, Any], percents: list[int]
) -> None:
    """After refunds, in any order of arrival and repeated, the spend is the total less the largest sum refunded; the receipt still adds up."""
    record = order_of(cart, shop)
    total = record["total_minor"]
    refunds = [total * percent // 100 for percent in percents]
    state = new_customer("c1")
    stories = [record] + [
        {**record, "kind": "refunded", "refunded_minor": refund, "occurred_at": AT + timedelta(seconds=number + 1)}
        for number, refund in enumerate(refunds)
    ]
    for told in (*stories, *reversed(stories)):
        event = DECODER.event(topics.ORDERS, b"c1", CODEC.encode("order", told), AT_MS + 60_000)
        state, _ = advance(RULESET, state, event, NOW)
    kept = total - max(refunds, default=0)
    assert dict(state.spend).get(shop["currency"], 0) == kept
    [order] = state.orders
    assert (order.refunded_at is not None) == any(refund >= total for refund in refunds)
    assert not order.does_not_add_up
    assert state.purchases == 1
