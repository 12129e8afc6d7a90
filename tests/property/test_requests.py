"""Requests of customers, in any order and number: never more mail without a yes, and a repetition changes nothing."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.consent import Consent
from streams.core.model.customer import Customer, Profile
from streams.core.model.effects import SendMail
from streams.core.model.gateway_state import GatewayState
from streams.core.model.person_events import CustomerRequested, ProfileUpdated, RequestKind, RequestStage
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import OWN_SCOPES, PURPOSES
from streams.core.sending.consent import decide
from streams.core.sending.smart_sending import caps_of
from tests.harness.driver import START
from tests.harness.events import shop_policy
from tests.harness.examples import examples
from tests.harness.flow_texts import ruleset_of

RULESET = ruleset_of(consent_policy=shop_policy(), rules="caps:\n  - {most: 2, per: 1d}\n", shows_pages=True)
KINDS: tuple[RequestKind, ...] = ("export", "erase", "change_address", "frequency", "preferences")
STAGES: tuple[RequestStage, ...] = ("asked", "confirmed", "done")
times = st.integers(0, 400).map(lambda hours: START + timedelta(hours=hours))
answers = st.sampled_from([None, True, False])
nos = st.sampled_from([None, False])


@st.composite
def requests(draw: st.DrawFn, answered: st.SearchStrategy[bool | None] = answers) -> CustomerRequested:
    """Any request; its answers are those of `answered`."""
    kind, at = draw(st.sampled_from(KINDS)), draw(times)
    request = CustomerRequested(
        request_id=f"{kind}-{draw(st.integers(1, 4))}",
        customer_id="c1",
        kind=kind,
        stage=draw(st.sampled_from(STAGES)) if kind in ("export", "erase", "change_address") else "asked",
        occurred_at=at,
        email="anna@new.example" if kind == "change_address" else "",
        wants_fewer=draw(st.booleans()) if answered is answers else True,
    )
    if kind != "preferences":
        return request
    profile = ProfileUpdated(
        customer_id="c1",
        occurred_at=at,
        marketing_consent=draw(answered),
        review_consent=draw(answered),
        survey_consent=draw(answered),
        profile_consent=draw(answered),
        tracking_consent=draw(answered),
        consent_notice=draw(st.sampled_from([None, "n1"])),
    )
    return replace(request, profile=profile, wants_service=draw(answered))


customers = st.builds(
    lambda marketing, scopes, fewer: Customer(
        customer_id="c1",
        profile=Profile("anna@example.com", "Anna", "da", "DK", at=START),
        consent=Consent(
            marketing=marketing,
            marketing_at=START if marketing is not None else None,
            unsubscribed=tuple(sorted(scopes)),
            unsubscribed_at=tuple((scope, START) for scope in sorted(scopes)),
        ),
        purchases=1,
        gateway=GatewayState(wants_fewer=fewer, frequency_at=START if fewer else None),
    ),
    answers,
    st.sets(st.sampled_from(["marketing", "review", "survey", "service"])),
    st.booleans(),
)


def allowed(state: Customer) -> set[str]:
    """Return the purposes of emails that the customer may receive."""
    uow = UnitOfWork(RULESET, state, START + timedelta(days=30))
    return {purpose for purpose in PURPOSES if decide(uow, purpose, None).is_allowed}


def after(state: Customer, events: list[CustomerRequested]) -> Customer:
    """Return the customer after these requests."""
    for event in events:
        state, _ = advance(RULESET, state, event, START + timedelta(days=20))
    return state


@settings(max_examples=examples(300), deadline=None)
@given(customers, st.lists(requests(nos), max_size=8))
def test_without_a_yes_there_is_never_more_mail(state: Customer, events: list[CustomerRequested]) -> None:
    """No request but an explicit yes allows a purpose that was not allowed, or shortens the time between two emails."""
    later = after(state, events)
    assert allowed(later) <= allowed(state)
    caps = [caps_of(UnitOfWork(RULESET, each, START)) for each in (state, later)]
    assert all(new.per >= old.per for old, new in zip(*caps, strict=True))


@settings(max_examples=examples(300), deadline=None)
@given(customers, st.lists(requests(), max_size=8))
def test_a_yes_allows_only_what_it_is_about(state: Customer, events: list[CustomerRequested]) -> None:
    """More mail is of a purpose with a yes among the requests; a yes to marketing also covers those that never had an answer of their own."""
    agreed = set()
    for event in events:
        profile = event.profile
        if profile is not None:
            agreed |= {purpose for purpose in OWN_SCOPES | {"marketing"} if getattr(profile, f"{purpose}_consent")}
        if event.wants_service:
            agreed.add("service")
    covered = agreed | (set(OWN_SCOPES) if "marketing" in agreed else set())
    assert allowed(after(state, events)) - allowed(state) <= covered


@settings(max_examples=examples(200), deadline=None)
@given(customers, st.lists(requests(), min_size=1, max_size=6), st.data())
def test_repeated_records_have_no_effect(state: Customer, events: list[CustomerRequested], data: st.DataObject) -> None:
    """A record that arrives again changes neither the state nor sends anything."""
    for number, event in enumerate(events):
        state, _ = advance(RULESET, state, event, START + timedelta(days=20))
        again = events[data.draw(st.integers(0, number))]
        repeated, effects = advance(RULESET, state, again, START + timedelta(days=20))
        if again is event:
            assert repeated == state
            assert effects == []
        assert not [effect for effect in effects if isinstance(effect, SendMail)]
