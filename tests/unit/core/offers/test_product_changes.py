"""Changes of products where a day is shorter, as in a demo."""

from __future__ import annotations

from datetime import timedelta

from streams.core.offers.product_changes import SAME_TIME, same_time


def test_products_come_together_within_a_scaled_hour() -> None:
    """A demo can show a replacement seconds after its opening; a catalogue that takes seconds to arrive still comes together."""
    assert same_time(1.0) == SAME_TIME
    assert same_time(0.5) == SAME_TIME / 2
    assert same_time(1 / 86_400) == timedelta(seconds=5)
