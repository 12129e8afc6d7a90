"""Consent over every state, country and policy: what no line and no answer can override."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.consent import Answer, Consent
from streams.core.model.customer import NO_YEAR, Customer, Profile
from streams.core.model.events import OrderPlaced, Unsubscribed
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import (
    ANY_COUNTRY,
    OWN_SCOPES,
    PURPOSES,
    TRANSACTIONAL,
    ConsentPolicy,
    PolicyLine,
    Verdict,
)
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.consent import decide
from streams.definitions.language.consent import COUNTRIES
from tests.harness.driver import START, Driver
from tests.harness.events import order, shop_policy
from tests.harness.examples import examples

VERDICTS: tuple[Verdict, ...] = ("allowed", "needs_consent", "soft_opt_in", "own_opt_in")
PLACES = ["DK", "DE", "US", "CA", "PT", "XX", ""]
answers = st.sampled_from([None, True, False])
times = st.integers(0, 1000).map(lambda hours: START + timedelta(hours=hours))


@st.composite
def policies(draw: st.DrawFn) -> ConsentPolicy:
    """Any valid policy."""
    lines = []
    for purpose in PURPOSES:
        for country in (ANY_COUNTRY, *draw(st.sets(st.sampled_from(["DK", "DE", "US", "CA"])))):
            verdict = "allowed" if purpose in TRANSACTIONAL else draw(st.sampled_from(VERDICTS))
            days = draw(st.none() | st.integers(1, 900))
            within = timedelta(days=days) if days and verdict == "soft_opt_in" else None
            lines.append(
                PolicyLine(purpose=purpose, country=country, verdict=verdict, law="a law", article="1", within=within)
            )
    return ConsentPolicy(lines)


own_answers = st.lists(
    st.builds(Answer, st.sampled_from(sorted(OWN_SCOPES)), st.booleans(), times), max_size=3, unique_by=lambda a: a.purpose
).map(tuple)  # fmt: skip
consents = st.builds(
    Consent,
    marketing=answers,
    marketing_at=times,
    unsubscribed=st.sets(st.sampled_from(["marketing", "review", "survey"])).map(lambda scopes: tuple(sorted(scopes))),
    hard_bounced=st.booleans(),
    complained=st.booleans(),
    soft_bounces=st.integers(0, 9),
    answers=own_answers,
    notice=st.sampled_from(["", "n1"]),
)
orders = st.lists(times, max_size=3)
purposes = st.sampled_from(PURPOSES)


def customer(consent: Consent, placed: list, country: str) -> Customer:  # type: ignore[type-arg]  # of times
    """Return a customer who ordered at these times."""
    run = Driver(Ruleset([]))
    for number, at in enumerate(placed):
        run.handle(OrderPlaced(order(f"o{number}", at, country=country, locale=""), at))  # delivered in Denmark
    state = run.customers.get("c1") or Customer(customer_id="c1")
    return replace(state, consent=consent, profile=Profile(country=country))


@settings(max_examples=examples(300), deadline=None)
@given(policies(), consents, orders, st.sampled_from(PLACES), purposes, times)
def test_what_nothing_overrides(
    policy: ConsentPolicy,
    consent: Consent,
    placed: list[datetime],
    country: str,
    purpose: str,
    now: object,
) -> None:
    """Transactional emails are always allowed. An unsubscription, a complaint, bounces or a "no" blocks all others."""
    uow = UnitOfWork(Ruleset([], consent_policy=policy), customer(consent, placed, country), now)  # type: ignore[arg-type]
    decision = decide(uow, purpose, None)
    if purpose in TRANSACTIONAL:
        assert decision.is_allowed
        return
    strictest, _ = policy.strictest(purpose, [country, "DK"] if country and placed else [country or "DK"])
    if {"marketing", purpose} & set(consent.unsubscribed):
        assert (decision.is_allowed, decision.rule) == (False, "unsubscribed")
    if consent.hard_bounced or consent.complained or consent.soft_bounces >= 7:
        assert not decision.is_allowed
    answer = consent.answer(purpose)
    if answer is not None and not answer.is_yes:
        assert not decision.is_allowed
    if decision.is_allowed and (answer is None or not answer.is_yes):
        assert consent.marketing is not False
        assert consent.marketing or placed or strictest.verdict == "allowed"
    assert strictest.verdict in decision.basis


@settings(max_examples=examples(200), deadline=None)
@given(
    policies(),
    st.dictionaries(st.sampled_from([ANY_COUNTRY, "DK", "DE", "US"]), st.integers(0, 30)),
    consents,
    orders,
    st.sampled_from(PLACES),
    times,
    st.integers(0, 40),
    st.integers(-370, 370),
)
def test_minimum_age(
    policy: ConsentPolicy, ages: dict[str, int], consent: Consent, placed: list[datetime], country: str, now: datetime, years: int, days: int
) -> None:  # fmt: skip
    """Customers below the minimum age get transactional emails only. For all others the birthday changes no decision."""
    ruleset = Ruleset([], consent_policy=ConsentPolicy(policy.lines(), minimum_ages=ages))
    known = customer(consent, placed, country)
    countries = [country, "DK"] if country and placed else [country or "DK"]
    least = max(ages.get(each, ages.get(ANY_COUNTRY, 18)) for each in countries)
    today = now.astimezone(UnitOfWork(ruleset, known, now).zone_of(None)).date()
    born = today.replace(year=today.year - years) + timedelta(days=days)  # START is in March, so each year has the day
    grown_up_on = born.replace(year=born.year + least) if (born.month, born.day) != (2, 29) else None
    for purpose in PURPOSES:
        without, known_age, no_year = (
            decide(
                UnitOfWork(ruleset, replace(known, profile=replace(known.profile, birthday=birthday)), now),
                purpose,
                None,
            )
            for birthday in (None, born, born.replace(year=NO_YEAR))
        )
        assert no_year == without
        if purpose in TRANSACTIONAL or (grown_up_on is not None and grown_up_on <= today):
            assert known_age == without
        elif grown_up_on is not None:
            assert not known_age.is_allowed
            assert known_age.rule == "under_age" or not without.is_allowed


@settings(max_examples=examples(150), deadline=None)
@given(consents, orders, st.sampled_from(sorted(COUNTRIES)), purposes)
def test_a_country_without_a_line_is_any_country(consent: Consent, placed: list, country: str, purpose: str) -> None:  # type: ignore[type-arg]
    """In the shop's policy, a country without a line is treated like an unknown country, beside that of the delivery too."""
    policy = shop_policy()
    if policy.line(purpose, country).country != ANY_COUNTRY:
        return
    ruleset = Ruleset([], consent_policy=policy)
    here = decide(UnitOfWork(ruleset, customer(consent, placed, country), START), purpose, None)
    nowhere = decide(UnitOfWork(ruleset, customer(consent, placed, "XX"), START), purpose, None)
    assert (here.is_allowed, here.rule) == (nowhere.is_allowed, nowhere.rule)


profiles = st.builds(
    ProfileUpdated,
    customer_id=st.just("c1"),
    country=st.sampled_from([None, "DK", "DE", "US"]),
    marketing_consent=answers,
    review_consent=answers,
    survey_consent=answers,
    profile_consent=answers,
    consent_notice=st.sampled_from([None, "n1", "n2"]),
    occurred_at=times,
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(profiles, max_size=6), st.lists(profiles, max_size=6), policies(), times)
def test_only_a_newer_yes_with_a_notice_undoes_an_unsubscription(
    before: list[ProfileUpdated], after: list[ProfileUpdated], policy: ConsentPolicy, left_at: datetime
) -> None:
    """After an unsubscription from marketing only transactional emails are allowed, and those with a newer, evident "yes"."""
    ruleset = Ruleset([], consent_policy=policy)
    run = Driver(ruleset)
    goodbye = Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=left_at)
    run.handle(*before, OrderPlaced(order("o1", START), START), goodbye, *after)
    uow = UnitOfWork(ruleset, run.customers["c1"], run.now)
    evident = [update for update in (*before, *after) if update.consent_notice and update.occurred_at > left_at]
    for purpose in sorted(set(PURPOSES) - TRANSACTIONAL):
        has_returned = any(update.marketing_consent or getattr(update, f"{purpose}_consent") for update in evident)
        decision = decide(uow, purpose, None)
        assert has_returned or (decision.is_allowed, decision.rule) == (False, "unsubscribed")
        assert not has_returned or decision.rule != "unsubscribed"
        assert not decision.is_allowed or "after unsubscribing from marketing" in decision.basis
    assert all(decide(uow, purpose, None).is_allowed for purpose in TRANSACTIONAL)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(profiles, max_size=4), times, policies(), st.randoms(use_true_random=False))
def test_returning_does_not_depend_on_the_order_of_records(
    updates: list[ProfileUpdated], left_at: datetime, policy: ConsentPolicy, random: object
) -> None:
    """An unsubscription and answers of different times, in any order, lead to the same decisions."""
    events = [Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=left_at)] + [
        replace(update, country="DK", occurred_at=START + timedelta(hours=at, minutes=1)) for at, update in enumerate(updates)
    ]  # fmt: skip
    mixed = [*events, *events]
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    ruleset = Ruleset([], consent_policy=policy)
    straight, shuffled = Driver(ruleset), Driver(ruleset)
    straight.handle(*events)
    shuffled.handle(*mixed)
    for purpose in PURPOSES:
        first, second = (
            decide(UnitOfWork(ruleset, run.customers["c1"], run.now), purpose, None) for run in (straight, shuffled)
        )
        assert first == second


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(profiles, max_size=6), st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_their_order(updates: list[ProfileUpdated], random: object) -> None:
    """Answers of different times give the same consent, in any order and with repetitions."""
    apart = [
        replace(update, country="DK", occurred_at=START + timedelta(hours=at)) for at, update in enumerate(updates)
    ]
    mixed = [*apart, *apart]
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    straight, shuffled = Driver(Ruleset([])), Driver(Ruleset([]))
    straight.handle(*apart)
    shuffled.handle(*mixed)
    assert {name: state.consent for name, state in shuffled.customers.items()} == {
        name: state.consent for name, state in straight.customers.items()
    }
