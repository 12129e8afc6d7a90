"""Kinds of steps: one module at load time and one at event time, found through a table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from streams.core.instances import steps as event_time
from streams.core.instances.steps.kinds import EXECUTE
from streams.definitions.language import steps as load_time
from streams.definitions.language.steps.kinds import KINDS

#: The modules beside those of the kinds.
SHARED = {"__init__", "execution", "kind", "kinds", "reader", "scope"}


def modules(package: ModuleType) -> set[str]:
    """The modules of kinds in a package."""
    return {path.stem for path in Path(str(package.__file__)).parent.glob("*.py")} - SHARED


def test_the_tables_have_the_same_kinds() -> None:
    """Each kind that can be read can be executed, and the other way round."""
    assert {kind.step for kind in KINDS} == set(EXECUTE)


def test_a_kind_is_one_module_at_each_time() -> None:
    """Both packages have a module of the same name for each kind, and the tables list all of them."""
    read = {type(kind).__module__.rpartition(".")[2] for kind in KINDS}
    executed = {execute.__module__.rpartition(".")[2] for execute in EXECUTE.values()}
    assert read == executed == modules(load_time) == modules(event_time)
