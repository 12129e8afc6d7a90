"""Money: integers of minor units on the wire, Decimal in rules, never a float."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

_TWO = 2
#: Currency -> decimals, of the currencies whose minor unit is not a hundredth (ISO 4217).
EXPONENTS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    )
    | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
    | {"CLF": 4, "UYW": 4}
)
_UNITS = {0: Decimal(1), 2: Decimal("0.01"), 3: Decimal("0.001"), 4: Decimal("0.0001")}


#: The largest sum that is stored: the largest integer of 64 bits. A sum that would exceed it stays there.
MAX_SUM = (1 << 63) - 1


def saturated(minor: int) -> int:
    """Return a sum of minor units, limited to `MAX_SUM` and `-MAX_SUM`."""
    if -MAX_SUM <= minor <= MAX_SUM:
        return minor
    return MAX_SUM if minor > 0 else -MAX_SUM


def exponent(currency: str) -> int:
    """Return the number of decimals of the currency (ISO 4217)."""
    return EXPONENTS.get(currency, _TWO)


def major(minor: int, currency: str) -> Decimal:
    """Return `minor` minor units of `currency` in its major unit (øre to kroner)."""
    return minor * _UNITS[EXPONENTS.get(currency, _TWO)]


def minor(amount: Decimal, currency: str) -> int:
    """Return an amount in major units as an integer of minor units, rounded half to even."""
    return int((amount / _UNITS[exponent(currency)]).quantize(Decimal(1), ROUND_HALF_EVEN))


def convert(amount_minor: int, currency: str, into: str, rates: Mapping[str, Decimal]) -> int | None:
    """Return an amount in another currency, in minor units, at most `MAX_SUM`, or None if a rate is missing.

    Args:
        amount_minor: the amount in minor units of `currency`.
        currency: the currency of the amount (ISO 4217).
        into: the currency to convert to (ISO 4217).
        rates: the value of one major unit of each currency, in any common unit.
    """
    if currency == into:
        return amount_minor
    source, target = rates.get(currency), rates.get(into)
    if source is None or target is None:
        return None
    amount = major(amount_minor, currency) * source / target
    # A quotient above the limit may have more digits than `Decimal` can round.
    return MAX_SUM if amount >= major(MAX_SUM, into) else minor(amount, into)
