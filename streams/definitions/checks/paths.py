"""Which steps of a flow can come after which: a flow goes on and never back."""

from __future__ import annotations

from streams.core.model.flow import CompiledFlow, Reward, Send, Split, Wait, WaitFor, ways


def onward(program: CompiledFlow, path: str) -> tuple[str, ...]:
    """The paths of the steps that may come right after the one at `path`."""
    step = program.steps[path]
    found = [program.way(step, number) for number in range(len(ways(step)))]
    if not found or (isinstance(step, Split) and all(arm.when is not None for arm in step.arms)):
        found.append(program.following[path])
    return tuple(dict.fromkeys(way for way in found if way is not None))


def reachable(program: CompiledFlow, path: str) -> frozenset[str]:
    """`path` and every step that may come after it."""
    found: set[str] = set()
    ahead = [path]
    while ahead:
        here = ahead.pop()
        if here not in found:
            found.add(here)
            ahead += onward(program, here)
    return frozenset(found)


def before(program: CompiledFlow, path: str) -> frozenset[str]:
    """Every step that may have been taken before the one at `path`."""
    return frozenset(other for other in program.steps if other != path and path in reachable(program, other))


def resting_places(program: CompiledFlow) -> frozenset[str]:
    """The steps that a run may wait to take: those behind a wait, those that wait for an event or a code, and mails, which can be put off."""
    behind = [program.following[path] for path, step in program.steps.items() if isinstance(step, Wait)]
    own = [path for path, step in program.steps.items() if isinstance(step, (WaitFor, Send))]
    own += [path for path, step in program.steps.items() if isinstance(step, Reward) and step.pool]
    return frozenset(own) | {path for path in behind if path is not None}
