"""Checks of migrations: whether customers can move from one version of a flow to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Migration
from streams.definitions.checks.paths import before, reachable, waiting_steps
from streams.definitions.language.steps.kinds import kind_of
from streams.definitions.problems import Problem, problem_at


def check_migrations(flow: Flow, older: Mapping[int, Flow]) -> Iterator[Problem]:
    """Yield the problems of a flow's migrations.

    Args:
        flow: the version that takes over.
        older: the kept versions, by number.
    """
    for migration in flow.migrations:
        version = migration.version
        if version not in older:
            message = f"version {version} is missing, so no customer can be moved from it"
            hint = f"keep it as flow.v{version}.yaml, or remove this migration if no customer is on that version"
            yield problem_at(f"migrations.{version}", "flow.E056", message, hint)
            continue
        yield from check_migration(CompiledFlow(older[version]), CompiledFlow(flow), migration)


def check_migration(old: CompiledFlow, new: CompiledFlow, migration: Migration) -> Iterator[Problem]:
    """Yield the problems of one migration, each at the mapped step (for example "migrations.3.1.0.0")."""
    for path, target in migration.steps:
        for id, message, hint in _check_move(old, new, path, target):
            yield problem_at(f"migrations.{migration.version}.{path}", id, message, hint)


def _check_move(old: CompiledFlow, new: CompiledFlow, path: str, target: str) -> Iterator[tuple[str, str, str]]:
    step, next_step = old.steps.get(path), new.steps.get(target)
    source, destination = f"version {old.flow.version}", f"version {new.flow.version}"
    waiting = f"customers wait at {', '.join(sorted(waiting_steps(old)))}"
    if step is None:
        yield "flow.E057", f"{source} has no step {path}", waiting
    elif path not in waiting_steps(old):
        next_path = old.next_step[path] if kind_of(step).waits_at(step) == "next step" else None
        hint = f"customers in that wait continue at {next_path}: map {next_path}" if next_path is not None else waiting
        yield "flow.E058", f"no customer waits at step {path} of {source}", hint
    elif next_step is None:
        yield "flow.E059", f"{destination} has no step {target}", f"its steps are {', '.join(new.steps)}"
    elif (awaited := kind_of(step).awaited(step)) is not None and awaited != kind_of(next_step).awaited(next_step):
        message = f"step {path} of {source} waits for {awaited.text}, but step {target} of {destination} does not"
        yield "flow.E060", message, f"map it to a step that waits for the same {awaited.noun}"
    else:
        received = _outputs(old, before(old, path)) - _outputs(old, reachable(old, path))
        for output in sorted(received & _outputs(new, reachable(new, target))):
            message = f"customers waiting at step {path} of {source} may already have received {output} and would receive it again"
            yield "flow.E061", message, "map it to a later step"


def _outputs(compiled: CompiledFlow, paths: Iterable[str]) -> set[str]:
    """Return what the steps at `paths` send or give that no customer should receive twice."""
    return {kind_of(step).output(step) for step in map(compiled.steps.__getitem__, paths)} - {""}
