"""Money: integer minor units on the wire, Decimal in rules, never a float."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

_TWO = 2
# ISO 4217: only the currencies whose minor unit is not a hundredth.
_EXPONENTS: Mapping[str, int] = MappingProxyType(
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


def exponent(currency: str) -> int:
    """How many decimals the currency (ISO 4217) has."""
    return _EXPONENTS.get(currency, _TWO)


def major(minor: int, currency: str) -> Decimal:
    """`minor` minor units of `currency` as an amount in its major unit (øre to kroner)."""
    return minor * _UNITS[_EXPONENTS.get(currency, _TWO)]


def minor(amount: Decimal, currency: str) -> int:
    """An amount in major units as whole minor units, half to even."""
    return int((amount / _UNITS[exponent(currency)]).quantize(Decimal(1), ROUND_HALF_EVEN))


def convert(amount_minor: int, currency: str, into: str, rates: Mapping[str, Decimal]) -> int | None:
    """`amount_minor` of `currency` in minor units of `into`.

    `rates` says how much one major unit of a currency is worth in some common unit. None if a rate is not known.
    """
    if currency == into:
        return amount_minor
    source, target = rates.get(currency), rates.get(into)
    if source is None or target is None:
        return None
    return minor(major(amount_minor, currency) * source / target, into)
