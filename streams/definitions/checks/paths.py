"""Which steps of a flow can come after which: a flow goes on and never back."""

from __future__ import annotations

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.flow import Reward, Send, Split, Wait, WaitFor, branches


def onward(compiled: CompiledFlow, path: str) -> tuple[str, ...]:
    """The paths of the steps that may come right after the one at `path`."""
    step = compiled.steps[path]
    found = [compiled.branch(step, number) for number in range(len(branches(step)))]
    if not found or (isinstance(step, Split) and all(arm.when is not None for arm in step.branches)):
        found.append(compiled.next_step[path])
    return tuple(dict.fromkeys(branch for branch in found if branch is not None))


def reachable(compiled: CompiledFlow, path: str) -> frozenset[str]:
    """`path` and every step that may come after it."""
    found: set[str] = set()
    ahead = [path]
    while ahead:
        here = ahead.pop()
        if here not in found:
            found.add(here)
            ahead += onward(compiled, here)
    return frozenset(found)


def before(compiled: CompiledFlow, path: str) -> frozenset[str]:
    """Every step that may have been taken before the one at `path`."""
    return frozenset(other for other in compiled.steps if other != path and path in reachable(compiled, other))


def resting_places(compiled: CompiledFlow) -> frozenset[str]:
    """The steps that a run may wait to take: those behind a wait, those that wait for an event or a code, and mails, which can be put off."""
    behind = [compiled.next_step[path] for path, step in compiled.steps.items() if isinstance(step, Wait)]
    own = [path for path, step in compiled.steps.items() if isinstance(step, (WaitFor, Send))]
    own += [path for path, step in compiled.steps.items() if isinstance(step, Reward) and step.pool]
    return frozenset(own) | {path for path in behind if path is not None}
