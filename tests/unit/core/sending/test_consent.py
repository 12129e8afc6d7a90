"""Consent: every verdict for every state of a customer, and the evidence that is stored."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.consent import Answer, Consent, Resubscription
from streams.core.model.customer import NO_YEAR, Customer, Profile
from streams.core.model.effects import LogDecision, WithdrawMail
from streams.core.model.events import (
    Event,
    MailBounced,
    MailComplained,
    OrderCancelled,
    OrderPlaced,
    RetryDue,
    Unsubscribed,
)
from streams.core.model.orders.order_state import OrderState
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import (
    ANY_COUNTRY,
    OWN_SCOPES,
    PURPOSES,
    STRICT,
    TRACKING,
    TRANSACTIONAL,
    ConsentPolicy,
    PolicyLine,
    Verdict,
)
from streams.core.rules.ruleset import Ruleset, Shop
from streams.core.sending.consent import ConsentDecision, country_of, decide, may_track
from tests.harness.driver import START, Driver
from tests.harness.events import order, shop_policy, shop_ruleset

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
ASKED_AT = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ASKABLE = sorted(set(PURPOSES) - TRANSACTIONAL)


def policy(verdict: Verdict, within: timedelta | None = None) -> ConsentPolicy:
    """Return a policy in which every purpose but the transactional ones has the same verdict in every country."""
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
    """Return a customer with `orders` orders, a day apart, from START on."""
    run = Driver(Ruleset([]))
    for number in range(orders):
        at = START + number * DAY
        run.handle(OrderPlaced(order(f"o{number + 1}", at), at))
    return replace(run.customers["c1"], consent=consent) if orders else Customer(customer_id="c1", consent=consent)


def ask(table: ConsentPolicy, state: Customer, purpose: str, now: datetime = NOW) -> ConsentDecision:
    """Return the decision about an email of `purpose` to the customer."""
    return decide(UnitOfWork(Ruleset([], consent_policy=table), state, now), purpose, None)


NOTHING, YES, NO = (
    Consent(),
    Consent(marketing=True, marketing_at=ASKED_AT),
    Consent(marketing=False, marketing_at=ASKED_AT),
)


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
    """Each verdict decides for customers with "yes", "no" or no answer, with and without an order."""
    expected: dict[Verdict, str] = {
        "allowed": allowed,
        "needs_consent": needs_consent,
        "soft_opt_in": soft_opt_in,
        "own_opt_in": own_opt_in,
    }
    for verdict, rule in expected.items():
        decision = ask(policy(verdict), bought(consent, orders), purpose)
        assert (decision.is_allowed, decision.rule) == (rule[0] == "+", rule.lstrip("+")), verdict
        assert f"{purpose}/* (DK) is {verdict}" in decision.basis


@pytest.mark.parametrize("verdict", ["allowed", "needs_consent", "soft_opt_in", "own_opt_in"])
@pytest.mark.parametrize("purpose", sorted(OWN_SCOPES))
def test_an_answer_for_the_purpose(purpose: str, verdict: Verdict) -> None:
    """An answer for the purpose counts more than one about marketing, and does not affect other purposes."""
    table = policy(verdict)
    for marketing in (None, True, False):
        for is_yes in (True, False):
            consent = Consent(marketing=marketing, answers=(Answer(purpose, is_yes, ASKED_AT, "DE", "n1"),))
            decision = ask(table, bought(consent), purpose)
            assert (decision.is_allowed, decision.rule) == (is_yes, "own_opt_in" if is_yes else "no_consent")
            assert decision.basis.endswith(f"{'yes' if is_yes else 'no'} to {purpose} of 2026-01-05 in DE by notice n1")
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
        (Consent(bad_address_at=ASKED_AT), "bad_address", set(ASKABLE)),
        (Consent(complained=True), "complained", set(ASKABLE)),
        (Consent(soft_bounces=7), "soft_bounces", set(ASKABLE)),
        (Consent(soft_bounces=6), "", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("verdict", ["allowed", "needs_consent", "soft_opt_in", "own_opt_in"])
def test_suppression_precedes_every_line(verdict: Verdict, suppressed: Consent, rule: str, silent: set[str]) -> None:
    """After an unsubscription, a complaint or bounces only transactional emails are allowed."""
    answers = tuple(Answer(purpose, True, ASKED_AT) for purpose in sorted(OWN_SCOPES))
    known = bought(replace(suppressed, marketing=True, answers=answers))
    for purpose in PURPOSES:
        decision = ask(policy(verdict), known, purpose)
        if purpose in silent:
            assert (decision.is_allowed, decision.rule) == (False, rule)
        elif purpose in OWN_SCOPES | TRANSACTIONAL or verdict != "own_opt_in":
            assert decision.is_allowed


def test_soft_opt_in_rests_on_the_newest_sale() -> None:
    """The decision names the order, its day, its country and the notice; cancelled orders do not count."""
    known = bought(Consent(notice="2026-03", notice_at=ASKED_AT), orders=2)
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
    """If the law limits the time after a purchase, its last moment is allowed and the next is not."""
    table, known = policy("soft_opt_in", 730 * DAY), bought()
    assert ask(table, known, "marketing", START + 730 * DAY).rule == "soft_opt_in"
    late = ask(table, known, "marketing", START + 730 * DAY + timedelta(seconds=1))
    assert (late.is_allowed, late.rule) == (False, "soft_opt_in_ended")
    assert late.basis.endswith("no purchase for 730 days")
    assert not ask(table, replace(known, orders=()), "marketing").is_allowed
    assert ask(table, bought(YES), "marketing", START + 9999 * DAY).rule == "consent"


def test_whose_country_counts() -> None:
    """The customer's country counts, else the order's, else the shop's."""
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


def lines(purpose: str, verdicts: dict[str, Verdict]) -> ConsentPolicy:
    """Return the strict policy with these verdicts for one purpose, by country."""
    given = [
        PolicyLine(purpose=purpose, country=country, verdict=verdict, law="L", article="1") for country, verdict in verdicts.items()
    ]  # fmt: skip
    return ConsentPolicy([*STRICT.lines(), *given])


MARKETING_LINES: dict[str, Verdict] = {
    "DK": "soft_opt_in",
    "DE": "needs_consent",
    "US": "allowed",
    "AT": "needs_consent",
}


@pytest.mark.parametrize(
    ("stated", "bought_in", "delivered_to", "locale", "strictest"),
    [
        ("", "", "DE", "de", "DE"),
        ("", "DK", "DE", "da", "DE"),
        ("", "DK", "DK", "de-DE", "DE"),
        ("", "DK", "DK", "de_DE", "DE"),
        ("", "", "", "de", "DE"),
        ("", "", "", "de-AT", "AT"),
        ("AT", "US", "US", "en-US", "AT"),
        ("US", "US", "US", "en-US", "US"),
        ("DK", "DK", "DK", "de", "DK"),
        ("DK", "DK", "DK", "", "DK"),
        ("", "", "", "", "DK"),
        ("", "", "", "en", "DK"),
        ("US", "", "", "da", "US"),
        ("", "US", "DK", "da", "DK"),
    ],
)
def test_the_strictest_line_of_all_known_countries(
    stated: str, bought_in: str, delivered_to: str, locale: str, strictest: str
) -> None:
    """Profile, orders, deliveries and regions of locales count; a language, and the shop's country, only if no country is known."""
    ruleset = Ruleset([], consent_policy=lines("marketing", MARKETING_LINES))
    run = Driver(ruleset)
    run.handle(profile(START, country=stated, locale=locale))
    later = START + DAY
    run.handle(OrderPlaced(order("o1", later, country=bought_in, ship_country=delivered_to, locale=locale), later))
    uow = UnitOfWork(ruleset, run.customers["c1"], NOW)
    verdict = MARKETING_LINES[strictest]
    for held in (None, uow.order("o1")):
        assert f"marketing/{strictest} is {verdict}" in decide(uow, "marketing", held).basis


def test_the_stated_country_outlives_a_newer_order() -> None:
    """A customer of Austria who then buys in the United States stays under Austria's line, also when the order is forgotten."""
    ruleset = Ruleset([], consent_policy=lines("marketing", MARKETING_LINES))
    run = Driver(ruleset)
    run.handle(
        profile(START, country="AT"), OrderPlaced(order("o1", NOW, country="US", ship_country="US", locale=""), NOW)
    )
    state = run.customers["c1"]
    assert (state.profile.country, state.profile.stated_country) == ("US", "AT")
    for orders in (state.orders, ()):
        decision = decide(UnitOfWork(ruleset, replace(state, orders=orders), NOW), "marketing", None)
        assert (decision.is_allowed, decision.rule) == (False, "no_consent")


def test_strictness() -> None:
    """Each verdict allows less than the one before, and a soft opt-in that ends sooner allows less."""
    verdicts: list[tuple[Verdict, timedelta | None]] = [
        ("allowed", None),
        ("soft_opt_in", None),
        ("soft_opt_in", 730 * DAY),
        ("soft_opt_in", 365 * DAY),
        ("needs_consent", None),
        ("own_opt_in", None),
    ]
    levels = [
        PolicyLine(purpose="review", country="*", verdict=verdict, law="L", article="1", within=within).strictness
        for verdict, within in verdicts
    ]
    assert levels == sorted(set(levels))


@pytest.mark.parametrize(
    ("verdict", "answer", "is_tracked"),
    [
        ("needs_consent", None, False),
        ("needs_consent", True, True),
        ("needs_consent", False, False),
        ("allowed", None, True),
        ("allowed", True, True),
        ("allowed", False, False),
    ],
)
def test_tracking(verdict: Verdict, answer: bool | None, is_tracked: bool) -> None:
    """By the line of the strictest country and the answer; an email about an order or a parcel is never tracked."""
    policy = lines(TRACKING, {ANY_COUNTRY: verdict, "US": "allowed"})
    abroad = replace(bought(Consent(tracking=answer)), profile=Profile(country="US"))  # the order is from Denmark
    uow = UnitOfWork(Ruleset([], consent_policy=policy), abroad, NOW)
    for purpose in PURPOSES:
        assert may_track(uow, purpose, None) == (is_tracked and purpose not in TRANSACTIONAL)


def test_tracking_needs_consent_without_a_line() -> None:
    """Also in a policy from before there were lines for tracking, and in the built-in one."""
    for answer in (None, True):
        uow = UnitOfWork(Ruleset([]), bought(Consent(tracking=answer)), NOW)
        assert may_track(uow, "marketing", None) == bool(answer)


@pytest.mark.parametrize(
    ("born", "now", "zone", "is_adult"),
    [
        (date(2008, 3, 31), NOW, "Europe/Copenhagen", False),
        (date(2008, 3, 30), NOW, "Europe/Copenhagen", True),
        (date(2008, 3, 31), datetime(2026, 3, 30, 21, 59, tzinfo=UTC), "Europe/Copenhagen", False),
        (date(2008, 3, 31), datetime(2026, 3, 30, 22, tzinfo=UTC), "Europe/Copenhagen", True),
        (date(2008, 3, 31), datetime(2026, 3, 31, 3, tzinfo=UTC), "America/New_York", False),
        (date(2008, 2, 29), datetime(2026, 2, 28, 12, tzinfo=UTC), "Europe/Copenhagen", False),
        (date(2008, 2, 29), datetime(2026, 3, 1, 12, tzinfo=UTC), "Europe/Copenhagen", True),
        (date(2027, 1, 1), NOW, "Europe/Copenhagen", False),
        (date(NO_YEAR, 3, 31), NOW, "Europe/Copenhagen", True),
        (None, NOW, "Europe/Copenhagen", True),
    ],
)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_minimum_age(purpose: str, born: date | None, now: datetime, zone: str, is_adult: bool) -> None:
    """On the customer's calendar, with every consent; an unknown age changes nothing, and transactional emails are sent at any age."""
    yes = replace(YES, answers=tuple(Answer(each, True, ASKED_AT) for each in sorted(OWN_SCOPES)))
    known = replace(bought(yes), profile=Profile(birthday=born, time_zone=zone))
    decision = ask(STRICT, known, purpose, now)
    assert decision.is_allowed == (is_adult or purpose in TRANSACTIONAL)
    if not decision.is_allowed:
        assert decision.rule == "under_age"
        assert decision.basis.endswith("the customer is younger than 18, the minimum age in DK")
        assert "2008" not in decision.basis


def test_minimum_age_of_countries() -> None:
    """The highest minimum age of all countries that are known of the customer counts. A country without its own has that of `*`, or 18."""
    table = ConsentPolicy(STRICT.lines(), minimum_ages={"DK": 15, "DE": 16, "US": 21})
    for born, country, is_adult in [
        (2011, "DK", True),  # fifteen years old
        (2012, "DK", False),
        (2011, "DE", False),
        (2010, "DE", True),
        (2006, "US", False),
        (2005, "US", True),
        (2009, "SE", False),
        (2008, "SE", True),
    ]:
        known = replace(
            bought(YES), profile=Profile(birthday=date(born, 3, 1), country=country, stated_country=country)
        )
        assert ask(table, known, "marketing").is_allowed == is_adult, (born, country)
    assert ConsentPolicy(STRICT.lines(), minimum_ages={ANY_COUNTRY: 16}).highest_minimum_age(["SE"]) == (16, "SE")


def test_a_birthday_withdraws_emails() -> None:
    """An email that may not have left yet is withdrawn when the shop learns that the customer is too young for it."""
    run = Driver(shop_ruleset(), is_reporting=False)
    run.handle(profile(START, country="DK", marketing_consent=True, email="a@b.example"))
    run.handle(OrderPlaced(order("o1", START), START))
    run.advance(10 * DAY)
    assert any(mail.purpose not in TRANSACTIONAL for mail in run.mails())
    run.handle(profile(run.now, birthday=date(2015, 1, 1)))
    withdrawn = {effect.send_id: effect.rule for effect in run.effects if isinstance(effect, WithdrawMail)}
    assert withdrawn == {mail.send_id: "under_age" for mail in run.mails() if mail.purpose not in TRANSACTIONAL}


def test_another_country_withdraws_emails() -> None:
    """An email that may not have left yet is withdrawn when the customer moves to a country that does not allow it."""
    table = ConsentPolicy(shop_policy().lines(), minimum_ages={"DK": 15, "US": 21})
    run = Driver(Ruleset(shop_ruleset().flows, consent_policy=table), is_reporting=False)
    run.handle(profile(START, country="DK", marketing_consent=True, email="a@b.example", birthday=date(2010, 1, 1)))
    run.handle(OrderPlaced(order("o1", START), START))
    run.advance(10 * DAY)
    run.handle(profile(run.now, country="US"))
    withdrawn = {effect.send_id: effect.rule for effect in run.effects if isinstance(effect, WithdrawMail)}
    assert withdrawn == {mail.send_id: "under_age" for mail in run.mails() if mail.purpose not in TRANSACTIONAL} != {}


def test_the_built_in_policy() -> None:
    """The built-in policy allows transactional emails and those with consent, and names itself in each decision."""
    for purpose in ASKABLE:
        decision = ask(STRICT, bought(), purpose)
        assert not decision.is_allowed
        assert decision.basis.startswith(f"built-in {purpose}/* (DK) is ")
    assert all(ask(STRICT, bought(NO, 0), purpose).rule == "transactional" for purpose in sorted(TRANSACTIONAL))
    assert ask(STRICT, bought(YES), "marketing").is_allowed


def test_a_policy_needs_defaults_and_allows_transactional_emails() -> None:
    """A policy without a default line, or with a restricted transactional purpose, is invalid."""
    strict = STRICT.lines()
    with pytest.raises(ValueError, match="the purpose survey has no line"):
        ConsentPolicy([line for line in strict if line.purpose != "survey"])
    bad = PolicyLine(purpose="order", country="DE", verdict="needs_consent", law="a", article="1")
    with pytest.raises(ValueError, match="order emails are transactional"):
        ConsentPolicy([*strict, bad])


def profile(at: datetime, **answers: object) -> ProfileUpdated:
    return ProfileUpdated(customer_id="c1", occurred_at=at, **answers)  # type: ignore[arg-type]  # one of its fields


def test_the_evidence_of_an_answer_is_kept() -> None:
    """Time, country and notice are stored. The newest answer counts; of two of the same time, the "no"."""
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


MARCH, JUNE = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)


def goodbye(at: datetime, scope: str = "marketing") -> Unsubscribed:
    return Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=at)  # type: ignore[arg-type]  # a scope


def allowed_after(*events: Event) -> list[str]:
    """Return the purposes that the shop's policy allows in Denmark after an order and these events."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", START), START), *events)
    uow = UnitOfWork(run.ruleset, run.customers["c1"], JUNE + DAY)
    return [purpose for purpose in ASKABLE if decide(uow, purpose, None).is_allowed]


def test_a_newer_yes_with_a_notice_undoes_an_unsubscription() -> None:
    """Unsubscribed in March, yes again in June with a notice: the yes holds, and the decision has its evidence."""
    evidence = {"consent_notice": "2026-06", "consent_source": "checkout", "consent_wording": "Ja, send mig nyheder"}
    run = Driver(shop_ruleset())
    yes = profile(JUNE, country="DK", marketing_consent=True, **evidence)
    run.handle(OrderPlaced(order("o1", START), START), goodbye(MARCH), yes)
    state = run.customers["c1"]
    assert state.consent.resubscriptions == (
        Resubscription("marketing", JUNE, "DK", "2026-06", "checkout", "Ja, send mig nyheder"),
    )
    decision = decide(UnitOfWork(run.ruleset, state, JUNE + DAY), "marketing", None)
    assert (decision.is_allowed, decision.rule) == (True, "consent")
    assert decision.basis == (
        "marketing/DK is soft_opt_in: yes to marketing of 2026-06-02 in DK by notice 2026-06; "
        "yes to marketing of 2026-06-02 in DK by notice 2026-06 at checkout, after unsubscribing from marketing on 2026-03-10"
    )
    assert decide(UnitOfWork(run.ruleset, state, JUNE + DAY), "review", None).is_allowed


@pytest.mark.parametrize(
    "yes",
    [
        {"at": MARCH - DAY, "marketing_consent": True, "consent_notice": "n1"},
        {"at": MARCH, "marketing_consent": True, "consent_notice": "n1"},
        {"at": JUNE, "marketing_consent": True},
        {"at": JUNE, "marketing_consent": True, "consent_notice": ""},
        {"at": JUNE, "marketing_consent": False, "consent_notice": "n1"},
        {"at": JUNE, "consent_notice": "n1"},
    ],
)
def test_what_does_not_undo_an_unsubscription(yes: dict[str, Any]) -> None:
    """A yes that is older, of the same time, or without a notice, a no and a profile without an answer change nothing."""
    assert allowed_after(goodbye(MARCH), profile(**yes)) == []
    assert allowed_after(profile(**yes), goodbye(MARCH)) == []


def test_an_unsubscription_after_the_yes_holds() -> None:
    """The newest of the two counts, in whatever order they arrive, and also the third time."""
    yes = profile(JUNE, marketing_consent=True, consent_notice="n1")
    assert allowed_after(goodbye(MARCH), yes, goodbye(JUNE + timedelta(hours=1))) == []
    assert allowed_after(goodbye(JUNE + timedelta(hours=1)), goodbye(MARCH), yes) == []
    again = profile(JUNE + DAY, marketing_consent=True, consent_notice="n2")
    assert allowed_after(goodbye(MARCH), yes, goodbye(JUNE + timedelta(hours=1)), again) == [
        "marketing",
        "profile",
        "review",
        "survey",
    ]


def test_a_yes_without_evidence_does_not_end_one_with_it() -> None:
    """The shop repeats the profile without the notice, as forms do: the customer stays subscribed."""
    yes = profile(JUNE, marketing_consent=True, consent_notice="n1")
    assert "marketing" in allowed_after(goodbye(MARCH), yes, profile(JUNE + DAY, marketing_consent=True))


def test_a_yes_to_one_purpose() -> None:
    """It lets only emails of that purpose continue, and a yes to marketing does not undo an unsubscription from one purpose."""
    review = profile(JUNE, review_consent=True, consent_notice="n1")
    marketing = profile(JUNE, marketing_consent=True, consent_notice="n1")
    assert allowed_after(goodbye(MARCH), review) == ["review"]
    assert "review" not in allowed_after(goodbye(MARCH, "review"), marketing)
    assert "review" in allowed_after(goodbye(MARCH, "review"), review)
    assert allowed_after(goodbye(MARCH), goodbye(MARCH, "review"), marketing) == ["marketing", "profile", "survey"]


def test_an_unsubscription_of_unknown_time_holds() -> None:
    """State of earlier versions has no time of the unsubscription, so no yes is newer, until the customer unsubscribes again."""
    known = bought(Consent(unsubscribed=("marketing",)))
    ruleset = shop_ruleset()
    yes = profile(JUNE, marketing_consent=True, consent_notice="n1")
    state, _ = advance(ruleset, known, yes, JUNE)
    assert decide(UnitOfWork(ruleset, state, JUNE), "marketing", None).rule == "unsubscribed"
    state, _ = advance(ruleset, known, goodbye(MARCH), MARCH)
    state, _ = advance(ruleset, state, yes, JUNE)
    assert decide(UnitOfWork(ruleset, state, JUNE), "marketing", None).is_allowed


def test_two_unsubscriptions_of_one_time() -> None:
    """The second is not a duplicate of the first if it has another scope."""
    assert allowed_after(goodbye(MARCH, "review"), goodbye(MARCH, "survey"), goodbye(MARCH)) == []
    assert "review" not in allowed_after(goodbye(MARCH), goodbye(MARCH, "review"))


def test_a_complaint_without_its_email() -> None:
    """It suppresses the address like any other."""
    complaint = MailComplained(customer_id="c1", send_id=None, occurred_at=MARCH)
    bounce = MailBounced(customer_id="c1", send_id=None, hard=True, reason="", occurred_at=MARCH)
    assert allowed_after(complaint) == allowed_after(bounce) == []
    assert allowed_after(complaint, profile(JUNE, marketing_consent=True, consent_notice="n1")) == []


def test_an_address_that_is_not_one() -> None:
    """No marketing goes to the address that the customer left, until the shop has a valid one. Order emails continue."""
    bad = profile(MARCH, has_bad_address=True)
    assert allowed_after(bad) == []
    assert allowed_after(bad, profile(MARCH - DAY, email="old@example.com")) == []
    assert "marketing" in allowed_after(bad, profile(JUNE, email="anna@example.com"))
    assert "marketing" in allowed_after(bad, OrderPlaced(order("o2", JUNE), JUNE))
    assert "marketing" in allowed_after(profile(JUNE, email="new@example.com"), bad)


def test_a_retry_is_decided_by_its_order_s_country() -> None:
    """An email is not retried if the policy forbids it now; the decision names the line."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", START), START), profile(START, country="DE"))
    run.effects.clear()
    for number, purpose in enumerate(("review", "marketing", "order")):
        run.handle(
            RetryDue(
                customer_id="c1", timer_id=f"t{number}", send_id=f"s{number}", attempt=2, purpose=purpose,
                not_after=START + DAY, command=b"c", due_at=START, occurred_at=START,
            )
        )  # fmt: skip
    decisions = [(each.outcome, each.rule, each.detail) for each in run.effects if isinstance(each, LogDecision)]
    assert decisions == [
        ("skip", "no_own_opt_in", "not retried: no_own_opt_in; review/DE is own_opt_in: never said yes to review"),
        ("retry", "put_off", "attempt 2; marketing/DE is soft_opt_in: order o1 of 2026-03-02 in DK"),
        ("retry", "put_off", "attempt 2; order/* is allowed"),
    ]


def test_decisions_name_the_line() -> None:
    """Every decision about an email names its line and evidence, but not the customer."""
    run = Driver(shop_ruleset())
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


def test_denmark_has_soft_opt_in() -> None:
    """In Denmark the shop's policy has soft opt-in: an order allows these emails until a "no"."""
    for purpose in ("marketing", "review", "survey"):
        assert shop_policy().line(purpose, "DK").verdict == "soft_opt_in"


def test_an_opt_out_of_service_emails() -> None:
    """It stops service emails alone; order emails and marketing continue."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", START), START), goodbye(MARCH, "service"))
    uow = UnitOfWork(run.ruleset, run.customers["c1"], JUNE)
    decision = decide(uow, "service", None)
    assert (decision.is_allowed, decision.rule) == (False, "unsubscribed")
    assert decide(uow, "order", None).is_allowed
    assert decide(uow, "marketing", None).is_allowed
