"""Attributes, dates and ids of a profile: an odd value is cut or left out, and the rest of the record is processed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from streams.core.model.customer import NO_YEAR
from streams.core.model.person_events import ProfileUpdated
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.codec import CODEC
from tests.harness.records import AT_MS, KEY, profile

DECODER = Decoder(CODEC)


def decoded(**changes: Any) -> ProfileUpdated:
    """Return the event of a profile."""
    event = DECODER.event(topics.CUSTOMERS, KEY, CODEC.encode("customer", profile(name="Anna", **changes)), AT_MS)
    assert isinstance(event, ProfileUpdated)
    assert event.name == "Anna"
    return event


def test_valid_values() -> None:
    """Texts, numbers, days with and without a year, and ids. null and an empty text remove a value."""
    event = decoded(
        attributes={"Shoe-Size": " 43 ", "points": 120, "old": None, "older": ""},
        dates={"wedding": "2019-06-01", "name day": "--02-29"},
        external_ids={"klaviyo": "01AB"},
        postal_code=" 8000 ",
        city="Århus",
        is_company=False,
    )
    assert event.attributes == (("old", None), ("older", None), ("points", 120), ("shoe_size", "43"))
    assert event.dates == (("name_day", date(NO_YEAR, 2, 29)), ("wedding", date(2019, 6, 1)))
    assert event.external_ids == (("klaviyo", "01AB"),)
    assert (event.postal_code, event.city, event.is_company, event.flaws) == ("8000", "Århus", False, "")


@pytest.mark.parametrize(
    ("changes", "field", "value", "flaws"),
    [
        ({"attributes": {"Størrelse": "M", "": "x", "1a": "x"}}, "attributes", (), "3 invalid names"),
        ({"attributes": {"a": "x" * 101}}, "attributes", (("a", "x" * 100),), "1 text that was cut"),
        ({"attributes": {"a": "x\ny"}}, "attributes", (("a", "x y"),), ""),
        ({"dates": {"a": "1 June", "b": "2019-02-30"}}, "dates", (), "2 invalid values"),
        ({"external_ids": {"a": "x" * 201, "b": "x\ny"}}, "external_ids", (), "2 invalid values"),
        ({"postal_code": "1" * 21}, "postal_code", "1" * 20, "1 text that was cut"),
        ({"city": "x" * 101}, "city", "x" * 100, "1 text that was cut"),
    ],
)
def test_odd_values(changes: dict[str, Any], field: str, value: Any, flaws: str) -> None:
    """The record is processed, and the flaws are counted without the values."""
    event = decoded(**changes)
    assert (getattr(event, field), event.flaws) == (value, flaws)


def test_many_values() -> None:
    """A hundred values of one record are read."""
    event = decoded(attributes={f"a{number}": number for number in range(130)})
    assert (len(event.attributes), event.flaws) == (100, "30 values too many")
