"""The setting of the topics' retention."""

from __future__ import annotations

import pytest

from streams.runtime.kafka.retention import days_by_topic


def test_days_by_topic() -> None:
    """Entries are separated by commas; blanks do not matter."""
    assert days_by_topic("") == {}
    assert days_by_topic(" orders=400 ,dead-letters = 7,") == {"orders": 400, "dead-letters": 7}


@pytest.mark.parametrize(
    "text", ["orders", "orders=0", "orders=1.5", "orders=4d", "=3", "orders=3651", "orders=1,orders=2", "orders=²"]
)
def test_an_invalid_entry(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ValueError, match=r"use for example orders=400"):
        days_by_topic(text)
