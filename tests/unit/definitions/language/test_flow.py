"""Flow files: what is read, and the errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta

import pytest

from streams.core.instances.steps.split import Split
from streams.core.instances.steps.wait import Wait
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Send
from streams.definitions.language.flow import parse_flow
from streams.definitions.problems import Problem

GOOD = """\
flow: review
version: 3
status: live
purpose: review
trigger:
  on: shipment.delivered
  once_per: order
  where: order.total >= 100
exit_on: [order.refunded]
steps:
  - wait: {days: 2, at: 10:00, clock: shop, not_on: [sat, sun]}
  - split:
      - when: customer.orders == 1
        steps:
          - send: {message: ask-first, priority: 60, expires: 36h}
      - otherwise:
          - wait: 12h
          - send: {message: ask, purpose: marketing}
  - wait: 1d
"""
MESSAGES = ["ask", "ask-first"]


def errors_in(text: str, messages: Sequence[str] = MESSAGES) -> list[Problem]:
    """The problems of a flow."""
    parsed = parse_flow(text, messages, "review")
    assert isinstance(parsed, list)
    return parsed


def test_valid_flow() -> None:
    """All parts of the flow are in the model, and steps follow each other out of a split."""
    flow = parse_flow(GOOD, MESSAGES, "review")
    assert isinstance(flow, Flow)
    assert (flow.name, flow.version, flow.status, flow.exit_on) == ("review", 3, "live", ("order.refunded",))
    wait, split, last = flow.steps
    assert wait == Wait(path="0", days=2, at=time(10), clock="shop", not_on=frozenset({5, 6}))
    assert isinstance(split, Split)
    assert split.branches[0].steps == (
        Send(path="1.0.0", message="ask-first", purpose="review", priority=60, expires=timedelta(hours=36)),
    )
    assert split.branches[1].steps[1] == Send(path="1.1.1", message="ask", purpose="marketing")
    assert last == Wait(path="2", days=1)
    compiled = CompiledFlow(flow)
    assert compiled.first == "0"
    assert compiled.next_step == {"0": "1", "1": "2", "1.0.0": "2", "1.1.0": "1.1.1", "1.1.1": "2", "2": None}


@pytest.mark.parametrize(
    ("old", "new", "position", "id"),
    [
        ("version: 3", "verison: 3", (2, 1), "yaml.E010"),
        ("version: 3\n", "", (1, 1), "yaml.E011"),
        ("version: 3", "version: three", (2, 10), "yaml.E013"),
        ("status: live", "status: alive", (3, 9), "yaml.E012"),
        ("purpose: review\n", "purpose: reviews\n", (4, 10), "yaml.E012"),
        ("on: shipment.delivered", "on: shipment.deliverd", (6, 7), "yaml.E012"),
        ("once_per: order", "once_per: basket", (7, 13), "yaml.E012"),
        ("order.total >= 100", "order.totl >= 100", (8, 10), "condition.E009"),
        ("[order.refunded]", "[order.refund]", (9, 11), "yaml.E012"),
        ("[order.refunded]", "order.refunded", (9, 10), "yaml.E006"),
        ("days: 2,", "days: -2,", (11, 18), "yaml.E013"),
        ("at: 10:00", "at: 25:00", (11, 25), "yaml.E015"),
        ("clock: shop", "clock: show", (11, 39), "yaml.E012"),
        ("[sat, sun]", "[sat, sunday]", (11, 59), "yaml.E012"),
        ("[sat, sun]", "[mon, tue, wed, thu, fri, sat, sun]", (11, 53), "yaml.E018"),
        ("{days: 2, at: 10:00, clock: shop, not_on: [sat, sun]}", "{clock: shop}", (11, 11), "flow.E025"),
        ("customer.orders == 1", "'custmer.orders == 1'", (13, 16), "condition.E009"),
        ("message: ask-first", "message: ask-frist", (15, 29), "flow.E039"),
        ("expires: 36h", "expires: soon", (15, 63), "yaml.E014"),
        ("priority: 60", "priority: 600", (15, 50), "yaml.E013"),
        ("- wait: 12h", "- sleep: 12h", (17, 13), "yaml.E010"),
        ("- wait: 1d", "- wait: 1d\n    send: {message: ask}", (19, 5), "flow.E021"),
        ("flow: review", "flow: reviews", (1, 7), "flow.E001"),
        ("flow: review", "flow: Review!", (1, 7), "yaml.E017"),
        ("version: 3", "version: [3", (3, 7), "yaml.E001"),
        ("exit_on: [order.refunded]", "exit_on: &a [*a]", (9, 14), "yaml.E002"),
        ("version: 3", "version: 3\nversion: 4", (3, 1), "yaml.E009"),
    ],
)
def test_errors(old: str, new: str, position: tuple[int, int], id: str) -> None:
    """One change gives one error, with its id and position."""
    assert old in GOOD
    (problem,) = errors_in(GOOD.replace(old, new, 1))
    assert ((problem.location.line, problem.location.column), problem.id) == (position, id)


@pytest.mark.parametrize("text", ["", "[]", "just words", "a: [", "\x00", "flow: {}", "steps: 5\ntrigger: []"])
def test_nonsense(text: str) -> None:
    """A text that is not a flow gives errors too."""
    assert errors_in(text, messages=[])


def test_branches() -> None:
    """No branch may follow otherwise, and a flow without parcels cannot run once per parcel."""
    text = GOOD.replace(
        "      - otherwise:",
        "      - otherwise: [{send: {message: ask}}]\n      - when: customer.is_vip\n        steps:",
    )
    assert [problem.id for problem in errors_in(text)] == ["flow.E036"]
    no_parcel = GOOD.replace("shipment.delivered", "order.placed").replace("once_per: order", "once_per: parcel")
    assert [problem.id for problem in errors_in(no_parcel)] == ["flow.E011"]
