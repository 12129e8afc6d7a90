"""Helpers for tests of single flows: a driver with one flow, the actions of one customer, and their emails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streams.core.model.effects import LogDecision
from streams.core.model.events import MailOpened, OrderPlaced, SurveyAnswered, Unsubscribed
from streams.core.model.person_events import ProfileUpdated
from streams.core.rules.ruleset import Ruleset
from streams.definitions.language.rules import parse_rules, parse_segments
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order, shop_policy

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MESSAGES = ["a", "b", "c"]
HEAD = "flow: {name}\nversion: 1\nstatus: {status}\npurpose: {purpose}\n"


def flow_text(body: str, name: str = "f", status: str = "live", purpose: str = "service") -> str:
    """The text of a flow; `body` follows its head."""
    return HEAD.format(name=name, status=status, purpose=purpose) + body


def ruleset_of(*flows: str, segments: str = "", rules: str = "", **settings: Any) -> Ruleset:
    """A ruleset of valid flows (see `flow_text`), segments and sending rules."""
    conditions, sending_rules = parse_segments(segments), parse_rules(rules)
    assert isinstance(conditions, dict), conditions
    assert not isinstance(sending_rules, list), sending_rules
    parsed = [flow_from(text, text.partition("flow: ")[2].partition("\n")[0], MESSAGES, conditions) for text in flows]
    return Ruleset(
        parsed, **{"segments": conditions, "rules": sending_rules, "consent_policy": shop_policy(), **settings}
    )


def run_of(body: str, *, purpose: str = "service", **settings: Any) -> Driver:
    """A driver with one flow."""
    return Driver(ruleset_of(flow_text(body, purpose=purpose), **settings))


def buy(run: Driver, order_id: str = "o1", **changes: Any) -> None:
    """Place an order of the customer c1."""
    run.handle(OrderPlaced(order(order_id, run.now, **changes), run.now))


def update_profile(run: Driver, **changes: Any) -> None:
    """Update the profile of c1."""
    run.handle(ProfileUpdated(customer_id="c1", **({"occurred_at": run.now} | changes)))


def open_email(run: Driver, send_id: str) -> None:
    """Open an email as c1."""
    run.handle(MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=run.now))


def answer_survey(run: Driver, answer: str, question: str = "happy") -> None:
    """Answer a survey as c1."""
    run.handle(SurveyAnswered(customer_id="c1", send_id=None, question=question, answer=answer, occurred_at=run.now))


def unsubscribe(run: Driver) -> None:
    """Unsubscribe c1 from marketing."""
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=run.now))


def sent(run: Driver) -> list[tuple[str, float]]:
    """Each message sent to c1, with the days since the start."""
    return [
        (effect.detail.removeprefix("sends ").partition(";")[0], round((effect.decided_at - START) / DAY, 3))
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]
