"""Money and ids."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.core.values import ids, money


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [(12_345, "DKK", "123.45"), (500, "JPY", "500"), (1_500, "KWD", "1.500"), (-1, "EUR", "-0.01")],
)
def test_minor_and_major(minor: int, currency: str, amount: str) -> None:
    """Each currency has its number of decimals, and converting there and back loses nothing."""
    assert money.major(minor, currency) == Decimal(amount)
    assert money.minor(Decimal(amount), currency) == minor


def test_conversion() -> None:
    """Amounts are converted across different decimals; an unknown rate gives None."""
    rates = {"EUR": Decimal("7.5"), "DKK": Decimal(1), "JPY": Decimal("0.05")}
    assert money.convert(10_000, "EUR", "DKK", rates) == 75_000
    assert money.convert(2_000, "JPY", "DKK", rates) == 10_000
    assert money.convert(7, "XXX", "XXX", rates) == 7
    assert money.convert(7, "XXX", "DKK", rates) is None


def test_ids_are_stable() -> None:
    """Ids are 32 hexadecimal characters and never change, since sent emails are known by them."""
    instance = ids.instance_id("c1", "review", "o1")
    assert instance == ids.digest("instance", "c1", "review", "o1") != ids.instance_id("c1", "reviewo", "1")
    assert ids.send_id(instance, "1.0.0") != ids.send_id(instance, "1.1.0")
    assert ids.digest("a", "b") == "065ab5741cdfad44687cf119c1eb4ec9"
    assert len(ids.fingerprint("a")) == 8
