"""Checks of flows that are written correctly: unreachable branches, events that cannot occur, emails that are never sent."""

from __future__ import annotations

import pytest

from streams.core.rules.consent_policy import STRICT
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import NO_RULES
from streams.definitions.checks.flow import check_flow, check_flows_together, check_unused_messages
from streams.definitions.checks.transactional import service_messages
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import positions_in
from streams.definitions.language.rules import parse_rules

HEAD = "flow: {name}\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {{on: order.placed}}\n"
SEND = "[{send: {message: a}}]"


def flow(body: str, name: str = "f") -> Flow:
    """A flow that starts with orders; `body` follows its head."""
    parsed = parse_flow(HEAD.format(name=name) + body, ["a", "b"], name)
    assert isinstance(parsed, Flow), parsed
    return parsed


def problems_of(body: str, rules: str = "") -> list[tuple[str, str]]:
    """Part of the flow and id of each problem."""
    parsed = parse_rules(rules)
    assert not isinstance(parsed, list)
    return [(problem.location.part, problem.id) for problem in check_flow(flow(body), parsed, STRICT)]


def split(*conditions: str, more: str = "") -> str:
    """A flow whose second step is a split with these branches."""
    arms = "".join(f"      - {{when: {condition!r}, steps: {SEND}}}\n" for condition in conditions)
    return f"{more}steps:\n  - send: {{message: a}}\n  - split:\n{arms}      - otherwise: {SEND}\n"


@pytest.mark.parametrize(
    ("conditions", "parts", "id"),
    [
        (("true", "customer.is_vip"), ("1.1", "1.2"), "flow.E047"),
        (("1 == 1 or false",), ("1.1",), "flow.E047"),
        (("customer.is_vip", "customer.orders == 1", "(customer.is_vip)"), ("1.2",), "flow.E047"),
        (("customer.is_vip", "customer.orders>1 and customer.is_vip"), ("1.1",), "flow.E047"),
        (
            ("customer.orders == 1", "customer.is_vip and customer.orders==1 and order.total > 5"),
            ("1.1",),
            "flow.E047",
        ),
        (("false",), ("1.0",), "flow.E046"),
        (("customer.is_vip and not true",), ("1.0",), "flow.E046"),
        (("customer.is_vip and not customer.is_vip",), ("1.0",), "flow.E046"),
    ],
)
def test_unreachable_branches(conditions: tuple[str, ...], parts: tuple[str, ...], id: str) -> None:
    """A branch after one that matches every customer or more customers, or with a condition that is never true, is an error."""
    assert problems_of(split(*conditions)) == [(part, id) for part in parts]


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
def test_reachable_branches(conditions: tuple[str, ...]) -> None:
    """Only certain problems are reported."""
    assert problems_of(split(*conditions)) == []


@pytest.mark.parametrize(
    ("exit_on", "condition"),
    [
        ("order.refunded", "order.is_refunded"),
        ("order.cancelled", "order.is_cancelled and order.total > 5"),
        ("customer.unsubscribed", "customer.is_unsubscribed"),
    ],
)
def test_branch_after_exit_on(exit_on: str, condition: str) -> None:
    """A branch for customers who have left the flow by exit_on is unreachable."""
    assert problems_of(split(condition, more=f"exit_on: [{exit_on}]\n")) == [("1.0", "flow.E046")]


def test_flow_never_starts() -> None:
    """A `where` of the trigger that is never true is an error at its position."""
    never = HEAD.replace("order.placed", "order.placed, where: 'false'").format(name="f") + f"steps: {SEND}"
    parsed = parse_flow(never, ["a"], "f")
    assert isinstance(parsed, Flow)
    (problem,) = check_flow(parsed, NO_RULES, STRICT)
    assert (problem.location.part, problem.id) == ("trigger.where", "flow.E043")
    assert positions_in(never)["trigger.where"] == (5, 36)


@pytest.mark.parametrize(
    ("steps", "id"),
    [
        ("- wait_for: {event: order.refunded, up_to: 1d, then: [{send: {message: a}}]}", "flow.E048"),
        ("- wait_for: {event: order.placed, up_to: 1d, where: 'false', then: [{send: {message: a}}]}", "flow.E049"),
    ],
)
def test_events_never_occur(steps: str, id: str) -> None:
    """An awaited event that ends the flow first, or whose condition is never true, is an error."""
    assert problems_of(f"exit_on: [order.refunded]\nsteps:\n  {steps}") == [("0", id)]


def test_send_in_a_branch_before() -> None:
    """After branches join, a send of either may precede a wait_for."""
    steps = f"[{{split: [{{when: customer.is_vip, steps: {SEND}}}]}}, {{wait_for: {{event: mail.opened, up_to: 1d}}}}]"
    assert problems_of(f"steps: {steps}") == []


def test_wait_at_the_end() -> None:
    """A wait without a following step is a warning, in the last branch too."""
    problems = check_flow(
        flow(f"steps: [{{split: [{{when: customer.is_vip, steps: {SEND}}}, {{otherwise: [wait: 1d]}}]}}]"),
        NO_RULES,
        STRICT,
    )
    assert [(problem.location.part, problem.id) for problem in problems] == [("0.1.0", "flow.W004")]
    assert problems_of("steps: [{wait: 1d}, {send: {message: a}}]") == []


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
def test_email_expires_in_quiet_hours(at: str, expires: str, is_late: bool) -> None:
    """An email that is due in the quiet hours and expires before they end is a warning, unless it is transactional."""
    rules = 'quiet_hours: {from: "21:00", to: "08:00"}'
    steps = f'[{{wait: {{days: 1, at: "{at}"}}}}, {{send: {{message: a, expires: {expires}}}}}]'
    assert problems_of(f"steps: {steps}", rules) == ([("1", "flow.W007")] if is_late else [])
    transactional = steps.replace("message: a", "message: a, purpose: service")
    assert problems_of(f"steps: {transactional}", rules) == []


def test_unused_messages() -> None:
    """A message that no version of the flow sends is a warning."""
    older = flow("steps: [{send: {message: b}}]")
    assert check_unused_messages([older, flow(f"steps: {SEND}")], ["a", "b"]) == []
    (problem,) = check_unused_messages([flow(f"steps: {SEND}")], ["a", "b"])
    assert (problem.id, "'b'" in problem.message) == ("flow.W002", True)


EXPERIMENT = """\
steps:
  - experiment:
      name: {name}
      arms:
        - {{name: x, percent: {x}, steps: [{{send: {{message: a}}}}]}}
        - {{name: y, percent: {y}, steps: [{{send: {{message: b}}}}]}}
"""


def test_experiments_with_one_name() -> None:
    """Experiments of one name must have the same branches."""
    even, again, odd = (
        flow(EXPERIMENT.format(name=name, x=x, y=100 - x), label)
        for label, name, x in (("one", "subject", 50), ("two", "subject", 50), ("three", "subject", 40))
    )
    assert list(check_flows_together([even, again])) == []
    ((where, problem),) = check_flows_together([even, again, odd])
    assert (where.name, problem.location.part, problem.id) == ("three", "0", "flow.E052")
    assert "step 0 of one" in problem.message
    assert list(check_flows_together([even, flow(EXPERIMENT.format(name="price", x=40, y=60), "three")])) == []


def test_flows_wait_for_each_other() -> None:
    """Two flows that wait for each other are one warning."""
    one, two = flow(f"not_with: [two]\nsteps: {SEND}", "one"), flow(f"not_with: [one]\nsteps: {SEND}", "two")
    ((where, problem),) = check_flows_together([one, two])
    assert (where.name, problem.location.part, problem.id) == ("one", "not_with", "flow.W003")
    assert list(check_flows_together([one, flow(f"steps: {SEND}", "two")])) == []


def test_transactional_emails_do_not_wait() -> None:
    """not_with in a flow with only transactional emails is a warning."""
    assert problems_of("not_with: [other]\nsteps: [{send: {message: a, purpose: service}}]") == [
        ("not_with", "flow.W001")
    ]


def test_positions() -> None:
    """Steps and branches have positions, in every kind of step that has branches."""
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
    positions = positions_in(text)
    assert {path: position for path, position in positions.items() if path[0].isdigit()} == {
        "0": (7, 5), "0.0": (8, 9), "0.0.0": (10, 13), "0.1": (11, 9), "0.1.0": (12, 13),
        "1": (13, 5), "1.1": (17, 9), "1.1.0": (17, 11), "2": (18, 5), "2.0": (21, 11), "2.0.0": (21, 45), "2.0.1": (21, 57),
    }  # fmt: skip
    assert positions["trigger.on"] == (5, 15)


TRANSACTIONAL = "flow: f\nversion: 1\nstatus: live\npurpose: {purpose}\ntrigger: {{on: {trigger}{more}}}\nsteps:\n"


@pytest.mark.parametrize("purpose", ["service", "order"])
@pytest.mark.parametrize(
    ("trigger", "steps", "expected"),
    [
        ("order.placed", "  - send: {message: a}\n", []),
        ("shipment.delivered", "  - wait: 60d\n  - send: {message: a}\n", []),
        ("shipment.delivered", "  - wait: 61d\n  - send: {message: a}\n", [("1", "flow.E064")]),
        ("order.placed", "  - wait: 2mo\n  - send: {message: a}\n", [("1", "flow.E064")]),
        ("order.placed", "  - wait: 1mo\n  - send: {message: a}\n", []),
        ("order.placed", "  - wait: 30d\n  - wait: {days: 30, at: '10:00'}\n  - send: {message: a}\n", [("2", "flow.E064")]),
        ("order.placed", "  - wait_for: {event: order.paid, up_to: 90d, then: [{send: {message: a}}]}\n", [("0.0.0", "flow.E064")]),
        ("order.placed", "  - wait_for: {event: order.paid, up_to: 20d, then: [{wait: 50d}]}\n  - send: {message: a}\n", [("1", "flow.E064")]),
        ("order.placed", "  - split: [{when: customer.is_vip, steps: [{wait: 61d}]}]\n  - send: {message: a}\n", [("1", "flow.E064")]),
        ("order.placed", "  - split: [{when: customer.is_vip, steps: [{wait: 9d}]}]\n  - send: {message: a}\n", []),
        ("shipment.shipped", "  - wait: {until: shipment.window_to, days: 5}\n  - send: {message: a}\n", []),
        ("customer.birthday", "  - send: {message: a}\n", [("trigger.on", "flow.E062")]),
        ("profile.completed", "  - send: {message: a}\n", [("trigger.on", "flow.E062")]),
        ("mail.opened", "  - send: {message: a}\n", [("trigger.on", "flow.E062")]),
        ("order.placed", "  - reward: {name: ten}\n  - send: {message: a}\n", [("0", "flow.E063")]),
        ("order.placed", "  - reward: {name: ten, pool: ten}\n  - wait: 1d\n  - send: {message: a}\n", [("0", "flow.E063")]),
        ("order.placed", "  - send: {message: a}\n  - reward: {name: ten}\n", []),
    ],
)  # fmt: skip
def test_transactional_emails(purpose: str, trigger: str, steps: str, expected: list[tuple[str, str]]) -> None:
    """They need an order or a parcel, at most 60 days from it, and no reward before them."""
    parsed = parse_flow(TRANSACTIONAL.format(purpose=purpose, trigger=trigger, more="") + steps, ["a"], "f")
    assert isinstance(parsed, Flow), parsed
    assert [(each.location.part, each.id) for each in check_flow(parsed, NO_RULES, STRICT)] == expected


def test_a_service_email_when_a_product_runs_out() -> None:
    """The end of the wait may be a year away, so it is an error."""
    head = TRANSACTIONAL.format(purpose="service", trigger="order.placed", more=", once_per: product")
    parsed = parse_flow(f"{head}  - wait: {{until: product.runs_out}}\n  - send: {{message: a}}\n", ["a"], "f")
    assert isinstance(parsed, Flow), parsed
    assert [each.id for each in check_flow(parsed, NO_RULES, STRICT)] == ["flow.E064"]
    assert service_messages([parsed]) == ["f/a"]
    assert service_messages([flow("steps: [{send: {message: a}}]")]) == []
