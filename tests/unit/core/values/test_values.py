"""Money, ids and greetings: the small rules."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from streams.core.sending.greeting import Mood, first_name, mood
from streams.core.values import ids, money


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [(12_345, "DKK", "123.45"), (500, "JPY", "500"), (1_500, "KWD", "1.500"), (-1, "EUR", "-0.01")],
)
def test_minor_and_major(minor: int, currency: str, amount: str) -> None:
    """Each currency has its own number of decimals, and nothing is lost on the way there and back."""
    assert money.major(minor, currency) == Decimal(amount)
    assert money.minor(Decimal(amount), currency) == minor


def test_conversion() -> None:
    """Converted across different decimals; an unknown rate is told as None, not guessed."""
    rates = {"EUR": Decimal("7.5"), "DKK": Decimal(1), "JPY": Decimal("0.05")}
    assert money.convert(10_000, "EUR", "DKK", rates) == 75_000
    assert money.convert(2_000, "JPY", "DKK", rates) == 10_000
    assert money.convert(7, "XXX", "XXX", rates) == 7
    assert money.convert(7, "XXX", "DKK", rates) is None


def test_ids_are_stable() -> None:
    """Ids are 32 hex characters that may never change: mails already sent are known by them."""
    instance = ids.instance_id("c1", "review", "o1")
    assert instance == ids.digest("instance", "c1", "review", "o1") != ids.instance_id("c1", "reviewo", "1")
    assert ids.send_id(instance, "1.0.0") != ids.send_id(instance, "1.1.0")
    assert ids.digest("a", "b") == "065ab5741cdfad44687cf119c1eb4ec9"
    assert len(ids.mark("a")) == 8


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("2026-03-02T05:59", "plain"),
        ("2026-03-02T06:00", "morning"),
        ("2026-03-02T08:59", "morning"),
        ("2026-03-02T09:00", "plain"),
        ("2026-03-06T07:00", "weekend"),
        ("2026-12-01T12:00", "christmas"),
        ("2026-12-04T07:00", "christmas"),
        ("2026-12-24T23:59", "christmas"),
        ("2026-12-25T12:00", "weekend"),
    ],
)
def test_moods(moment: str, found: Mood) -> None:
    """Christmas takes precedence over the weekend, and the weekend over the morning."""
    assert mood(datetime.fromisoformat(moment).replace(tzinfo=UTC)) == found


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("", ""),
        ("  ", ""),
        ("Anna", "Anna"),
        ("Holm, Anna Sofie", "Anna"),
        ("A\r\nBcc: x", "A"),
        ("\x00Bo", "Bo"),
        (",", ""),
    ],
)
def test_first_names(name: str, first: str) -> None:
    """Empty, turned round and hostile names."""
    assert first_name(name) == first
