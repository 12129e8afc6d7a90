"""Print the part of requirements.lock that some packages need, with their hashes: `python -m streams.tools.local.requirements [NAME]...`.

Without names: what Takk and its demo need to run, without the tools of its developers. `make demo` installs only that. With
`--production`: what the processes in production need, which is what the image installs. The module imports only the standard
library, because it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: An entry of the lock: a requirement, its hashes, and comments that name the packages which require it ("via").
_ENTRY = re.compile(r"^\w.*?(?=^\w|\Z)", re.MULTILINE | re.DOTALL)


def normalized(requirement: str) -> str:
    """Return the name of a requirement in its normal form (PEP 503), without version, extras and marker."""
    match = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def locked(lock: str, names: Iterable[str]) -> str:
    """Return the entries of `lock` that `names` need, directly or indirectly.

    Args:
        lock: the text of a lock file that pip-compile wrote.
        names: names of packages.

    Raises:
        KeyError: a name is not in the lock.
    """
    entries = {normalized(entry): entry for entry in _ENTRY.findall(lock)}
    parents = {name: _parents(entry) for name, entry in entries.items()}
    needed: set[str] = set()
    names_left = {normalized(name) for name in names}
    if missing := names_left - entries.keys():
        raise KeyError(f"not in the lock: {', '.join(sorted(missing))}")
    while names_left:
        needed |= names_left
        names_left = {name for name, requiring in parents.items() if requiring & names_left} - needed
    return "".join(entry for name, entry in entries.items() if name in needed)


def _parents(entry: str) -> set[str]:
    """Return the packages that require the package of `entry`, as the "via" comments name them."""
    comments = re.findall(r"^ *#(?: +via)?(.*)$", entry, re.MULTILINE)
    return {normalized(comment.strip()) for comment in comments if comment.strip()}


def runtime_names(pyproject: str) -> list[str]:
    """Return the packages that Takk and its demo need to run, and those that install it."""
    settings = tomllib.loads(pyproject)
    extras = settings["project"]["optional-dependencies"]
    names: list[str] = [*settings["project"]["dependencies"], *extras["gateway"], *extras["demo"]]
    return [*names, *settings["build-system"]["requires"]]


def production_names(pyproject: str) -> list[str]:
    """Return the packages that workers, mailers, gateways and the other commands need, except `takk demo` and `takk kafka`."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    names: list[str] = [*project["dependencies"], *extras["gateway"], *extras["bucket"]]
    return names


def main() -> None:
    """Print the entries."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = sys.argv[1:] or runtime_names(pyproject)
    if names == ["--production"]:
        names = production_names(pyproject)
    sys.stdout.write(locked((ROOT / "requirements.lock").read_text(encoding="utf-8"), names))


if __name__ == "__main__":
    main()
