"""Checks of migrations, and the paths of a flow."""

from __future__ import annotations

import pytest

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import DATE_STEP, SEGMENT_STEP, Migration
from streams.definitions.checks.migrations import check_migration, check_migrations
from streams.definitions.checks.paths import before, onward, reachable, waiting_steps
from streams.definitions.problems import Problem
from streams.definitions.views.migration_plan import count_waiting
from tests.harness.flow_versions import NEW, OLD, customer, flow


def test_paths() -> None:
    """The steps after and before a step, along every branch, and the steps where instances wait."""
    compiled = CompiledFlow(flow(1, OLD))
    assert onward(compiled, "2") == ("2.0.0", "2.1.0", "3")
    assert onward(compiled, "2.1.0") == ("2.1.0.0.0", "3")
    assert onward(compiled, "3") == ()
    assert reachable(compiled, "2.0.0") == {"2.0.0", "2.0.1", "2.0.2", "3"}
    assert before(compiled, "2.1.0.0.0") == {"0", "1", "2", "2.1.0"}
    assert waiting_steps(compiled) == {"0", "2", "2.0.0", "2.0.2", "2.1.0", "2.1.0.0.0", "3"}


def problems_of(old_path: str, new_path: str) -> list[Problem]:
    """The problems of moving from one step to another."""
    migration = Migration(version=1, steps=((old_path, new_path),))
    problems = list(check_migration(CompiledFlow(flow(1, OLD)), CompiledFlow(flow(2, NEW)), migration))
    assert all(problem.location.part == f"migrations.1.{old_path}" for problem in problems)
    return problems


@pytest.mark.parametrize(
    ("old", "new", "id", "hint"),
    [
        ("9", "4", "flow.E057", "customers wait at 0, 2, 2.0.0, 2.0.2, 2.1.0, 2.1.0.0.0, 3"),
        ("1", "4", "flow.E058", "customers in that wait continue at 2: map 2"),
        ("2", "7", "flow.E059", "its steps are 0, 1, 2, 3, 4"),
        ("2.1.0", "2", "flow.E060", "map it to a step that waits for the same event"),
        ("2.1.0", "3", "flow.E060", "map it to a step that waits for the same event"),
        ("2", "0", "flow.E061", "map it to a later step"),
        ("3", "3", "flow.E061", "map it to a later step"),
    ],
)
def test_invalid_moves(old: str, new: str, id: str, hint: str) -> None:
    """A missing step, a step without waiting customers, another event, and an email that would be received twice are errors."""
    assert [(problem.id, problem.hint) for problem in problems_of(old, new)] == [(id, hint)]


@pytest.mark.parametrize(
    ("old", "new"), [("2", "1"), ("2", "3"), ("2.0.0", "3"), ("2.1.0", "1"), ("3", "4"), ("0", "0")]
)
def test_valid_moves(old: str, new: str) -> None:
    """A move to a step after which nothing is received again is valid."""
    assert problems_of(old, new) == []


def test_email_that_the_old_version_repeats() -> None:
    """An email that the older version itself would send again may be received again."""
    body = "steps: [{send: {message: %s}}, {wait: 1d}, {send: {message: a}}]"
    old, new = CompiledFlow(flow(1, body % "a")), CompiledFlow(flow(2, body % "b"))
    assert list(check_migration(old, new, Migration(version=1, steps=(("2", "2"),)))) == []


def test_rewards_and_signals_are_received_once() -> None:
    """A reward or signal that could be received twice is an error too."""
    old = flow(1, "steps: [{reward: {name: ten}}, {emit: seen}, {wait: 1d}, {send: {message: a}}]")
    new = flow(2, "steps: [{wait: 1d}, {emit: seen}, {reward: {name: ten}}, {send: {message: a}}]")
    reward, signal = check_migration(CompiledFlow(old), CompiledFlow(new), Migration(version=1, steps=(("3", "0"),)))
    assert (reward.id, signal.id) == ("flow.E061", "flow.E061")
    assert ("reward 'ten'" in reward.message, "signal 'seen'" in signal.message) == (True, True)
    assert list(check_migration(CompiledFlow(old), CompiledFlow(new), Migration(version=1, steps=(("3", "3"),)))) == []


def test_instances_that_wait_for_a_code() -> None:
    """An instance that waits for a code can be moved only to a step that waits for a code from the same pool."""
    old = CompiledFlow(flow(1, "steps: [{reward: {name: ten, pool: ten}}, {send: {message: a}}]"))
    new = flow(2, "steps: [{send: {message: b}}, {reward: {name: ten, pool: ten}}, {reward: {name: ten, pool: other}}]")
    assert waiting_steps(old) == {"0", "1"}
    ids = {
        target: [
            problem.id
            for problem in check_migration(old, CompiledFlow(new), Migration(version=1, steps=(("0", target),)))
        ]
        for target in ("0", "1", "2")
    }
    assert ids == {"0": ["flow.E060"], "1": [], "2": ["flow.E060"]}


def test_older_version_is_required() -> None:
    """Without its file the paths of an older version are unknown."""
    migrating = flow(2, 'migrations: [{from: 1, steps: {"2": "3"}}]\n' + NEW)
    assert list(check_migrations(migrating, {1: flow(1, OLD)})) == []
    (problem,) = check_migrations(migrating, {})
    assert (problem.location.part, problem.id) == ("migrations.1", "flow.E056")
    assert "flow.v1.yaml" in problem.hint


def test_counting() -> None:
    """Instances are counted at each version and step, customers once. Instances that have not started are not counted."""
    customers = [
        customer("c1", ("f", 1, "2"), ("f", 1, "2"), ("other", 1, "2")),
        customer("c2", ("f", 1, "3"), ("f", 1, "2")),
        customer("c3", ("f", 1, "3")),
        customer("c4", ("f", 2, "2")),
        customer("c5", ("other", 1, "2")),
        customer("c6"),
        customer("c7", ("f", 1, DATE_STEP)),
        customer("c8", ("f", 1, SEGMENT_STEP)),
    ]
    counted = count_waiting(iter(customers), "f", Migration(version=1, steps=(("2", "3"),)))
    assert counted.instances == {(1, "2"): 3, (1, "3"): 2, (2, "2"): 1}
    assert (counted.customers, counted.moved_instances, counted.moved_customers) == (4, 3, 2)
