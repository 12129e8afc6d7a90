"""The part of the lock that the demo installs: complete, with hashes, and without the tools of developers."""

from __future__ import annotations

import re
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from streams.settings import PROJECT_ROOT
from streams.tools.local.requirements import locked, normalized, runtime_names

LOCK = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")


def names(entries: str) -> set[str]:
    """The packages of entries of a lock."""
    return {normalized(line) for line in entries.splitlines() if re.match(r"\w", line)}


def test_the_runtime_is_complete() -> None:
    """Everything that a package of the subset requires in this environment is in the subset."""
    subset = names(locked(LOCK, runtime_names(PYPROJECT)))
    missing = {
        requirement.name
        for package in subset
        for requirement in map(Requirement, requires(package) or ())
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        and normalized(requirement.name) not in subset
    }
    assert missing == set()


def test_developer_tools_are_not_in_the_runtime() -> None:
    """The subset has the dependencies of Takk, but neither test nor check tools."""
    subset = names(locked(LOCK, runtime_names(PYPROJECT)))
    assert {"faust-streaming", "rocksdict", "setuptools"} <= subset
    assert not {"pytest", "mypy", "ruff", "hypothesis", "import-linter"} & subset


def test_entries_are_unchanged() -> None:
    """An entry keeps its version and its hashes; an unknown package is an error."""
    entries = locked(LOCK, ["jgo"])
    assert {"jgo", "requests", "urllib3"} <= names(entries)
    assert all(entry in LOCK for entry in re.split(r"(?m)^(?=\w)", entries))
    assert all("--hash=sha256:" in entry for entry in re.split(r"(?m)^(?=\w)", entries) if entry)
    with pytest.raises(KeyError, match="nothing-like-it"):
        locked(LOCK, ["nothing-like-it"])
