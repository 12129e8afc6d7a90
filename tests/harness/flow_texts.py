"""Short ways to try a flow: a world of one flow, and what one customer gets of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streams.core.model.effects import LogDecision
from streams.core.model.events import MailOpened, OrderPlaced, ProfileUpdated, SurveyAnswered, Unsubscribed
from streams.core.model.ruleset import Ruleset
from streams.definitions.language.rules import parse_rules, parse_segments
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order, shop_policy

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MESSAGES = ["a", "b", "c"]
HEAD = "flow: {name}\nversion: 1\nstatus: {status}\npurpose: {purpose}\n"


def flow_text(body: str, name: str = "f", status: str = "live", purpose: str = "service") -> str:
    """The text of a flow; `body` is what stands behind its head."""
    return HEAD.format(name=name, status=status, purpose=purpose) + body


def ruleset_of(*flows: str, segments: str = "", rules: str = "", **settings: Any) -> Ruleset:
    """A world with flows (see `flow_text`), segments and rules, all of which must be right."""
    known, held = parse_segments(segments), parse_rules(rules)
    assert isinstance(known, dict), known
    assert not isinstance(held, list), held
    parsed = [flow_from(text, text.partition("flow: ")[2].partition("\n")[0], MESSAGES, known) for text in flows]
    return Ruleset(parsed, **{"segments": known, "rules": held, "consent_policy": shop_policy(), **settings})


def run_of(body: str, *, purpose: str = "service", **settings: Any) -> Driver:
    """A driver of a world with one flow."""
    return Driver(ruleset_of(flow_text(body, purpose=purpose), **settings))


def buy(run: Driver, order_id: str = "o1", **changes: Any) -> None:
    """The customer c1 buys now."""
    run.handle(OrderPlaced(order(order_id, run.now, **changes), run.now))


def update_profile(run: Driver, **changes: Any) -> None:
    """The shop tells the profile of c1."""
    run.handle(ProfileUpdated(customer_id="c1", occurred_at=run.now, **changes))


def open_email(run: Driver, send_id: str) -> None:
    """The customer c1 opens a mail."""
    run.handle(MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=run.now))


def answer_survey(run: Driver, answer: str, question: str = "happy") -> None:
    """The customer c1 answers."""
    run.handle(SurveyAnswered(customer_id="c1", send_id=None, question=question, answer=answer, occurred_at=run.now))


def unsubscribe(run: Driver) -> None:
    """The customer c1 wants no more advertising."""
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=run.now))


def sent(run: Driver) -> list[tuple[str, float]]:
    """Each message that c1 got, and how many days after the start."""
    return [
        (one.detail.removeprefix("sends ").partition(";")[0], round((one.decided_at - START) / DAY, 3))
        for one in run.effects
        if isinstance(one, LogDecision) and one.outcome == "send"
    ]
