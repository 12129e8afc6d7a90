"""The guards: flows that are written as they should be and yet do not do what they say."""

from __future__ import annotations

import pytest

from streams.core.model.consent_policy import STRICT
from streams.core.model.flow import Flow
from streams.core.model.sending_rules import NO_RULES
from streams.definitions.checks.flow import Finding, guard_flow, guard_messages, guard_together
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import places
from streams.definitions.language.rules import parse_rules

HEAD = "flow: {name}\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {{on: order.placed}}\n"
SEND = "[{send: {message: a}}]"


def flow(body: str, name: str = "f") -> Flow:
    """A flow on orders; `body` is what stands behind its head."""
    parsed = parse_flow(HEAD.format(name=name) + body, ["a", "b"], name)
    assert isinstance(parsed, Flow), parsed
    return parsed


def told(body: str, rules: str = "") -> list[tuple[str, str]]:
    """Place and problem of each finding."""
    held = parse_rules(rules)
    assert not isinstance(held, list)
    return [(one.place, one.problem) for one in guard_flow(flow(body), held, STRICT)]


def split(*conditions: str, more: str = "") -> str:
    """A flow whose second step is a split with these arms."""
    arms = "".join(f"      - {{when: {condition!r}, steps: {SEND}}}\n" for condition in conditions)
    return f"{more}steps:\n  - send: {{message: a}}\n  - split:\n{arms}      - otherwise: {SEND}\n"


@pytest.mark.parametrize(
    ("conditions", "place", "words"),
    [
        (("true", "customer.is_vip"), ("1.1", "1.2"), "arm 0 before it takes all"),
        (("1 == 1 or false",), ("1.1",), "arm 0 before it takes all"),
        (("customer.is_vip", "customer.orders == 1", "(customer.is_vip)"), ("1.2",), "arm 0 before it"),
        (("customer.is_vip", "customer.orders>1 and customer.is_vip"), ("1.1",), "arm 0 before it"),
        (
            ("customer.orders == 1", "customer.is_vip and customer.orders==1 and order.total > 5"),
            ("1.1",),
            "arm 0 before",
        ),
        (("false",), ("1.0",), "never true"),
        (("customer.is_vip and not true",), ("1.0",), "never true"),
        (("customer.is_vip and not customer.is_vip",), ("1.0",), "never true"),
    ],
)
def test_arms_that_nobody_goes(conditions: tuple[str, ...], place: tuple[str, ...], words: str) -> None:
    """Behind an arm that takes everybody, behind one that asks for less, or with a condition that is never true."""
    found = told(split(*conditions))
    assert tuple(where for where, _ in found) == place
    assert all(words in problem for _, problem in found)


@pytest.mark.parametrize(
    "conditions",
    [
        ("customer.is_vip", "customer.orders == 1"),
        ("customer.is_vip and customer.orders == 1", "customer.is_vip"),
        ("customer.is_vip or customer.orders == 1", "customer.is_vip and order.total > 5"),
        ("order.is_refunded",),
        ("customer.country == 'true'",),
        ("not customer.is_vip", "customer.is_vip"),
    ],
)
def test_arms_that_somebody_may_go(conditions: tuple[str, ...]) -> None:
    """What is not certain is not told."""
    assert told(split(*conditions)) == []


@pytest.mark.parametrize(
    ("exit_on", "condition"),
    [
        ("order.refunded", "order.is_refunded"),
        ("order.cancelled", "order.is_cancelled and order.total > 5"),
        ("customer.unsubscribed", "customer.is_unsubscribed"),
    ],
)
def test_what_the_flow_ends_with_is_never_true_in_it(exit_on: str, condition: str) -> None:
    """An arm for those whom exit_on has sent away."""
    assert [place for place, _ in told(split(condition, more=f"exit_on: [{exit_on}]\n"))] == ["1.0"]


def test_a_flow_that_never_begins() -> None:
    """A `where` that is never true."""
    never = HEAD.replace("order.placed", "order.placed, where: 'false'").format(name="f") + f"steps: {SEND}"
    parsed = parse_flow(never, ["a"], "f")
    assert isinstance(parsed, Flow)
    (found,) = guard_flow(parsed, NO_RULES, STRICT)
    assert (found.place, found.is_error) == ("trigger.where", True)
    assert places(never)["trigger.where"] == (5, 36)


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ("- wait_for: {event: order.refunded, up_to: 1d, then: [{send: {message: a}}]}", "0"),
        ("- wait_for: {event: order.placed, up_to: 1d, where: 'false', then: [{send: {message: a}}]}", "0"),
    ],
)
def test_events_that_never_come(steps: str, place: str) -> None:
    """One that ends the flow first, one with a condition that is never true, and one about a mail that is not sent on the way."""
    assert [where for where, _ in told(f"exit_on: [order.refunded]\nsteps:\n  {steps}")] == [place]


def test_a_mail_behind_a_split_may_have_been_sent() -> None:
    """After the arms join, either may have been gone."""
    steps = f"[{{split: [{{when: customer.is_vip, steps: {SEND}}}]}}, {{wait_for: {{event: mail.opened, up_to: 1d}}}}]"
    assert told(f"steps: {steps}") == []


def test_a_wait_at_the_end() -> None:
    """It is a warning: the run ends when it comes there. A wait in the last arm is one too."""
    found = guard_flow(
        flow(f"steps: [{{split: [{{when: customer.is_vip, steps: {SEND}}}, {{otherwise: [wait: 1d]}}]}}]"),
        NO_RULES,
        STRICT,
    )
    assert [(one.place, one.is_error) for one in found] == [("0.1.0", False)]
    assert told("steps: [{wait: 1d}, {send: {message: a}}]") == []


@pytest.mark.parametrize(
    ("at", "expires", "is_late"),
    [
        ("22:00", "5h", True),
        ("22:00", "11h", False),
        ("20:00", "5h", False),
        ("02:00", "3h", True),
        ("08:00", "1h", False),
    ],
)
def test_a_mail_that_sleeps_too_long(at: str, expires: str, is_late: bool) -> None:
    """Due in the quiet hours and expired before they end."""
    rules = 'quiet_hours: {from: "21:00", to: "08:00"}'
    steps = f'[{{wait: {{days: 1, at: "{at}"}}}}, {{send: {{message: a, expires: {expires}}}}}]'
    assert [place for place, _ in told(f"steps: {steps}", rules)] == (["1"] if is_late else [])
    owed = steps.replace("message: a", "message: a, purpose: service")
    assert told(f"steps: {owed}", rules) == []


def test_messages_that_nobody_sends() -> None:
    """A message beside the flow that no version of it sends is a warning."""
    older = flow("steps: [{send: {message: b}}]")
    assert guard_messages([older, flow(f"steps: {SEND}")], ["a", "b"]) == []
    (found,) = guard_messages([flow(f"steps: {SEND}")], ["a", "b"])
    assert "'b'" in found.problem
    assert not found.is_error


EXPERIMENT = """\
steps:
  - experiment:
      name: {name}
      arms:
        - {{name: x, percent: {x}, steps: [{{send: {{message: a}}}}]}}
        - {{name: y, percent: {y}, steps: [{{send: {{message: b}}}}]}}
"""


def test_experiments_that_share_a_name() -> None:
    """The same name with other arms is a mistake; with the same arms it is meant."""
    even, again, odd = (
        flow(EXPERIMENT.format(name=name, x=x, y=100 - x), label)
        for label, name, x in (("one", "subject", 50), ("two", "subject", 50), ("three", "subject", 40))
    )
    assert list(guard_together([even, again])) == []
    ((where, found),) = guard_together([even, again, odd])
    assert (where.name, found.place, found.is_error) == ("three", "0", True)
    assert "step 0 of one" in found.problem
    assert list(guard_together([even, flow(EXPERIMENT.format(name="price", x=40, y=60), "three")])) == []


def test_flows_that_wait_for_each_other() -> None:
    """Told once, as a warning."""
    one, two = flow(f"not_with: [two]\nsteps: {SEND}", "one"), flow(f"not_with: [one]\nsteps: {SEND}", "two")
    ((where, found),) = guard_together([one, two])
    assert (where.name, found.place, found.is_error) == ("one", "not_with", False)
    assert list(guard_together([one, flow(f"steps: {SEND}", "two")])) == []


def test_owed_mails_wait_for_nobody() -> None:
    """not_with in a flow whose mails are all owed says nothing."""
    body = "not_with: [other]\nsteps: [{send: {message: a, purpose: service}}]"
    assert guard_flow(flow(body), NO_RULES, STRICT) == [
        Finding("not_with", "mails that are owed wait for no other flow", "take not_with out", is_error=False)
    ]


def test_places() -> None:
    """Steps and arms are found where they stand, in every kind of step that has ways."""
    text = (
        HEAD.format(name="f")
        + """\
steps:
  - split:
      - when: customer.is_vip
        steps:
          - send: {message: a}
      - otherwise:
          - wait: 1d
  - wait_for:
      event: order.placed
      up_to: 1d
      otherwise:
        - send: {message: a}
  - experiment:
      name: x
      arms:
        - {name: one, percent: 100, steps: [{wait: 1d}, {send: {message: b}}]}
"""
    )
    found = places(text)
    assert {path: place for path, place in found.items() if path[0].isdigit()} == {
        "0": (7, 5), "0.0": (8, 9), "0.0.0": (10, 13), "0.1": (11, 9), "0.1.0": (12, 13),
        "1": (13, 5), "1.1": (17, 9), "1.1.0": (17, 11), "2": (18, 5), "2.0": (21, 11), "2.0.0": (21, 45), "2.0.1": (21, 57),
    }  # fmt: skip
    assert found["trigger.on"] == (5, 15)
