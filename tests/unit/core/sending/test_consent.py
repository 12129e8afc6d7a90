"""Consent: every verdict against every state of a customer, and the evidence that is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.consent_policy import (
    ANY_COUNTRY,
    OWN_SCOPES,
    PURPOSES,
    STRICT,
    TRANSACTIONAL,
    ConsentPolicy,
    PolicyLine,
    Verdict,
)
from streams.core.model.customer import Answer, Consent, Customer, OrderState, Profile
from streams.core.model.effects import LogDecision
from streams.core.model.events import OrderCancelled, OrderPlaced, ProfileUpdated, RetryDue, Unsubscribed
from streams.core.model.ruleset import Ruleset, Shop
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending.consent import ConsentDecision, country_of, decide
from tests.harness.driver import START, Driver
from tests.harness.events import order, shop_policy, shop_world

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
ASKED = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ASKABLE = sorted(set(PURPOSES) - TRANSACTIONAL)


def policy(verdict: Verdict, within: timedelta | None = None) -> ConsentPolicy:
    """A policy in which everything that is not owed needs the same in every country."""
    return ConsentPolicy(
        [
            PolicyLine(
                purpose=purpose,
                country=ANY_COUNTRY,
                verdict="allowed" if purpose in TRANSACTIONAL else verdict,
                law="a law",
                article="1",
                within=None if purpose in TRANSACTIONAL else within,
            )
            for purpose in PURPOSES
        ]
    )


def bought(consent: Consent = Consent(), orders: int = 1) -> Customer:  # noqa: B008  # frozen
    """A customer with `orders` orders, a day apart, from START on."""
    run = Driver(Ruleset([]))
    for number in range(orders):
        at = START + number * DAY
        run.handle(OrderPlaced(order(f"o{number + 1}", at), at))
    return replace(run.customers["c1"], consent=consent) if orders else Customer(customer_id="c1", consent=consent)


def ask(table: ConsentPolicy, known: Customer, purpose: str, now: datetime = NOW) -> ConsentDecision:
    """The ruling on a mail of `purpose` to the customer."""
    return decide(UnitOfWork(Ruleset([], consent_policy=table), known, now), purpose, None)


NOTHING, YES, NO = Consent(), Consent(marketing=True, marketing_at=ASKED), Consent(marketing=False, marketing_at=ASKED)


@pytest.mark.parametrize(
    ("consent", "orders", "allowed", "needs_consent", "soft_opt_in", "own_opt_in"),
    [
        (NOTHING, 0, "+allowed", "no_consent", "no_soft_opt_in", "no_own_opt_in"),
        (NOTHING, 1, "+allowed", "no_consent", "+soft_opt_in", "no_own_opt_in"),
        (YES, 0, "+consent", "+consent", "+consent", "no_own_opt_in"),
        (YES, 1, "+consent", "+consent", "+consent", "no_own_opt_in"),
        (NO, 0, "no_consent", "no_consent", "no_consent", "no_own_opt_in"),
        (NO, 1, "no_consent", "no_consent", "no_consent", "no_own_opt_in"),
    ],
    ids=["nobody", "customer", "said-yes", "yes-and-bought", "said-no", "no-though-bought"],
)
@pytest.mark.parametrize("purpose", ASKABLE)
def test_every_verdict(
    purpose: str, consent: Consent, orders: int, allowed: str, needs_consent: str, soft_opt_in: str, own_opt_in: str
) -> None:
    """What each verdict makes of who was never asked, said yes and said no to marketing, with and without a purchase."""
    wanted: dict[Verdict, str] = {
        "allowed": allowed,
        "needs_consent": needs_consent,
        "soft_opt_in": soft_opt_in,
        "own_opt_in": own_opt_in,
    }
    for verdict, rule in wanted.items():
        found = ask(policy(verdict), bought(consent, orders), purpose)
        assert (found.is_allowed, found.rule) == (rule[0] == "+", rule.lstrip("+")), verdict
        assert f"{purpose}/* (DK) is {verdict}" in found.basis


@pytest.mark.parametrize("verdict", ["allowed", "needs_consent", "soft_opt_in", "own_opt_in"])
@pytest.mark.parametrize("purpose", sorted(OWN_SCOPES))
def test_an_answer_to_the_very_question(purpose: str, verdict: Verdict) -> None:
    """It counts more than the one to marketing, under every verdict, and says nothing about other purposes."""
    table = policy(verdict)
    for marketing in (None, True, False):
        for is_yes in (True, False):
            consent = Consent(marketing=marketing, answers=(Answer(purpose, is_yes, ASKED, "DE", "n1"),))
            found = ask(table, bought(consent), purpose)
            assert (found.is_allowed, found.rule) == (is_yes, "own_opt_in" if is_yes else "no_consent")
            assert found.basis.endswith(f"{'yes' if is_yes else 'no'} to {purpose} of 2026-01-05 in DE by notice n1")
            for other in set(ASKABLE) - {purpose}:
                without = bought(replace(consent, answers=()))
                assert ask(table, bought(consent), other) == ask(table, without, other)


@pytest.mark.parametrize(
    ("suppressed", "rule", "silent"),
    [
        (Consent(unsubscribed=("marketing",)), "unsubscribed", set(ASKABLE)),
        (Consent(unsubscribed=("review",)), "unsubscribed", {"review"}),
        (Consent(unsubscribed=("review", "survey")), "unsubscribed", {"review", "survey"}),
        (Consent(hard_bounced=True), "hard_bounced", set(ASKABLE)),
        (Consent(complained=True), "complained", set(ASKABLE)),
        (Consent(soft_bounces=7), "soft_bounces", set(ASKABLE)),
        (Consent(soft_bounces=6), "", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("verdict", ["allowed", "needs_consent", "soft_opt_in", "own_opt_in"])
def test_suppression_comes_before_every_line(
    verdict: Verdict, suppressed: Consent, rule: str, silent: set[str]
) -> None:
    """Whatever the line says and the customer agreed to: who unsubscribed, complained or bounces gets only what is owed."""
    answers = tuple(Answer(purpose, True, ASKED) for purpose in sorted(OWN_SCOPES))
    known = bought(replace(suppressed, marketing=True, answers=answers))
    for purpose in PURPOSES:
        found = ask(policy(verdict), known, purpose)
        if purpose in silent:
            assert (found.is_allowed, found.rule) == (False, rule)
        elif purpose in OWN_SCOPES | TRANSACTIONAL or verdict != "own_opt_in":
            assert found.is_allowed


def test_soft_opt_in_rests_on_the_newest_sale() -> None:
    """The decision names the order, its day, its country and the notice; an order that was cancelled is no sale."""
    known = bought(Consent(notice="2026-03", notice_at=ASKED), orders=2)
    table = policy("soft_opt_in")
    assert ask(table, known, "marketing").basis == (
        "marketing/* (DK) is soft_opt_in: order o2 of 2026-03-03 in DK by notice 2026-03"
    )
    cancelled = OrderCancelled(order("o2", START + DAY), NOW)
    once, _ = advance(Ruleset([]), known, cancelled, NOW)
    assert "order o1 of 2026-03-02" in ask(table, once, "marketing").basis
    never, _ = advance(Ruleset([]), once, OrderCancelled(order("o1", START), NOW), NOW)
    assert ask(table, never, "marketing").rule == "no_soft_opt_in"
    forgotten = replace(known, orders=())
    assert ask(table, forgotten, "marketing").basis.endswith("an order that is no longer remembered")


def test_soft_opt_in_that_ends() -> None:
    """Where the law says how long after a purchase (Canada: two years), the last moment is allowed and the next is not."""
    table, known = policy("soft_opt_in", 730 * DAY), bought()
    assert ask(table, known, "marketing", START + 730 * DAY).rule == "soft_opt_in"
    late = ask(table, known, "marketing", START + 730 * DAY + timedelta(seconds=1))
    assert (late.is_allowed, late.rule) == (False, "soft_opt_in_ended")
    assert late.basis.endswith("no purchase for 730 days")
    assert not ask(table, replace(known, orders=()), "marketing").is_allowed
    assert ask(table, bought(YES), "marketing", START + 9999 * DAY).rule == "consent"


def test_whose_country_counts() -> None:
    """The customer's own, else the order's, else the shop's."""
    known = bought()
    [placed] = known.orders
    assert placed.facts is not None
    ruleset = Ruleset([], shop=Shop(country="SE"))
    for profile, held, country in [
        ("DE", placed, "DE"),
        ("", placed, "DK"),
        ("", OrderState("o2"), "SE"),
        ("", None, "SE"),
    ]:
        uow = UnitOfWork(ruleset, replace(known, profile=Profile(country=profile)), NOW)
        assert country_of(uow, held) == country


def test_without_a_table_only_what_is_owed_and_asked_for() -> None:
    """The built-in policy says in each decision that it is that."""
    for purpose in ASKABLE:
        found = ask(STRICT, bought(), purpose)
        assert not found.is_allowed
        assert found.basis.startswith(f"built-in {purpose}/* (DK) is ")
    assert all(ask(STRICT, bought(NO, 0), purpose).rule == "transactional" for purpose in sorted(TRANSACTIONAL))
    assert ask(STRICT, bought(YES), "marketing").is_allowed


def test_a_policy_without_a_default_or_that_forbids_receipts() -> None:
    """Neither can be made."""
    strict = STRICT.lines()
    with pytest.raises(ValueError, match="the purpose survey has no line"):
        ConsentPolicy([line for line in strict if line.purpose != "survey"])
    bad = PolicyLine(purpose="order", country="DE", verdict="needs_consent", law="a", article="1")
    with pytest.raises(ValueError, match="order emails are transactional"):
        ConsentPolicy([*strict, bad])


def profile(at: datetime, **answers: object) -> ProfileUpdated:
    return ProfileUpdated(customer_id="c1", occurred_at=at, **answers)  # type: ignore[arg-type]  # one of its fields


def test_the_evidence_of_an_answer_is_kept() -> None:
    """When, in which country and by which notice; the newest answer counts, of two of one moment the no, and an old one changes nothing."""
    run = Driver(Ruleset([]))
    run.handle(profile(START, country="DE", review_consent=True, marketing_consent=True, consent_notice="n1"))
    known = run.customers["c1"].consent
    assert known.answers == (Answer("review", True, START, "DE", "n1"),)
    assert (known.marketing_at, known.marketing_country, known.marketing_notice) == (START, "DE", "n1")
    assert (known.notice, known.notice_at) == ("n1", START)
    again = run.customers["c1"]
    run.handle(profile(START, country="DE", review_consent=True, marketing_consent=True, consent_notice="n1"))
    assert run.customers["c1"] == again
    run.handle(profile(START, review_consent=False), profile(START - DAY, survey_consent=True, consent_notice="n0"))
    known = run.customers["c1"].consent
    assert known.answers == (
        Answer("review", False, START, "DE", ""),
        Answer("survey", True, START - DAY, "DE", "n0"),
    )
    assert known.notice == "n1"
    run.handle(profile(START + DAY, country="SE"), profile(START + DAY, review_consent=True))
    assert run.customers["c1"].consent.answer("review") == Answer("review", True, START + DAY, "SE", "")


def test_a_retry_is_ruled_on_by_its_order_s_country() -> None:
    """A mail that the server put off is not tried again where the rules have come to forbid it; the decision names the line."""
    run = Driver(shop_world())
    run.handle(OrderPlaced(order("o1", START), START), profile(START, country="DE"))
    run.effects.clear()
    for number, purpose in enumerate(("review", "marketing", "order")):
        run.handle(
            RetryDue(
                customer_id="c1", timer_id=f"t{number}", send_id=f"s{number}", attempt=2, purpose=purpose,
                not_after=START + DAY, command=b"c", due_at=START, occurred_at=START,
            )
        )  # fmt: skip
    told = [(one.outcome, one.rule, one.detail) for one in run.effects if isinstance(one, LogDecision)]
    assert told == [
        ("skip", "no_own_opt_in", "not retried: no_own_opt_in; review/DE is own_opt_in: never said yes to review"),
        ("retry", "put_off", "attempt 2; marketing/DE is soft_opt_in: order o1 of 2026-03-02 in DK"),
        ("retry", "put_off", "attempt 2; order/* is allowed"),
    ]


def test_decisions_name_the_line() -> None:
    """What is sent says what it rests on, what is not sent says which line forbids it; neither says who it is about."""
    run = Driver(shop_world())
    run.handle(OrderPlaced(order("o1", START), START))
    run.advance(2 * DAY)
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=run.now))
    run.handle(OrderPlaced(order("o2", run.now), run.now))
    run.advance(2 * DAY)
    details = [one.detail for one in run.effects if isinstance(one, LogDecision)]
    assert details == [
        "sends confirmation; order/* is allowed",
        "sends first-time; marketing/DK is soft_opt_in: order o1 of 2026-03-02 in DK",
        "sends confirmation; order/* is allowed",
        "no marketing email: unsubscribed; marketing/DK is soft_opt_in",
    ]


def test_danish_customers_get_what_they_got() -> None:
    """The shop's table leaves Denmark as it was before there was one: a purchase allows thanks and reviews, until a no."""
    for purpose in ("marketing", "review", "survey"):
        assert shop_policy().line(purpose, "DK").verdict == "soft_opt_in"
