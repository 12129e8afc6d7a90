"""The project layout: the top level, a README per folder, the lock file, and text that no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from streams.settings import PROJECT_ROOT

ROOT = PROJECT_ROOT
FOLDERS = {".ci", "deploy", "schemas", "streams", "templates", "tests"}
FILES = {
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docker-compose.yml",
    "pyproject.toml",
    "requirements.lock",
    "setup.py",
}
TIERS = {"unit", "property", "golden", "driver", "integration", "browser", "crash", "deploy", "bench", "harness"}
#: A file that names a package registry works only where that registry is reachable.
REGISTRY = re.compile(
    r"(--(extra-)?index-url|--find-links|--trusted-host)[ =]+\S*:|files\.pythonhosted|pypi\.org|repo1?\.maven|registry\.npmjs"
)


def tracked() -> list[Path]:
    """Return the tracked files of the project; skip the test outside a git checkout."""
    try:
        output = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [Path(line) for line in output.splitlines() if (ROOT / line).is_file()]


def test_top_level() -> None:
    """The top level has the expected folders and files, and no others."""
    assert {path.parts[0] for path in tracked()} <= FOLDERS | FILES
    assert {name for name in FILES if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("folder", sorted(FOLDERS - {".ci"}))
def test_each_folder_explains_itself(folder: str) -> None:
    """Each top-level folder has a README of about a page."""
    assert 5 <= len((ROOT / folder / "README.md").read_text().splitlines()) <= 120


def test_tiers() -> None:
    """Each folder in `tests/` is one of the tiers."""
    assert {path.parts[1] for path in tracked() if path.parts[0] == "tests" and len(path.parts) > 2} <= TIERS


def imported_tests(source: str) -> list[str]:
    """Return the modules with tests that `source` imports, wherever the import is."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return [name for name in names if re.search(r"^tests\b.*\.test_|^\.?test_", name)]


def test_no_module_imports_from_tests() -> None:
    """Shared code is in a module without tests, so that each module of tests can be changed or deleted alone."""
    sources = {
        path: (ROOT / path).read_text(encoding="utf-8")
        for path in tracked()
        if path.parts[0] == "tests" and path.suffix == ".py"
    }
    assert {str(path): names for path, source in sources.items() if (names := imported_tests(source))} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("from tests.unit.test_a import b", 1),
        ("from tests.unit import test_a", 1),
        ("from . import test_a", 1),
        ("def f():\n    import tests.unit.test_a", 1),
        ("from tests.harness.stack import open_stack", 0),
        ("from streams.testing import simulate", 0),
    ],
)
def test_imports_from_tests_are_found(source: str, count: int) -> None:
    """Imports of modules with tests are found, in any form and at any place."""
    assert len(imported_tests(source)) == count


def test_the_lock_names_no_registry() -> None:
    """requirements.lock has exact versions and hashes, and no address."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in "\n".join(line for line in lock.splitlines() if not line.lstrip().startswith("#"))
    names = re.findall(r"^[a-zA-Z0-9._-]+==\S+ \\$", lock, re.M)
    assert len(names) > 50
    assert lock.count("--hash=sha256:") >= len(names)


def test_no_registry_addresses() -> None:
    """No file names a package registry."""
    this = Path(__file__).relative_to(ROOT)
    texts = {path: (ROOT / path).read_bytes().decode(errors="replace") for path in tracked() if path != this}
    assert [str(path) for path, text in texts.items() if REGISTRY.search(text)] == []


def test_the_lock_has_all_dependencies() -> None:
    """Every dependency of pyproject.toml is locked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lock = (ROOT / "requirements.lock").read_text()
    names = {re.split(r"[=<>\[ ]", dependency)[0].lower().replace("_", "-") for dependency in declared}
    assert {name for name in names if not re.search(rf"^{re.escape(name)}==", lock, re.M)} == set()


def test_make_help_lists_all_targets() -> None:
    """Every phony target has a description for `make help`."""
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert targets is not None
    for target in targets[1].split():
        assert re.search(rf"^{target}:.* ## \S", makefile, re.M), target
