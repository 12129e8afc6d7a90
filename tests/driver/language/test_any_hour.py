"""Emails that may come in the quiet hours, because the customer waits for them."""

from __future__ import annotations

import pytest

from streams.core.rules.consent_policy import PURPOSES, ConsentPolicy, PolicyLine, Verdict, is_transactional
from streams.core.rules.flow import Flow
from streams.definitions.checks.any_hour import check_any_hour
from tests.harness.driver import Driver
from tests.harness.events import flow_from
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    MESSAGES,
    answer_survey,
    buy,
    flow_text,
    ruleset_of,
    sent,
    update_profile,
)

RULES = "caps: [{most: 1, per: 1d}]\nquiet_hours: {from: '20:00', to: '08:00'}\n"
ANSWER = "trigger: {on: survey.answered}\nsteps: [{send: {message: a%s}}]\n"


def policy(**marketing: Verdict) -> ConsentPolicy:
    """A policy in which all purposes are allowed, and marketing as said: `any_country` and two letters of others."""
    lines = [(purpose, "*", "allowed" if is_transactional(purpose) else "soft_opt_in") for purpose in PURPOSES]
    lines += [("marketing", "*" if country == "any_country" else country, each) for country, each in marketing.items()]
    return ConsentPolicy(
        PolicyLine(purpose=purpose, country=country, verdict=verdict, law="L", article="1")  # type: ignore[arg-type]  # literals
        for purpose, country, verdict in lines
    )


def answered(purpose: str, option: str, consent: ConsentPolicy, country: str = "DK") -> list[tuple[str, float]]:
    """The emails after an answer at 22 o'clock, 12 hours after the order."""
    run = Driver(ruleset_of(flow_text(ANSWER % option, purpose=purpose), rules=RULES, consent_policy=consent))
    update_profile(run, country=country, time_zone="Europe/Copenhagen")
    buy(run, country=country, ship_country=country, locale="")
    run.advance(12 * HOUR)
    answer_survey(run, "yes")
    run.advance(DAY)
    return sent(run)


@pytest.mark.parametrize(
    ("purpose", "option", "country", "hours"),
    [
        ("survey", "", "DK", 22),
        ("survey", ", any_hour: true", "DK", 12),
        ("marketing", ", any_hour: true", "DK", 22),
        ("marketing", ", any_hour: true", "US", 12),
    ],
)
def test_quiet_hours(purpose: str, option: str, country: str, hours: float) -> None:
    """With `any_hour` an email comes at night. One for marketing does so only in countries whose law allows it."""
    ((_, days),) = answered(purpose, option, policy(US="allowed"), country)
    assert days == round(hours / 24, 3)


def test_an_email_that_waited_keeps_the_quiet_hours() -> None:
    """An email that another rule deferred into the night is no longer one that the customer waits for."""
    body = ANSWER % ", any_hour: true"
    run = Driver(ruleset_of(flow_text(body, purpose="survey"), rules=RULES, consent_policy=policy()))
    update_profile(run, country="DK", time_zone="Europe/Copenhagen")
    buy(run)
    run.advance(12 * HOUR)
    answer_survey(run, "yes")
    run.advance(HOUR)
    answer_survey(run, "no", "other")
    run.advance(3 * DAY)
    assert [days for _, days in sent(run)] == [0.5]


@pytest.mark.parametrize(
    ("purpose", "body", "ids"),
    [
        ("survey", "trigger: {on: order.placed}\nsteps: [{emit: x}, {send: {message: a, any_hour: true}}]", []),
        ("survey", "trigger: {on: order.placed}\nsteps: [{wait: 1h}, {send: {message: a, any_hour: true}}]", ["flow.E083"]),
        ("survey", "trigger: {on: shipment.delivered}\nsteps: [{send: {message: a, any_hour: true}}]", ["flow.E083"]),
        ("survey", "trigger: {on: order.placed}\nsteps: [{send: {message: b}}, {send: {message: a, any_hour: true}}]", ["flow.E083"]),
        (
            "survey",
            "trigger: {on: order.placed}\nsteps: [{send: {message: a, any_hour: true, not_before: 2026-04-01}}]",
            ["flow.E083"],
        ),
        (
            "survey",
            "trigger: {on: order.placed, once_per: product}\nsteps: [{send: {message: a, any_hour: true, together: true}}]",
            ["flow.E083"],
        ),
        ("service", "trigger: {on: order.placed}\nsteps: [{send: {message: a, any_hour: true}}]", ["flow.W014"]),
        ("marketing", "trigger: {on: order.placed}\nsteps: [{send: {message: a, any_hour: true}}]", ["flow.E082"]),
        (
            "survey",
            "trigger: {on: shipment.delivered}\nsteps:\n  - wait_for: {event: survey.answered, up_to: 9d, "
            "then: [{send: {message: a, any_hour: true}}], otherwise: [{send: {message: b, any_hour: true}}]}",
            ["flow.E083"],
        ),
        (
            "survey",
            "trigger: {on: order.placed}\nsteps:\n  - split: [{when: order.is_gift, steps: [{wait: 1d}]}]\n"
            "  - send: {message: a, any_hour: true}",
            ["flow.E083"],
        ),
        (
            "survey",
            "trigger: {on: order.placed}\nsteps:\n  - split: [{when: order.is_gift, steps: [{emit: gift}]}]\n"
            "  - send: {message: a, any_hour: true}",
            [],
        ),
    ],
)  # fmt: skip
def test_checks(purpose: str, body: str, ids: list[str]) -> None:
    """The check refuses `any_hour` for marketing that no law allows, and where the customer does not wait."""
    flow = flow_from(flow_text(body, purpose=purpose), "f", MESSAGES)
    assert isinstance(flow, Flow)
    assert [problem.id for problem in check_any_hour(flow, policy())] == ids
    if purpose == "marketing":
        assert list(check_any_hour(flow, policy(US="allowed"))) == []
