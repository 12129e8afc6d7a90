"""The plan of a migration, as `takk flows migrate` prints it: the steps with waiting customers, their targets, and the lines for flow.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from streams.core.model.customer import Customer
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Migration
from streams.core.values.text import counted
from streams.definitions.checks.migrations import check_migration
from streams.definitions.checks.paths import waiting_steps
from streams.definitions.problems import Problem
from streams.definitions.views.words import step_text


class NoMigration(ValueError):
    """A flow that has no older version to migrate from, or not the requested one."""


class MigrationPlan(Struct, frozen=True, kw_only=True):
    """A migration from one version of a flow to the newest, and the problems of its mapping.

    Attributes:
        old: the version to migrate from.
        new: the newest version.
        migration: the mapping of steps: the requested one, or the one that the newest version already contains.
        problems: the problems of the mapping; empty if it is valid.
    """

    old: Flow
    new: Flow
    migration: Migration
    problems: tuple[Problem, ...]


def plan_migration(versions: Sequence[Flow], version: int | None, steps: Mapping[str, str]) -> MigrationPlan:
    """Return the plan that moves the instances of `version` to the newest version.

    Args:
        versions: all versions of one flow, the oldest first.
        version: the version to migrate from; None for the newest of the older ones.
        steps: the new step for each old step; if empty, the mapping that the newest version already contains.

    Raises:
        NoMigration: there is no older version, or `version` is not one of them.
    """
    *older, new = versions
    kept = {flow.version: flow for flow in older}
    if not kept:
        raise NoMigration(f"{new.name} has no older version (hint: keep its file as flow.v<version>.yaml)")
    if version == new.version:
        raise NoMigration(f"version {version} is the newest (known older versions: {', '.join(map(str, kept))})")
    if version is not None and version not in kept:
        known = ", ".join(str(flow.version) for flow in versions)
        raise NoMigration(f"unknown version {version} of {new.name} (known: {known})")
    old = kept[version or max(kept)]
    requested = Migration(version=old.version, steps=tuple(steps.items()))
    written = next((migration for migration in new.migrations if migration.version == old.version), None)
    migration = written if written is not None and not steps else requested
    problems = check_migration(CompiledFlow(old), CompiledFlow(new), migration)
    return MigrationPlan(old=old, new=new, migration=migration, problems=tuple(problems))


class Waiting(Struct, frozen=True, kw_only=True):
    """How many customers and instances are in a flow, and how many a migration would move.

    Attributes:
        instances: the number of instances that wait at each version and step.
        customers: the number of customers with such an instance.
        moved_instances: the number of instances that the migration would move.
        moved_customers: the number of customers with an instance that the migration would move.
    """

    instances: Mapping[tuple[int, str], int]
    customers: int
    moved_instances: int
    moved_customers: int


def count_waiting(customers: Iterable[Customer], flow: str, migration: Migration) -> Waiting:
    """Count the instances of the flow named `flow` at each step, and those that `migration` would move."""
    waiting: Counter[tuple[int, str]] = Counter()
    in_flow = moved_instances = moved_customers = 0
    mapped = {(migration.version, old) for old, _ in migration.steps}
    for customer in customers:
        steps = [
            (instance.flow_version, instance.step)
            for instance in customer.instances
            if instance.flow == flow and instance.has_started
        ]
        waiting.update(steps)
        moving = sum(step in mapped for step in steps)
        in_flow += bool(steps)
        moved_instances += moving
        moved_customers += bool(moving)
    return Waiting(
        instances=dict(waiting), customers=in_flow, moved_instances=moved_instances, moved_customers=moved_customers
    )


def preview(old: Flow, new: Flow, migration: Migration, customers: Iterable[Customer] | None) -> list[str]:
    """Return the lines that describe a migration.

    Args:
        old: the version to migrate from.
        new: the version to migrate to.
        migration: a valid mapping of steps.
        customers: the customers to count; None to leave the numbers out.
    """
    counts = count_waiting(customers, new.name, migration) if customers is not None else None
    targets = dict(migration.steps)
    compiled, new_steps = CompiledFlow(old), CompiledFlow(new).steps
    waiting = waiting_steps(compiled)
    lines = [f"{new.name}, from version {old.version} to version {new.version}:"]
    for path, step in compiled.steps.items():
        if path not in waiting:
            continue
        target = targets.get(path)
        result = f"-> {target} {step_text(new_steps[target], new)}" if target else "finishes on its own version"
        lines.append(f"  {_number(counts, old.version, path)}{path} {step_text(step, old)}  {result}")
    if counts is not None:
        instances = counted(counts.moved_instances, "instance")
        total = counted(counts.customers, "customer")
        lines.append(f"Moves {counts.moved_customers} of {total} in {new.name} ({instances}).")
    if targets:
        if migration in new.migrations:
            lines += ["", f"{new.name}/flow.yaml already contains this migration."]
        else:
            lines += ["", f"Add these lines to {new.name}/flow.yaml and restart the workers:", *as_yaml(migration)]
        lines.append(
            "Customers continue at the new step when their current wait ends. Keep the older file while customers are on it."
        )
    else:
        paths = f"`takk flows show {new.name}` prints the paths of version {new.version}."
        lines.append(f"Map steps with --map OLD=NEW. {paths}")
    return lines


def as_yaml(migration: Migration) -> list[str]:
    """Return the lines of flow.yaml for a migration."""
    steps = ", ".join(f'"{old}": "{new}"' for old, new in migration.steps)
    return ["migrations:", f"  - from: {migration.version}", f"    steps: {{{steps}}}"]


def _number(counts: Waiting | None, version: int, path: str) -> str:
    return "" if counts is None else f"{counts.instances.get((version, path), 0):>9}  "
