"""Steps that give or set something: fields, lists, rewards, signals and recommendations."""

from __future__ import annotations

from streams.core.model.effects import CountSales, EmitSignal, IssueReward, LogDecision
from streams.core.model.events import (
    OrderCancelled,
)
from streams.core.sending.content import template_data
from streams.core.values.local_time import text_of
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import (
    DAY,
    buy,
    flow_text,
    ruleset_of,
    run_of,
)

SEND = "steps: [{send: {message: a}}]"


EFFECTS = """\
trigger: {on: order.placed}
steps:
  - set: {name: loyalty, value: gold}
  - add_to_list: testers
  - reward: {name: welcome-10, expires: 30d}
  - emit: call-them
  - split:
      - when: field.loyalty == 'gold' and 'testers' in customer.lists
        steps: [{send: {message: a}}]
  - remove_from_list: testers
  - set: {name: loyalty, value: ''}
"""


def test_effects() -> None:
    """Fields, lists, rewards and signals are set, and conditions and emails can use them. A draft does nothing."""
    run = run_of(EFFECTS)
    buy(run)
    (reward,) = [effect for effect in run.effects if isinstance(effect, IssueReward)]
    (signal,) = [effect for effect in run.effects if isinstance(effect, EmitSignal)]
    (mail,) = run.mails()
    assert (reward.name, reward.expires_at - reward.issued_at, signal.kind) == ("welcome-10", 30 * DAY, "call-them")
    assert template_data(mail.content)["reward"] == {
        "code": reward.code,
        "name": "welcome-10",
        "ends_at": text_of(reward.expires_at),
    }
    assert len(reward.code) == 12
    keyed = Driver(ruleset_of(flow_text(EFFECTS), reward_key=b"the shop's own"))
    buy(keyed)
    assert [effect.code for effect in keyed.effects if isinstance(effect, IssueReward)] != [reward.code]
    assert (run.customers["c1"].fields, run.customers["c1"].lists) == ((), ())
    draft = Driver(ruleset_of(flow_text(EFFECTS, status="draft")))
    buy(draft)
    assert {type(effect) for effect in draft.effects} == {LogDecision}


SHOW = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 4, at_least: 2}}]"


def test_recommendations() -> None:
    """An email with products has the request for them. Each order is counted once, and taken back if it is cancelled."""
    run = run_of(SHOW, purpose="marketing")
    buy(run)
    buy(run)
    run.advance(DAY)
    wish = template_data(run.mails()[0].content)["recommend"]
    assert wish == {
        "most": 4,
        "at_least": 2,
        "bought": {"skus": ["s1", "s2"], "categories": ["cups", "tea"], "returned": []},
    }
    run.handle(OrderCancelled(order("o1", START), run.now), OrderCancelled(order("o1", START), run.now))
    counted = [(effect.come, effect.is_new, effect.gone) for effect in run.effects if isinstance(effect, CountSales)]
    assert counted == [(("s1", "s2"), True, ()), ((), False, ("s1", "s2"))]


def test_no_recommendations() -> None:
    """Without a flow that recommends products, sales are not counted."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}")
    buy(run)
    assert not [effect for effect in run.effects if isinstance(effect, CountSales)]
