"""Malformed refusals: whatever is wrong with the record, no marketing email follows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.engine import advance
from streams.core.model.customer import Customer
from streams.core.model.events import OrderPlaced
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import PURPOSES, TRANSACTIONAL
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.consent import decide
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.any_records import RAW, TIMES, values_of
from tests.harness.codec import CODEC
from tests.harness.driver import Driver
from tests.harness.events import order, shop_policy
from tests.harness.examples import examples
from tests.harness.records import AT, AT_MS, KEY, engagement, profile

DECODER = Decoder(CODEC)
RULESET = Ruleset([], consent_policy=shop_policy())
MARKETING = sorted(set(PURPOSES) - TRANSACTIONAL)


def agreed() -> Customer:
    """Return a customer who bought something, and agreed to everything a month before."""
    run, month_ago = Driver(RULESET), AT - timedelta(days=30)
    run.handle(
        OrderPlaced(order("o1", month_ago), month_ago),
        ProfileUpdated(
            customer_id="c1", country="DK", marketing_consent=True, review_consent=True, survey_consent=True, profile_consent=True,
            consent_notice="n1", occurred_at=month_ago,
        ),
    )  # fmt: skip
    state = run.customers["c1"]
    assert allowed(state) == MARKETING
    return state


def allowed(state: Customer) -> list[str]:
    """Return the purposes of emails that are not transactional and that the customer may get."""
    uow = UnitOfWork(RULESET, state, AT)
    return [purpose for purpose in MARKETING if decide(uow, purpose, None).is_allowed]


def after(topic: str, record: dict[str, Any], timestamp_ms: int) -> Customer:
    """Return the customer after a record."""
    value = CODEC.encode(topics.SCHEMA_OF[topic], record)
    event = DECODER.event(topic, KEY, value, timestamp_ms, AT_MS)
    return advance(RULESET, agreed(), event, AT)[0]


timestamps = st.sampled_from([AT_MS, AT_MS + 1000, -1, 0, 1 << 62])
moments = TIMES | st.integers(-(1 << 62), 1 << 62) | st.just(datetime(1970, 1, 1, tzinfo=UTC))
_FIELDS = {field["name"]: values_of(field["type"], {}) for field in RAW["engagement"]["fields"]}
_PROFILE = {field["name"]: values_of(field["type"], {}) for field in RAW["customer"]["fields"]}


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(["unsubscribed", "complained"]),
    st.fixed_dictionaries({}, optional={name: _FIELDS[name] for name in ("send_id", "link", "agent", "question", "answer", "hard", "reason")}),
    moments,
    timestamps,
)  # fmt: skip
def test_any_unsubscription_and_any_complaint(kind: str, changes: dict[str, Any], at: Any, timestamp_ms: int) -> None:
    """With any values in the other fields, and any times, only transactional emails are sent."""
    record = engagement(kind, **changes, occurred_at=_later(at))
    assert allowed(after(topics.ENGAGEMENT, record, timestamp_ms)) == []


@settings(max_examples=examples(300), deadline=None)
@given(
    st.fixed_dictionaries({}, optional={name: values for name, values in _PROFILE.items() if name not in ("customer_id", "occurred_at")}),
    moments,
    timestamps,
)  # fmt: skip
def test_any_profile_that_says_no(changes: dict[str, Any], at: Any, timestamp_ms: int) -> None:
    """A no to marketing counts, and each no to one purpose, whatever else the profile has."""
    record = profile(**{**changes, "marketing_consent": False}, occurred_at=_later(at))
    left = allowed(after(topics.CUSTOMERS, record, timestamp_ms))
    assert "marketing" not in left
    assert not [purpose for purpose in left if changes.get(f"{purpose}_consent") is False]


def _later(at: Any) -> Any:
    """Return the time, unless it is a valid one before the consent: a refusal that is older counts less."""
    if isinstance(at, datetime) and datetime(2000, 1, 1, tzinfo=UTC) <= at < AT:
        return AT
    if isinstance(at, int) and 946_684_800_000 <= at < AT_MS:
        return AT_MS
    return at
