"""Requests of customers: from the page to the email, from its link to the effect, each once."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from streams.core.model.effects import EmitSignal, ForgetCustomer, LogDecision, SendMail, ShowCustomer
from streams.core.model.events import CustomerMerged, OrderPlaced, ProductBrowsed
from streams.core.model.person_events import CustomerRequested, ProfileUpdated
from streams.core.sending.content import template_data
from streams.definitions.loader import load_ruleset
from tests.harness.driver import START, Driver
from tests.harness.events import TEMPLATES, order
from tests.harness.flow_texts import flow_text, ruleset_of, update_profile

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NEW = "anna@new.example"
CART = flow_text(
    "trigger: {on: product.added_to_cart}\nexit_on: [cart.emptied]\nsteps:\n  - wait: {hours: 4}\n  - send: {message: a}\n"
)


def run_of_shop() -> Driver:
    """Return a driver with the flows of the repository, and a customer with an order."""
    run = Driver(load_ruleset(TEMPLATES, shows_pages=True))
    run.handle(OrderPlaced(order("o1", START), START))
    return run


def request(run: Driver, kind: Any, stage: Any = "asked", number: int = 1, **details: Any) -> None:
    """Handle a request of the customer."""
    values: dict[str, Any] = {"customer_id": "c1", "occurred_at": run.now, "request_id": f"{kind}-{number}"}
    run.handle(CustomerRequested(kind=kind, stage=stage, **(values | details)))


def asked_mails(run: Driver) -> list[SendMail]:
    """Return the emails that ask to confirm a request."""
    return [mail for mail in run.mails() if mail.flow == "confirm-request"]


def rules(run: Driver) -> list[str]:
    """Return the rules of the decisions about requests."""
    return [
        effect.rule for effect in run.effects if isinstance(effect, LogDecision) and effect.rule.startswith("request_")
    ]


def signals(run: Driver) -> list[str]:
    """Return the signals so far."""
    return [effect.kind for effect in run.effects if isinstance(effect, EmitSignal)]


@pytest.mark.parametrize(
    ("kind", "message", "recipient"),
    [
        ("export", "export", "anna@example.com"),
        ("erase", "erase", "anna@example.com"),
        ("change_address", "address", NEW),
    ],
)
def test_a_request_is_confirmed_by_email(kind: str, message: str, recipient: str) -> None:
    """The email goes to the present address, for a change to the new one, once, with the id for its link. Nothing else happens before."""
    run = run_of_shop()
    before = run.customers["c1"]
    details = {"email": NEW} if kind == "change_address" else {}
    for _ in range(2):
        request(run, kind, **details)
    (mail,) = asked_mails(run)
    assert (mail.message, mail.to_address, mail.purpose, mail.tracking) == (message, recipient, "order", False)
    data = template_data(mail.content)
    assert data["request"] == {"request_id": f"{kind}-1", "kind": kind}
    assert data["customer"]["first_name"] == ("" if kind == "change_address" else "Anna")
    after = run.customers["c1"]
    assert (after.profile, after.orders, after.consent) == (before.profile, before.orders, before.consent)
    assert signals(run) == []


def test_a_confirmed_address_replaces_the_old_one() -> None:
    """The old address gets a notice, once; the state no longer has the request's copy, and the page shows the new one masked."""
    run = run_of_shop()
    request(run, "change_address", email=NEW)
    run.advance(6 * DAY)
    for _ in range(2):
        request(run, "change_address", "confirmed")
    state = run.customers["c1"]
    assert state.profile.email == NEW
    assert [each.email for each in state.gateway.requests] == [""]
    assert (rules(run), signals(run)) == (["request_confirmed"], ["address_changed"])
    (notice,) = [mail for mail in run.mails() if mail.flow == "address-changed"]
    assert (notice.to_address, notice.purpose, notice.content.name) == ("anna@example.com", "order", "")
    page = [effect.page for effect in run.effects if isinstance(effect, ShowCustomer)][-1]
    assert page is not None
    assert page.masked_address == "a•••@n•••.example"


def test_a_confirmed_erasure_is_that_of_takk_forget() -> None:
    """The records of all ids of the person on `customers` are deleted, the state goes, and so does the page."""
    run = run_of_shop()
    run.handle(OrderPlaced(order("g1", START, customer_id="guest"), START))
    run.handle(CustomerMerged(customer_id="guest", into="c1", occurred_at=START))
    request(run, "erase")
    request(run, "erase", "confirmed")
    forgotten = [effect.forgotten_id for effect in run.effects if isinstance(effect, ForgetCustomer)]
    assert forgotten == ["guest", "c1"]
    assert signals(run) == ["erasure_requested"]
    assert (run.customers["c1"].orders, run.customers["c1"].profile.email) == ((), "")
    pages = [(effect.customer_id, effect.page) for effect in run.effects if isinstance(effect, ShowCustomer)]
    assert dict(pages)["c1"] is None
    request(run, "erase", "confirmed")
    assert len([effect for effect in run.effects if isinstance(effect, ForgetCustomer)]) == 2


def test_an_export_is_left_to_the_operator() -> None:
    """It publishes a signal, and changes nothing else."""
    run = run_of_shop()
    request(run, "export")
    request(run, "export", "confirmed")
    request(run, "export", "done")
    assert (signals(run), rules(run)) == (["export_requested"], ["request_confirmed"])


def test_a_confirmation_needs_its_request() -> None:
    """One that was not asked for, one of another kind, and one after more than seven days have no effect."""
    run = run_of_shop()
    request(run, "erase", "confirmed")
    request(run, "change_address", email=NEW)
    request(run, "erase", "confirmed", request_id="change_address-1")
    run.advance(7 * DAY + HOUR)
    for _ in range(2):
        request(run, "change_address", "confirmed")
    assert rules(run) == ["request_unknown", "request_unknown", "request_expired"]
    assert run.customers["c1"].profile.email == "anna@example.com"
    assert signals(run) == []


def test_a_customer_cannot_be_flooded_with_links() -> None:
    """After a few requests within a day no further one sends an email; the next day one does."""
    run = run_of_shop()
    most = run.ruleset.limits.requests
    for number in range(2 * most):
        request(run, "change_address", number=number, email=f"victim-{number}@example.com")
    assert len(asked_mails(run)) == most
    assert set(rules(run)) == {"request_limit"}
    run.advance(DAY + HOUR)
    request(run, "change_address", number=99, email=NEW)
    assert len(asked_mails(run)) == most + 1


def test_an_old_request_sends_nothing() -> None:
    """A topic that is replayed writes to nobody."""
    run = run_of_shop()
    run.advance(30 * DAY)
    request(run, "export", occurred_at=START)
    assert asked_mails(run) == []


def test_a_shared_or_erased_id_has_no_requests() -> None:
    """Neither does a link of an erased customer send emails, nor does one person get the data of others. Fewer emails are possible."""
    run = Driver(load_ruleset(TEMPLATES))
    request(run, "change_address", email=NEW)
    request(run, "frequency", wants_fewer=True)
    assert (rules(run), run.mails()) == (["request_unknown"], [])
    assert run.customers["c1"].gateway.wants_fewer
    shared = run_of_shop()
    for number in range(8):
        shared.handle(OrderPlaced(order(f"s{number}", START, email=f"person-{number}@example.com"), START))
    request(shared, "export")
    request(shared, "export", "confirmed")
    assert (asked_mails(shared), signals(shared)) == ([], [])
    assert [rule for _, outcome, rule in shared.decisions() if (outcome, rule) == ("skip", "shared_id")][:1] == [
        "shared_id"
    ]


def test_without_a_flow_a_decision_says_so() -> None:
    """A shop whose templates have no flow for requests sees that its customers get no links."""
    run = Driver(ruleset_of())
    update_profile(run, email="anna@example.com")
    request(run, "export")
    assert rules(run) == ["request_unanswered"]


def test_preferences_act_at_once() -> None:
    """Answers, language and dates are those of the page; a no to service emails and a yes with a notice too."""
    run = run_of_shop()

    def prefer(hours: int, service: bool | None, **values: Any) -> None:
        at = START + hours * HOUR
        profile = ProfileUpdated(customer_id="c1", occurred_at=at, **values)
        request(run, "preferences", number=hours, profile=profile, wants_service=service, occurred_at=at)

    prefer(1, False, marketing_consent=True, locale="sv", dates=(("wedding", None),), consent_notice="n1")
    state = run.customers["c1"]
    assert (state.consent.marketing, state.profile.locale, state.consent.unsubscribed) == (True, "sv", ("service",))
    assert state.consent.is_opted_out("service")
    prefer(2, True)  # without a notice
    assert run.customers["c1"].consent.is_opted_out("service")
    prefer(3, True, consent_notice="n2")
    assert not run.customers["c1"].consent.is_opted_out("service")
    prefer(1, False)  # late
    assert not run.customers["c1"].consent.is_opted_out("service")
    prefer(4, False)
    assert run.customers["c1"].consent.is_opted_out("service")


@pytest.mark.parametrize(
    ("caps", "days", "wants_fewer", "expected"),
    [
        ("caps:\n  - {most: 1, per: 1d}\n", 4, False, 4),
        ("caps:\n  - {most: 1, per: 1d}\n", 4, True, 2),
        ("", 8, False, 8),
        ("", 8, True, 2),
    ],
)
def test_fewer_emails(caps: str, days: int, wants_fewer: bool, expected: int) -> None:
    """Each cap counts for twice as long; without caps there is one email a week. Transactional emails are not fewer."""
    flows = [
        flow_text(
            f"trigger: {{on: order.placed}}\nsteps:\n  - send: {{message: a, expires: 1h, purpose: {purpose}}}\n",
            name=name,
            purpose=purpose,
        )
        for name, purpose in (("f", "marketing"), ("g", "order"))
    ]
    run = Driver(ruleset_of(*flows, rules=caps))
    update_profile(run, email="anna@example.com", marketing_consent=True)
    request(run, "frequency", wants_fewer=wants_fewer)
    for day in range(days):
        run.advance_to(START + day * DAY)
        run.handle(OrderPlaced(order(f"o{day}", run.now), run.now))
    sent = [mail.flow for mail in run.mails()]
    assert (sent.count("f"), sent.count("g")) == (expected, days)
    skipped = {rule for flow, outcome, rule in run.decisions() if flow == "f" and outcome == "skip"}
    assert skipped == ({"fewer"} if wants_fewer else set())


def test_the_newest_frequency_counts() -> None:
    """A late answer changes nothing, and of two at the same time the one for fewer counts."""
    run = run_of_shop()
    for hours, fewer, expected in ((2, True, True), (1, False, True), (2, False, True), (3, False, False)):
        request(run, "frequency", number=hours, wants_fewer=fewer, occurred_at=START + hours * HOUR)
        assert run.customers["c1"].gateway.wants_fewer is expected


def browse(run: Driver, kind: Any, at: datetime) -> None:
    """Handle an event of the cart."""
    run.handle(ProductBrowsed(customer_id="c1", kind=kind, sku="" if kind == "cart_emptied" else "s1", occurred_at=at))


def test_an_emptied_cart_ends_its_flow() -> None:
    """The flow of an abandoned cart ends before its email."""
    run = Driver(ruleset_of(CART))
    update_profile(run, email="anna@example.com", marketing_consent=True)
    browse(run, "added_to_cart", START)
    browse(run, "cart_emptied", START + HOUR)
    run.advance(DAY)
    assert run.mails() == []
    assert ("f", "exit", "cart.emptied") in run.decisions()


def test_a_cart_that_was_emptied_before_ends_nothing() -> None:
    """Only a cart that was emptied after the start counts."""
    run = Driver(ruleset_of(CART))
    update_profile(run, email="anna@example.com", marketing_consent=True)
    browse(run, "cart_emptied", START - HOUR)
    browse(run, "added_to_cart", START)
    browse(run, "cart_emptied", START - 2 * HOUR)
    run.advance(DAY)
    assert run.messages() == ["a"]


def test_dates_that_the_customer_removed() -> None:
    """The shop's next profile with the same days restores neither, and another day counts; the customer can state a removed day again."""
    run = run_of_shop()
    birthday, wedding, other = date(1984, 5, 1), date(2019, 6, 1), date(2019, 6, 2)

    def preferences(number: int, **values: Any) -> None:
        run.advance(DAY)
        profile = ProfileUpdated(customer_id="c1", occurred_at=run.now, **values)
        request(run, "preferences", number=number, profile=profile)

    def from_shop(**values: Any) -> None:
        run.advance(DAY)
        run.handle(ProfileUpdated(customer_id="c1", occurred_at=run.now, **values))

    def dates() -> tuple[date | None, date | None]:
        profile = run.customers["c1"].profile
        return profile.birthday, profile.traits.date("wedding")

    from_shop(birthday=birthday, dates=(("wedding", wedding),))
    preferences(1, removes_birthday=True, dates=(("wedding", None),))
    assert dates() == (None, None)
    from_shop(birthday=birthday, dates=(("wedding", wedding),))
    assert dates() == (None, None)
    from_shop(birthday=other, dates=(("wedding", other),))
    assert dates() == (other, other)
    from_shop(birthday=birthday, dates=(("wedding", wedding),))
    assert dates() == (other, other)
    preferences(2, birthday=birthday, dates=(("wedding", wedding),))
    assert dates() == (birthday, wedding)
    from_shop(birthday=birthday, dates=(("wedding", wedding),))
    assert dates() == (birthday, wedding)


def test_a_removal_that_arrives_after_the_shop_s_next_profile() -> None:
    """The customer removed the days before the shop stated them again, so they are removed; a day that is newer than the removal stays."""
    days: dict[str, Any] = {"birthday": date(1984, 5, 1), "dates": (("wedding", date(2019, 6, 1)),)}
    newer: dict[str, Any] = {"birthday": date(1984, 5, 2), "dates": (("wedding", date(2019, 6, 2)),)}
    for stated, is_removed in ((days, True), (newer, False)):
        run = run_of_shop()
        run.handle(ProfileUpdated(customer_id="c1", occurred_at=START, **days))
        for hours in (2, 3):
            run.handle(ProfileUpdated(customer_id="c1", occurred_at=START + hours * HOUR, **stated))
        removal = ProfileUpdated(
            customer_id="c1", occurred_at=START + HOUR, removes_birthday=True, dates=(("wedding", None),)
        )
        request(run, "preferences", profile=removal)
        profile = run.customers["c1"].profile
        found = {"birthday": profile.birthday, "dates": (("wedding", profile.traits.date("wedding")),)}
        assert found == ({"birthday": None, "dates": (("wedding", None),)} if is_removed else stated)
        assert (run.customers["c1"].profile.birthday_since is None) == is_removed


def test_a_date_that_the_shop_removed() -> None:
    """The shop can state a date again that it removed itself."""
    run = run_of_shop()
    for day in (date(2019, 6, 1), None, date(2019, 6, 1)):
        run.advance(DAY)
        run.handle(ProfileUpdated(customer_id="c1", occurred_at=run.now, dates=(("wedding", day),)))
        assert run.customers["c1"].profile.traits.date("wedding") == day
