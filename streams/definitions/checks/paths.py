"""The order of steps: which steps can follow which, and at which steps instances wait. A flow never goes back."""

from __future__ import annotations

from streams.core.rules.compiled_flow import CompiledFlow
from streams.definitions.language.steps.kinds import kind_of


def onward(compiled: CompiledFlow, path: str) -> tuple[str, ...]:
    """Return the paths of the steps that may follow the step at `path` directly."""
    step = compiled.steps[path]
    paths = [compiled.branch(step, number) for number in range(len(step.inner))]
    if step.falls_through:
        paths.append(compiled.next_step[path])
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def reachable(compiled: CompiledFlow, path: str) -> frozenset[str]:
    """Return `path`, and the path of every step that may follow it."""
    visited: set[str] = set()
    remaining = [path]
    while remaining:
        current = remaining.pop()
        if current not in visited:
            visited.add(current)
            remaining += onward(compiled, current)
    return frozenset(visited)


def before(compiled: CompiledFlow, path: str) -> frozenset[str]:
    """Return the path of every step that may precede the step at `path`."""
    return frozenset(other for other in compiled.steps if other != path and path in reachable(compiled, other))


def waiting_steps(compiled: CompiledFlow) -> frozenset[str]:
    """Return the steps at which an instance may wait.

    These are the steps that follow a wait, that wait for an event or a code, and sends, which can be deferred.
    """
    places = {path: kind_of(step).waits_at(step) for path, step in compiled.steps.items()}
    own = {path for path, place in places.items() if place == "step"}
    following = {compiled.next_step[path] for path, place in places.items() if place == "next step"}
    return frozenset(own | {path for path in following if path is not None})
