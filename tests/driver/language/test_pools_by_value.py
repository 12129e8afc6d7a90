"""Rewards whose pool depends on a value of the customer."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.model.effects import IssueReward, LogDecision
from streams.core.offers.code_pool_records import Code
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.definitions.checks.recipients import check_rewards
from tests.harness.driver import Driver
from tests.harness.events import flow_from
from tests.harness.flow_texts import DAY, MESSAGES, buy, flow_text, ruleset_of, sent

BODY = """trigger: {on: order.placed}
steps:
  - set: {name: taste, value: %s}
  - reward: {name: taste-10, pool: {by: field.taste, pools: {tea: tea-10, coffee: coffee-10}%s}, within: 2d}
  - split:
      - when: reward.is_given
        steps: [{send: {message: a}}]
      - otherwise: [{send: {message: b}}]
"""


def run_of(value: str, otherwise: str = "") -> Driver:
    """A driver whose customers like what `value` says, with one code in each pool."""
    run = Driver(ruleset_of(flow_text(BODY % (value, otherwise), purpose="marketing")))
    run.stock(*[Code(pool, f"CODE-{pool}", None) for pool in ("tea-10", "coffee-10", "any-10")])
    return run


def outcome(run: Driver) -> tuple[list[str], list[str], list[str]]:
    """The codes that were given, the emails, and the rules against a code."""
    codes = [effect.code for effect in run.effects if isinstance(effect, IssueReward)]
    rules = [effect.rule for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "skip"]
    return codes, [name for name, _ in sent(run)], rules


@pytest.mark.parametrize(
    ("value", "otherwise", "expected"),
    [
        ("tea", "", (["CODE-tea-10"], ["a"], [])),
        ("coffee", ", otherwise: any-10", (["CODE-coffee-10"], ["a"], [])),
        ("cups", ", otherwise: any-10", (["CODE-any-10"], ["a"], [])),
        ("cups", "", ([], ["b"], ["no_pool"])),
    ],
)
def test_the_value_decides(value: str, otherwise: str, expected: Any) -> None:
    """The code comes from the pool of the value, else from the last one. Without one the flow continues without a code."""
    run = run_of(value, otherwise)
    buy(run)
    assert outcome(run) == expected


def test_an_empty_pool() -> None:
    """The flow waits for a code of the pool that the value chose, and continues without one in the end."""
    run = run_of("tea")
    buy(run, "o1")
    buy(run, "o2", customer_id="c2")
    run.advance(3 * DAY)
    assert outcome(run) == (["CODE-tea-10"], ["a", "b"], ["pool_empty"])
    buy(run, "o3", customer_id="c3")
    run.stock(Code("tea-10", "LATE", None))
    assert outcome(run)[0] == ["CODE-tea-10", "LATE"]


def test_pools_of_a_ruleset() -> None:
    """All pools of a reward are known before a customer needs one. Not all customers have a code after it."""
    flow = flow_from(flow_text(BODY % ("tea", ", otherwise: any-10"), purpose="marketing"), "f", MESSAGES)
    assert isinstance(flow, Flow)
    ruleset = Ruleset([flow])
    assert ruleset.pools == {"tea-10", "coffee-10", "any-10"}
    assert not ruleset.gives_rewards
    assert [problem.id for problem in check_rewards(flow, ["b"])] == ["flow.E051"]


def test_the_favourite_category() -> None:
    """A pool by the favourite category makes the worker log purchases by category."""
    body = "trigger: {on: order.placed}\nsteps: [{reward: {name: x, pool: {by: customer.top_category, pools: {tea: tea-10, cups: tea-10}}}}]\n"
    run = Driver(ruleset_of(flow_text(body, purpose="marketing")))
    assert run.ruleset.counts_purchases
    run.stock(Code("tea-10", "T1", None))
    buy(run)
    assert outcome(run)[0] == ["T1"]
