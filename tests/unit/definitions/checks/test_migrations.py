"""Migrations before anybody is moved: what cannot be done, and how many it would be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Customer, Instance
from streams.core.model.flow import DAY_STEP, LOOK_STEP, Flow, Migration
from streams.definitions.checks.migrations import count_waiting, guard_migration, guard_migrations
from streams.definitions.checks.paths import before, onward, reachable, resting_places
from streams.definitions.language.flow import parse_flow

HEAD = "flow: f\nversion: {version}\nstatus: live\npurpose: service\ntrigger: {{on: order.placed}}\n"
OLD = """\
steps:
  - send: {message: a}
  - wait: 1d
  - split:
      - when: customer.is_vip
        steps: [{send: {message: b}}, {wait: 1d}, {emit: seen}]
      - when: customer.orders == 1
        steps: [{wait_for: {event: mail.opened, up_to: 1d, then: [{send: {message: c}}]}}]
  - send: {message: d}
"""
NEW = """\
steps:
  - send: {message: a}
  - wait_for: {event: mail.opened, up_to: 1d}
  - wait_for: {event: mail.clicked, up_to: 1d}
  - send: {message: b}
  - send: {message: d}
"""


def flow(version: int, body: str) -> Flow:
    """A version of the flow."""
    parsed = parse_flow(HEAD.format(version=version) + body, ["a", "b", "c", "d"], "f")
    assert isinstance(parsed, Flow), parsed
    return parsed


def test_paths() -> None:
    """What can come after and before a step, along every way, and where a run can wait."""
    compiled = CompiledFlow(flow(1, OLD))
    assert onward(compiled, "2") == ("2.0.0", "2.1.0", "3")
    assert onward(compiled, "2.1.0") == ("2.1.0.0.0", "3")
    assert onward(compiled, "3") == ()
    assert reachable(compiled, "2.0.0") == {"2.0.0", "2.0.1", "2.0.2", "3"}
    assert before(compiled, "2.1.0.0.0") == {"0", "1", "2", "2.1.0"}
    assert resting_places(compiled) == {"0", "2", "2.0.0", "2.0.2", "2.1.0", "2.1.0.0.0", "3"}


def wrong(old_path: str, new_path: str) -> list[str]:
    """What is wrong with moving from one step to another."""
    migration = Migration(version=1, steps=((old_path, new_path),))
    found = list(guard_migration(CompiledFlow(flow(1, OLD)), CompiledFlow(flow(2, NEW)), migration))
    assert all(one.place == f"migrations.1.{old_path}" for one in found)
    return [f"{one.problem}; {one.remedy}" for one in found]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("9", "4", "in version 1 there is no step 9; people wait for 0, 2, 2.0.0, 2.0.2, 2.1.0, 2.1.0.0.0, 3"),
        ("1", "4", "nobody waits to take the step 1 of version 1; who is in that wait goes on with 2: map that"),
        ("2", "7", "in version 2 there is no step 7; its steps are 0, 1, 2, 3, 4"),
        ("2.1.0", "2", "step 2.1.0 of version 1 waits for mail.opened, step 2 of version 2 does not"),
        ("2.1.0", "3", "step 2.1.0 of version 1 waits for mail.opened, step 3 of version 2 does not"),
        ("2", "0", "who waits for step 2 of version 1 may have got the mail 'a' and would get it again"),
        ("3", "3", "who waits for step 3 of version 1 may have got the mail 'b' and would get it again"),
    ],
)
def test_moves_that_cannot_be(old: str, new: str, words: str) -> None:
    """A step that there is not, one that nobody waits for, another event, a mail that would come twice."""
    (told,) = wrong(old, new)
    assert told.startswith(words)


@pytest.mark.parametrize(
    ("old", "new"), [("2", "1"), ("2", "3"), ("2.0.0", "3"), ("2.1.0", "1"), ("3", "4"), ("0", "0")]
)
def test_moves_that_can(old: str, new: str) -> None:
    """From a step to one from which on nothing comes again."""
    assert wrong(old, new) == []


def test_a_mail_that_comes_twice_anyway_may() -> None:
    """What the older version itself would send again is meant."""
    body = "steps: [{send: {message: %s}}, {wait: 1d}, {send: {message: a}}]"
    old, new = CompiledFlow(flow(1, body % "a")), CompiledFlow(flow(2, body % "b"))
    assert list(guard_migration(old, new, Migration(version=1, steps=(("2", "2"),)))) == []


def test_rewards_and_signals_come_once_too() -> None:
    """They have an id of the run, and the run gets another: given again they would be others."""
    old = flow(1, "steps: [{reward: {name: ten}}, {emit: seen}, {wait: 1d}, {send: {message: a}}]")
    new = flow(2, "steps: [{wait: 1d}, {emit: seen}, {reward: {name: ten}}, {send: {message: a}}]")
    found = [
        one.problem
        for one in guard_migration(CompiledFlow(old), CompiledFlow(new), Migration(version=1, steps=(("3", "0"),)))
    ]
    assert [("reward 'ten'" in found[0], "signal 'seen'" in found[1]), len(found)] == [(True, True), 2]
    assert list(guard_migration(CompiledFlow(old), CompiledFlow(new), Migration(version=1, steps=(("3", "3"),)))) == []


def test_who_waits_for_a_code_goes_on_waiting_for_it() -> None:
    """A run that claimed a code of a pool can be moved only to where a code of the same pool is waited for."""
    old = CompiledFlow(flow(1, "steps: [{reward: {name: ten, pool: ten}}, {send: {message: a}}]"))
    new = flow(2, "steps: [{send: {message: b}}, {reward: {name: ten, pool: ten}}, {reward: {name: ten, pool: other}}]")
    assert resting_places(old) == {"0", "1"}
    found = {
        target: [
            one.problem for one in guard_migration(old, CompiledFlow(new), Migration(version=1, steps=(("0", target),)))
        ]
        for target in ("0", "1", "2")
    }
    words = "step 0 of version 1 waits for a code of the pool 'ten', step {} of version 2 does not"
    assert found == {"0": [words.format(0)], "1": [], "2": [words.format(2)]}


def test_the_older_version_must_be_there() -> None:
    """Without its file nobody knows what its paths meant."""
    migrating = flow(2, 'migrations: [{from: 1, steps: {"2": "3"}}]\n' + NEW)
    assert list(guard_migrations(migrating, {1: flow(1, OLD)})) == []
    (found,) = guard_migrations(migrating, {})
    assert (found.place, found.is_error) == ("migrations.1", True)
    assert "flow.v1.yaml" in found.remedy


def customer(name: str, *runs: tuple[str, int, str]) -> Customer:
    """A customer with these runs: flow, version, step."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    instances = [Instance(f"{name}{number}", *run[:2], "o1", None, run[2], now, now) for number, run in enumerate(runs)]
    return Customer(customer_id=name, instances=tuple(instances))


def test_counting() -> None:
    """Runs at each version and step of the flow, and the people whom a migration would move: each once; not who waits for a day to begin."""
    customers = [
        customer("c1", ("f", 1, "2"), ("f", 1, "2"), ("other", 1, "2")),
        customer("c2", ("f", 1, "3"), ("f", 1, "2")),
        customer("c3", ("f", 1, "3")),
        customer("c4", ("f", 2, "2")),
        customer("c5", ("other", 1, "2")),
        customer("c6"),
        customer("c7", ("f", 1, DAY_STEP)),
        customer("c8", ("f", 1, LOOK_STEP)),
    ]
    counted = count_waiting(iter(customers), "f", Migration(version=1, steps=(("2", "3"),)))
    assert counted.runs == {(1, "2"): 3, (1, "3"): 2, (2, "2"): 1}
    assert (counted.people, counted.moved_runs, counted.moved_people) == (4, 3, 2)
