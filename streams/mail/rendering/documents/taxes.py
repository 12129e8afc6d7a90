"""The taxable amounts of an order, per rate. Shops state the tax of each rate and the total; what was taxed follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

from msgspec import Struct

#: Parts of a minor unit that each rounding of a tax may be wrong by.
_ROUNDING = Fraction(1, 2)
#: Taxes whose sums are tried. More than that on one line, such as those of a state, a county and a city, are unlikely.
_MOST_TAXES = 6


class TaxedAmount(Struct, frozen=True):
    """A taxable amount and its tax, in minor units. `rate` is in percent; 0 for what is not taxed."""

    rate: Fraction
    net_minor: int
    tax_minor: int


def rate_of(text: str) -> Fraction | None:
    """Return a rate in percent from its decimal text; None if it is unknown."""
    return Fraction(text) if text else None


def net_price(minor: int, rate: Fraction | None) -> int:
    """Return a price without its tax, rounded half away from zero."""
    return minor if rate is None else _rounded(Fraction(minor) * 100 / (100 + rate))


def taxed_amounts(
    total_minor: int,
    taxes: Sequence[tuple[Fraction | None, int]],
    lines: Sequence[tuple[Fraction | None, int]],
    roundings: int,
) -> tuple[TaxedAmount, ...]:
    """Return the taxable amount of each rate, so that all amounts and taxes together are the total; empty if that is impossible.

    The taxable amount of a rate is its tax divided by the rate. The roundings of the tax leave a
    difference, which is in the largest amount. The lines without tax are taken out if less is left then.

    Args:
        total_minor: the total.
        taxes: rate in percent and amount of each tax.
        lines: rate in percent and amount of each line; None for a line whose rate is unknown, such as a gift card.
        roundings: how often the shop may have rounded each tax: the number of lines and rows.
    """
    if not taxes or any(rate is None or (rate == 0 and tax) for rate, tax in taxes):
        return ()
    merged: dict[Fraction, int] = {}
    for rate, tax in taxes:
        if rate:
            merged[rate] = merged.get(rate, 0) + tax
    if not merged:
        return (TaxedAmount(Fraction(0), total_minor, 0),)
    nets = {rate: _rounded(tax * 100 / rate) for rate, tax in merged.items()}
    tolerance = _tolerance(merged, roundings)
    left = total_minor - sum(merged.values()) - sum(nets.values())
    # The roundings of many lines may be as much as a cheap line without tax.
    untaxed = min(0, sum([amount for rate, amount in lines if not rate]), key=lambda amount: abs(left - amount))
    if abs(left - untaxed) > tolerance:
        return ()
    largest = max(nets, key=lambda rate: (nets[rate], rate))
    nets[largest] += left - untaxed
    found = [TaxedAmount(rate, nets[rate], tax) for rate, tax in merged.items()]
    if untaxed or any(rate == 0 for rate, _ in taxes):
        found.append(TaxedAmount(Fraction(0), untaxed, 0))
    return tuple(found)


def taxes_agree(
    taxes: Sequence[tuple[Fraction | None, int]],
    lines: Sequence[tuple[Fraction | None, int]],
    others_minor: Sequence[int],
    taxed: Sequence[TaxedAmount],
    roundings: int,
    *,
    includes_tax: bool,
) -> bool:
    """Return whether the taxes that a shop states can be those of the lines, by the rates of the lines.

    Discounts and shipping can belong to the goods of any rate. A line can have the sum of several rates, as for a state and a city.

    Args:
        taxes: rate in percent and amount of each tax.
        lines: rate in percent and amount of each line; None for a line whose rate is unknown.
        others_minor: the amounts of discounts, shipping and so on.
        taxed: the taxable amounts, or nothing.
        roundings: see `taxed_amounts`.
        includes_tax: whether the amounts of the lines include tax.
    """
    stated = [rate for rate, _ in taxes if rate is not None]
    if not stated or len(stated) < len(taxes):
        return True  # nothing is stated that could differ
    if not taxed and any(stated) and not any(tax for _, tax in taxes):
        return False  # a rate without tax, although there are amounts to tax
    known = {*stated, sum(stated), sum(set(stated))}
    if len(stated) <= _MOST_TAXES:
        known |= {sum(some) for count in range(2, len(stated)) for some in combinations(stated, count)}
    if any(rate and rate not in known and _rounded(amount * rate / (100 + rate)) for rate, amount in lines):
        return False
    if any(rate is None for rate, _ in lines):
        return True
    tolerance = _tolerance([each.rate for each in taxed if each.rate], roundings)
    least, most = (sum([sign * max(0, sign * other) for other in others_minor]) for sign in (-1, 1))
    for each in taxed:
        amount = sum([amount for rate, amount in lines if rate == each.rate])
        found = each.net_minor + each.tax_minor if includes_tax else each.net_minor
        if each.rate and not amount + least - tolerance <= found <= amount + most + tolerance:
            return False
    return True


def _tolerance(rates: Iterable[Fraction], roundings: int) -> Fraction:
    """Return how much the roundings of taxes may change the amounts that follow from them."""
    return sum([(roundings + 1) * _ROUNDING * (1 + 100 / rate) for rate in rates], Fraction(0))


def _rounded(value: Fraction) -> int:
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole
