"""Moving people from one version of a flow to another: whether it can be done, and how many it would be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Customer
from streams.core.model.flow import Emit, Flow, Migration, Reward, Send, Wait, WaitFor
from streams.definitions.checks.flow import Finding
from streams.definitions.checks.paths import before, reachable, resting_places


def guard_migrations(flow: Flow, older: Mapping[int, Flow]) -> Iterator[Finding]:
    """What is wrong with the migrations of a flow.

    Args:
        flow: the version that takes over.
        older: the versions that are kept, by number.
    """
    for migration in flow.migrations:
        place, version = f"migrations.{migration.version}", migration.version
        if version not in older:
            problem = f"version {version} is not there, so nobody can be moved from it"
            yield Finding(
                place, problem, f"keep it as flow.v{version}.yaml, or take this out if nobody is on it any more"
            )
            continue
        yield from guard_migration(CompiledFlow(older[version]), CompiledFlow(flow), migration)


def guard_migration(old: CompiledFlow, new: CompiledFlow, migration: Migration) -> Iterator[Finding]:
    """What is wrong with one migration, each at the step (as "migrations.3.1.0.0") that is to be moved."""
    for path, target in migration.steps:
        for problem, remedy in _wrong(old, new, path, target):
            yield Finding(f"migrations.{migration.version}.{path}", problem, remedy)


def _wrong(old: CompiledFlow, new: CompiledFlow, path: str, target: str) -> Iterator[tuple[str, str]]:
    step, next_step = old.steps.get(path), new.steps.get(target)
    was, will = f"version {old.flow.version}", f"version {new.flow.version}"
    if step is None or path not in resting_places(old):
        behind = old.next_step[path] if isinstance(step, Wait) else None
        problem = (
            f"in {was} there is no step {path}" if step is None else f"nobody waits to take the step {path} of {was}"
        )
        remedy = f"people wait for {', '.join(sorted(resting_places(old)))}"
        yield problem, f"who is in that wait goes on with {behind}: map that" if behind is not None else remedy
    elif next_step is None:
        yield f"in {will} there is no step {target}", f"its steps are {', '.join(new.steps)}"
    elif isinstance(step, WaitFor) and not (isinstance(next_step, WaitFor) and next_step.event == step.event):
        yield (
            f"step {path} of {was} waits for {step.event}, step {target} of {will} does not",
            "map it to one that does",
        )
    elif isinstance(step, Reward) and step.pool and not (isinstance(next_step, Reward) and next_step.pool == step.pool):
        problem = f"step {path} of {was} waits for a code of the pool {step.pool!r}, step {target} of {will} does not"
        yield problem, "map it to one that does"
    else:
        given = _gifts(old, before(old, path)) - _gifts(old, reachable(old, path))
        for gift in sorted(given & _gifts(new, reachable(new, target))):
            problem = f"who waits for step {path} of {was} may have got the {gift} and would get it again"
            yield problem, "map it to a step behind that one"


def _gifts(compiled: CompiledFlow, paths: Iterable[str]) -> set[str]:
    """What the steps at `paths` give that nobody should be given twice."""
    found = set()
    for step in [compiled.steps[path] for path in paths]:
        if isinstance(step, Send):
            found.add(f"mail {step.message!r}")
        elif isinstance(step, Reward):
            found.add(f"reward {step.name!r}")
        elif isinstance(step, Emit):
            found.add(f"signal {step.kind!r}")
    return found


class Waiting(Struct, frozen=True, kw_only=True):
    """Who is on the way through a flow: the runs that wait at each (version, step), and the people that a migration would move."""

    runs: Mapping[tuple[int, str], int]
    people: int
    moved_runs: int
    moved_people: int


def count_waiting(customers: Iterable[Customer], flow: str, migration: Migration) -> Waiting:
    """Who waits where in the flow named `flow`, and whom `migration` would move."""
    runs: Counter[tuple[int, str]] = Counter()
    people = moved_runs = moved_people = 0
    mapped = {(migration.version, old) for old, _ in migration.steps}
    for customer in customers:
        places = [(one.flow_version, one.step) for one in customer.instances if one.flow == flow and one.has_begun]
        runs.update(places)
        moving = sum(place in mapped for place in places)
        people += bool(places)
        moved_runs += moving
        moved_people += bool(moving)
    return Waiting(runs=dict(runs), people=people, moved_runs=moved_runs, moved_people=moved_people)
