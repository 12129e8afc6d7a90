"""The outcomes of a send decision, each with the rule and the effects that belong to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.model.effects import LogDecision, SendMail
from streams.core.model.events import OrderPlaced
from streams.core.model.instance import Instance
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Send, Status
from streams.core.sending.check import Deferred, SendOutcome, Sent, Skipped
from streams.core.sending.content import template_data
from streams.core.sending.decide import decide_send
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, unsubscribe

BODY = "trigger: {on: order.placed}\nsteps: [{wait: 9d}, {send: {message: a, expires: 3d}}]"


def decided(run: Driver, *, status: Status = "live", **changes: Any) -> tuple[SendOutcome, list[tuple[str, str]], int]:
    """Decide the email of the flow for c1 now. Return the outcome, the decisions logged and the number of emails commanded."""
    (flow,) = [replace(flow, status=status) for flow in run.ruleset.flows]
    step = flow.steps[1]
    assert isinstance(step, Send)
    uow = UnitOfWork(run.ruleset, run.customers["c1"], run.now)
    instance = Instance("i1", flow.name, flow.version, "o1", None, step.path, run.now, START)
    context = EvalContext(uow, uow.order("o1"))
    outcome = decide_send(uow, flow, replace(step, **changes), instance, context, run.now)
    logged = [(effect.outcome, effect.rule) for effect in uow.effects if isinstance(effect, LogDecision)]
    return outcome, logged, sum(isinstance(effect, SendMail) for effect in uow.effects)


def customer(rules: str = "") -> Driver:
    """Return a run in which c1 has placed an order."""
    run = Driver(ruleset_of(flow_text(BODY, purpose="marketing"), rules=rules))
    buy(run)
    return run


def test_an_allowed_email_is_sent() -> None:
    """The email is commanded, and the decision has the consent rule."""
    assert decided(customer()) == (Sent("soft_opt_in"), [("send", "soft_opt_in")], 1)


@pytest.mark.parametrize(
    ("changes", "outcome", "rule"),
    [
        ({"purpose": "survey", "holdout": 100}, "skip", "holdout"),
        ({"expires": timedelta(seconds=-1)}, "skip", "expired"),
        ({"status": "draft"}, "draft", "draft"),
    ],
)
def test_a_skipped_email(changes: dict[str, Any], outcome: str, rule: str) -> None:
    """Nothing is commanded, and the decision has the rule."""
    assert decided(customer(), **changes) == (Skipped(rule), [(outcome, rule)], 0)


def test_an_email_without_consent_is_skipped() -> None:
    """Consent is decided first."""
    run = customer()
    unsubscribe(run)
    assert decided(run, holdout=100) == (Skipped("unsubscribed"), [("skip", "unsubscribed")], 0)


def test_a_deferred_email_has_the_time_of_its_next_check() -> None:
    """Quiet hours from 09:00 to 12:00 in Copenhagen, at ten o'clock: the email waits until they end."""
    run = customer("quiet_hours: {from: '09:00', to: '12:00'}\n")
    assert decided(run) == (Deferred("quiet_hours", START + 2 * HOUR), [("defer", "quiet_hours")], 0)


def test_an_email_that_would_expire_while_it_waits_is_skipped() -> None:
    """It is skipped at once, by the rule that would have deferred it."""
    run = customer("quiet_hours: {from: '09:00', to: '12:00'}\n")
    assert decided(run, expires=HOUR) == (Skipped("quiet_hours"), [("skip", "quiet_hours")], 0)


def test_transactional_emails_ignore_quiet_hours() -> None:
    """A receipt is sent at once."""
    run = customer("quiet_hours: {from: '09:00', to: '12:00'}\n")
    assert decided(run, purpose="order")[0] == Sent("transactional")


def test_a_day_to_wait_for_defers_every_email() -> None:
    """Before `not_before` a transactional email waits too, until that day begins in the customer's time zone."""
    day = (START + 3 * DAY).date()
    outcome, logged, _ = decided(customer(), purpose="order", not_before=day)
    assert outcome == Deferred("not_before", START + 3 * DAY - 10 * HOUR)
    assert logged == [("defer", "not_before")]


@pytest.mark.parametrize("purpose", ["order", "marketing"])
@pytest.mark.parametrize("name", ["https://evil.example/win", "Anna evil.example", "anna@evil.example"])
def test_a_name_with_a_link_is_nowhere_in_the_email(name: str, purpose: str) -> None:
    """The header To and the data of the templates are without the name, whether the order or the profile has it."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", purpose=purpose)))
    run.handle(ProfileUpdated(customer_id="c1", name=name, marketing_consent=True, occurred_at=START))
    run.handle(OrderPlaced(order("o1", START, name=name), START))
    (mail,) = run.mails()
    assert mail.to_name == ""
    data = template_data(mail.content)
    assert "evil" not in str(data)
    assert (data["customer"]["name"], data["customer"]["first_name"]) == ("", "")


def test_a_printable_name_takes_the_place_of_another() -> None:
    """If the name of the profile has a link, that of the order is used."""
    run = Driver(
        ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", purpose="marketing"))
    )
    run.handle(ProfileUpdated(customer_id="c1", name="evil.example", marketing_consent=True, occurred_at=START + HOUR))
    run.handle(OrderPlaced(order("o1", START, name="ANNA HOLM"), START))
    (mail,) = run.mails()
    assert (mail.to_name, template_data(mail.content)["customer"]["first_name"]) == ("ANNA HOLM", "Anna")
