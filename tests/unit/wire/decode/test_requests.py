"""The records of requests: what they become, and what a broken one still refuses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from streams.core.model.person_events import CustomerRequested, ProfileUpdated
from streams.runtime.errors import InvalidRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.codec import CODEC
from tests.harness.records import AT, AT_MS, KEY

DECODER = Decoder(CODEC)


def decoded(now_ms: int = AT_MS, **values: Any) -> CustomerRequested:
    """Return the event of a request."""
    record = {
        "request_id": "frequency-1",
        "customer_id": "c1",
        "kind": "frequency",
        "stage": "asked",
        "occurred_at": AT,
    }
    value = CODEC.encode("customer_request", record | values)
    event = DECODER.event(topics.REQUESTS, KEY, value, AT_MS, now_ms)
    assert isinstance(event, CustomerRequested)
    return event


def test_preferences_become_a_profile() -> None:
    """Answers, evidence, language, birthday and dates; what the record does not say stays unknown."""
    event = decoded(
        kind="preferences",
        answers={"marketing": True, "review": False, "service": False},
        tracking=False,
        notice="n1",
        source="preference page",
        wording="Ja tak",
        locale="sv",
        birthday="--05-01",
        dates={"Wedding day": "2019-06-01", "name day": None, "?": "2019-06-01"},
    )
    assert event.profile == ProfileUpdated(
        customer_id="c1",
        occurred_at=event.occurred_at,
        marketing_consent=True,
        review_consent=False,
        tracking_consent=False,
        consent_notice="n1",
        consent_source="preference page",
        consent_wording="Ja tak",
        locale="sv",
        birthday=date(1604, 5, 1),
        dates=(("name_day", None), ("wedding_day", date(2019, 6, 1))),
    )
    assert event.wants_service is False


@pytest.mark.parametrize(
    ("stated", "birthday", "removes"), [(None, None, False), ("", None, True), ("1984-05-01", date(1984, 5, 1), False)]
)
def test_an_empty_birthday_removes_it(stated: str | None, birthday: date | None, removes: bool) -> None:
    """A missing birthday keeps the older one, and an empty one removes it. An empty date does the same."""
    event = decoded(kind="preferences", birthday=stated, dates={"wedding": ""})
    assert event.profile is not None
    assert (event.profile.birthday, event.profile.removes_birthday) == (birthday, removes)
    assert event.profile.dates == (("wedding", None),)


@pytest.mark.parametrize(("stated", "expected"), [("normal", False), ("fewer", True), ("never", True), (None, True)])
def test_whatever_is_not_normal_is_fewer(stated: str | None, expected: bool) -> None:
    """A value that this version does not know never means more mail."""
    assert decoded(frequency=stated).wants_fewer is expected


def test_a_new_address_is_checked() -> None:
    """An address is trimmed; a missing or invalid one is a dead letter. The confirmation needs none."""
    assert decoded(kind="change_address", email=" bo@example.com ").email == "bo@example.com"
    assert decoded(kind="change_address", stage="confirmed").email == ""
    for email in (None, "", "bo"):
        with pytest.raises(InvalidRecord):
            decoded(kind="change_address", email=email)


@pytest.mark.parametrize(
    "values", [{"kind": "unknown"}, {"stage": "unknown"}, {"stage": "confirmed"}, {"kind": "export", "request_id": ""}]
)
def test_invalid_requests_are_dead_letters(values: dict[str, Any]) -> None:
    """An unknown kind or stage, and a stage that the kind does not have."""
    with pytest.raises(InvalidRecord):
        decoded(**{"frequency": "normal", **values})


def test_a_broken_request_keeps_its_refusals() -> None:
    """An invalid language or notice loses the yes of the record, and none of its no."""
    for broken in ({"locale": "?"}, {"notice": "x" * 300}):
        event = decoded(kind="preferences", answers={"marketing": True, "review": False, "service": False}, **broken)
        assert event.profile == ProfileUpdated(customer_id="c1", occurred_at=event.occurred_at, review_consent=False)
        assert event.wants_service is False
        with pytest.raises(InvalidRecord):
            decoded(kind="preferences", answers={"marketing": True}, **broken)
    assert decoded(request_id="", frequency="fewer").wants_fewer


def test_no_request_is_newer_than_now() -> None:
    """A clock that is ahead does not make a yes newer than a refusal that follows it."""
    event = decoded(kind="preferences", answers={"marketing": True}, occurred_at=AT + timedelta(hours=1))
    assert event.occurred_at == AT.replace(microsecond=AT_MS % 1000 * 1000)
    assert event.profile is not None
    assert event.profile.occurred_at == event.occurred_at
