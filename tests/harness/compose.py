"""docker-compose.yml as Compose reads it: files merged, variables replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from streams.settings import PROJECT_ROOT

COMPOSE = PROJECT_ROOT / "docker-compose.yml"
MAIL_SERVER = PROJECT_ROOT / "deploy" / "docker" / "mail-server.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?+])([^}]*))?\}")


class MissingVariable(ValueError):
    """A variable that a file requires is not set. The message is that of the file."""


def load(*files: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the project of some Compose files; a later file changes an earlier one.

    Args:
        files: their order is that of `docker compose -f`.
        env: the variables of the shell and of `.env`.

    Raises:
        MissingVariable: a file requires a variable that `env` does not have.
    """
    project: dict[str, Any] = {}
    for file in files:
        project = _merged(project, _replaced(yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader), env or {}))
    return project


def variables(file: Path) -> set[str]:
    """Return the names of the variables that a file reads."""
    return {match[1] for match in _VARIABLE.finditer(file.read_text(encoding="utf-8"))}


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a service, as its process sees it."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Return what a service sees at each path: a host path like `./templates`, the name of a volume, or `tmpfs`."""
    found = {}
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        found[target] = source
    return found | {entry.partition(":")[0]: "tmpfs" for entry in service.get("tmpfs", ())}


def _merged(first: Any, second: Any) -> Any:
    """Return `first` changed by `second`: mappings are merged, and lists are joined."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {key: _merged(first.get(key), value) for key, value in second.items()}
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *(entry for entry in second if entry not in first)]
    return second


def _replaced(value: Any, env: Mapping[str, str]) -> Any:
    """Return `value` with the variables of all its texts replaced."""
    if isinstance(value, dict):
        return {key: _replaced(entry, env) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, env) for entry in value]
    return _VARIABLE.sub(lambda match: _value(match, env), value) if isinstance(value, str) else value


def _value(match: re.Match[str], env: Mapping[str, str]) -> str:
    name, operator, text = match.groups()
    if operator == ":?" and not env.get(name):
        raise MissingVariable(f"{name}: {text}")
    if operator == ":+":
        return str(text) if env.get(name) else ""
    return env.get(name) or (str(text) if operator == ":-" else "")
