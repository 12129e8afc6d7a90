"""Walks of flows: a partition of the flows agent hands its customers to campaigns."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.agents import flows
from streams.agents.current_ruleset import CurrentRuleset
from streams.agents.flow_walks import FlowWalks
from streams.core.model.customer import Customer, Profile
from streams.core.model.customer_codec import encode_customer
from streams.core.rules.flow import Condition
from streams.core.rules.ruleset import Ruleset, Shop
from streams.observability import metrics
from streams.wire import topics
from tests.harness.agents import CODEC, Agent, Output
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.records import AT, AT_MS

MINUTE_MS, DAY_MS = 60_000, 86_400_000
#: Slices of five customers.
RATE = 25


def rules(minutes: int = 0) -> Ruleset:
    """A ruleset with a campaign to Danes, some minutes after `AT`."""
    at = AT + timedelta(minutes=minutes)
    trigger = f"trigger: {{on: date, at: {at:%Y-%m-%d %H:%M}, clock: shop, segment: danes}}"
    text = flow_text(f"{trigger}\nsteps: [{{send: {{message: a}}}}]", purpose="marketing")
    return ruleset_of(text, segments="danes: customer.country == 'DK'", shop=Shop(time_zone="UTC"))


def agent_of(folder: Path, ruleset: Ruleset | CurrentRuleset) -> Agent:
    """Return the flows agent with 12 customers on its partition. Every second one is a Dane."""
    agent = Agent(folder, lambda app, own: flows.register(app, own, ruleset, RATE))
    countries = {f"c{number:02}": "DK" if number % 2 == 0 else "SE" for number in range(12)}
    states = {
        name.encode(): encode_customer(Customer(name, Profile(email=f"{name}@example.org", country=country)))
        for name, country in countries.items()
    }
    agent.store.write(states, None)
    return agent


def reached(outputs: list[Output]) -> list[str]:
    """Return the customers who got a timer."""
    assert {topic for topic, _, _ in outputs} <= {topics.DELAYS}
    return [str(CODEC.decode("timer", value or b"")["customer_id"]) for _, _, value in outputs]


def run(agent: Agent, at_ms: int) -> list[list[str]]:
    """Run the agent until nothing is due; return the customers of each batch that got timers."""
    slices: list[list[str]] = []
    agent.app.task_manager.now_ms = at_ms
    while agent.is_due:
        slices.append(reached(agent.run(at_ms=agent.app.task_manager.now_ms)))
        agent.app.task_manager.now_ms += 1000
    return [each for each in slices if each]


def test_a_campaign_walks_over_the_partition(tmp_path: Path) -> None:
    """At its moment a campaign hands each member of its segment one timer, in slices, and no walk is due afterwards."""
    agent = agent_of(tmp_path, rules(minutes=1))
    before = metrics.WALK_VISITS._value.get()
    assert run(agent, AT_MS - MINUTE_MS) == []
    assert run(agent, AT_MS + MINUTE_MS) == [["c00", "c02", "c04"], ["c06", "c08"], ["c10"]]
    assert metrics.WALK_VISITS._value.get() - before == 12
    agent.task.open()
    assert run(agent, AT_MS + DAY_MS // 2) == []


def test_a_campaign_that_is_over_walks_nowhere(tmp_path: Path) -> None:
    """A campaign whose moment is past by more than a day starts no walk, and one that is reached too late ends."""
    assert run(agent_of(tmp_path / "late", rules()), AT_MS + 2 * DAY_MS) == []
    agent = agent_of(tmp_path / "slow", rules())
    agent.run(at_ms=AT_MS)
    assert agent.run(at_ms=AT_MS + 2 * DAY_MS) == []
    assert run(agent, AT_MS + 2 * DAY_MS + 1000) == []


def test_no_campaign_costs_nothing(tmp_path: Path) -> None:
    """Without a campaign the stage is never due."""
    agent = agent_of(tmp_path, ruleset_of(flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a}}]")))
    assert agent.app.of.is_due is None
    assert agent.run(at_ms=AT_MS) == []


def test_a_campaign_of_a_reload_starts(tmp_path: Path) -> None:
    """A partition without records is due after a reload, and a campaign of the newer flows starts; one that is gone stops in the middle."""
    current = CurrentRuleset(ruleset_of(flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a}}]")))
    agent = agent_of(tmp_path, current)
    assert run(agent, AT_MS) == []
    current.ruleset = rules()
    assert agent.is_due
    assert reached(agent.run(at_ms=AT_MS)) == ["c00", "c02", "c04"]
    current.ruleset = ruleset_of(flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a}}]"))
    assert run(agent, AT_MS + 1000) == []
    current.ruleset = rules()
    assert run(agent, AT_MS + 3000) == [["c06", "c08"], ["c10"]]


def test_a_walk_of_other_templates_waits(tmp_path: Path) -> None:
    """A worker without the campaign leaves its walk alone; a worker that has it goes on."""
    agent = agent_of(tmp_path, rules())
    assert reached(agent.run(at_ms=AT_MS)) == ["c00", "c02", "c04"]
    agent.store.close()
    other = Agent(tmp_path, lambda app, own: flows.register(app, own, rules(minutes=60), RATE))
    assert other.run(at_ms=AT_MS + 1000) == []
    other.store.close()
    again = Agent(tmp_path, lambda app, own: flows.register(app, own, rules(), RATE))
    assert run(again, AT_MS + 2000) == [["c06", "c08"], ["c10"]]


def test_a_customer_for_whom_a_walk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about one customer is counted, and the walk goes on to the others."""
    ruleset = rules()

    def holds(context: object) -> bool:
        if context.uow.customer_id == "c02":  # type: ignore[attr-defined]  # a context of conditions
            raise ZeroDivisionError
        return True

    monkeypatch.setattr(ruleset, "segments", {"danes": Condition("", holds)})
    before = metrics.WALK_FAILURES._value.get()
    slices = run(agent_of(tmp_path, ruleset), AT_MS)
    assert sum(map(len, slices)) == 11
    assert metrics.WALK_FAILURES._value.get() - before == 1


def test_walks_are_forgotten(tmp_path: Path) -> None:
    """The walk of a flow that is gone is forgotten after 400 days, when another walk starts."""
    agent = agent_of(tmp_path, rules())
    run(agent, AT_MS)
    agent.store.close()
    later = 401 * 24 * 60
    other = Agent(tmp_path, lambda app, own: flows.register(app, own, rules(minutes=later), RATE))
    context: FlowWalks = other.task.context
    (name,) = context.walks._all
    run(other, AT_MS + later * MINUTE_MS)
    assert name not in context.walks
