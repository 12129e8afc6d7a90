"""The import rules: the core is pure, packages import one way, and each of these checks can fail."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streams.settings import PROJECT_ROOT

CORE = PROJECT_ROOT / "streams" / "core"
#: Modules of the standard library that read a clock, files, the network, chance or the process, or that log.
IMPURE = frozenset(
    {"asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "sys", "tempfile", "threading"}
    | {"time", "uuid"}
)  # fmt: skip
#: The other packages that the core may import: structures, JSON, public holidays and the names of domains.
ALLOWED = frozenset({"holidays", "idna", "msgspec", "orjson"})
CLOCKS = frozenset({"now", "today", "utcnow"})
BUILTINS = frozenset({"__import__", "eval", "exec", "input", "open", "print"})


def impurities(source: str) -> list[str]:
    """Return what makes `source` impure: imports, calls of a clock, and built-in functions for files and code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            package = module.partition(".")[0]
            is_known = package in sys.stdlib_module_names or package in ALLOWED or package == "streams"
            if package in IMPURE or not is_known:
                found.append(module)
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and ast.unparse(node.value) in ("datetime", "date"):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if name in (CLOCKS if isinstance(node.func, ast.Attribute) else BUILTINS):
                found.append(ast.unparse(node.func))
    return found


def test_the_core_is_pure() -> None:
    """No module of the core reads a clock, files, the network or chance, or logs; time comes in as an argument."""
    modules = sorted(CORE.rglob("*.py"))
    assert len(modules) > 40
    assert {str(path): names for path in modules if (names := impurities(path.read_text()))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from datetime import datetime\nat = datetime.now()",
        "from datetime import UTC, datetime\nclock = datetime.now",
        "import datetime\nat = datetime.datetime.utcnow()",
        "from datetime import date\nday = date.today()",
        "import time",
        "from time import monotonic",
        "import random",
        "from random import choice",
        "import os.path",
        "from pathlib import Path",
        "import socket",
        "import logging",
        "def f():\n    import logging",
        "import structlog",
        "from confluent_kafka import Producer",
        "import yaml",
        "text = open('x').read()",
    ],
)
def test_impure_code_is_found(line: str) -> None:
    """The check finds each kind of impure code."""
    assert impurities(line) != []


@pytest.mark.parametrize(
    "line",
    [
        "from datetime import UTC, datetime, time",
        "from zoneinfo import ZoneInfo\nzone = ZoneInfo('Europe/Copenhagen')",
        "from streams.core.values.ids import send_id",
        "due = uow.now + wait",
        "import msgspec",
    ],
)
def test_pure_code_is_not_reported(line: str) -> None:
    """Time types, time zones and the time that comes in are allowed."""
    assert impurities(line) == []


#: A line that breaks each contract of pyproject.toml, and the module to which a test appends it.
VIOLATIONS = {
    "The path of a record": ("core/values/money.py", "import streams.agents.flows"),
    "Core: one way": ("core/values/ids.py", "import streams.core.engine"),
    "Instances: one way": ("core/instances/waiting.py", "import streams.core.instances.resume"),
    "Definitions: one way": ("definitions/language/keys.py", "import streams.definitions.loader"),
    "Runtime: one way": ("runtime/kafka/limits.py", "import streams.runtime.app"),
    "Wire: decoding and encoding are independent": ("wire/decode/events.py", "import streams.wire.encode.encoder"),
    "Mail: one way": ("mail/command.py", "import streams.mail.mailer"),
    "Agents are independent": ("agents/flows.py", "import streams.agents.mailer"),
    "Tools: one way": ("tools/operations/doctor.py", "import streams.tools.cli.main"),
    "The core is pure": ("core/values/tokens.py", "import structlog"),
    "The runtime does not depend on email": ("runtime/errors.py", "import jinja2"),
}


def lint_imports(folder: Path) -> str:
    """Return what import-linter reports for the copy of the package in `folder`."""
    tool = Path(sys.executable).with_name("lint-imports")
    command = [str(tool), "--no-cache", "--no-logo", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def copy_package(folder: Path) -> list[str]:
    """Copy `streams` and its contracts into `folder`; return the names of the contracts."""
    shutil.copytree(PROJECT_ROOT / "streams", folder / "streams", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "pyproject.toml", folder)
    contracts = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [contract["name"] for contract in contracts]


def test_each_import_rule_can_fail(tmp_path: Path) -> None:
    """A copy of the package with one wrong import per contract breaks every contract."""
    names = copy_package(tmp_path)
    for name in names:
        module, line = VIOLATIONS[name]
        with (tmp_path / "streams" / module).open("a") as file:
            file.write(f"\n{line}\n")
    report = lint_imports(tmp_path)
    assert [name for name in names if f"{name} BROKEN" not in report] == [], report


def test_a_new_package_needs_its_layer(tmp_path: Path) -> None:
    """A package that the layers do not list is an error, so that every package has its place."""
    copy_package(tmp_path)
    (tmp_path / "streams" / "unlisted.py").write_text("")
    report = lint_imports(tmp_path)
    assert "The path of a record BROKEN" in report
    assert "streams.unlisted" in report
