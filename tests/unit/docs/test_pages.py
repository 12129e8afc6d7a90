"""Every page that is written by hand: the files and folders it names exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: Made by a run, or part of every flow's folder.
ELSEWHERE = (".takk/", "copy/", "runs/", "deploy/secrets/", "tests/deploy/")


def pages() -> list[str]:
    """The pages of the repository."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in listed.stdout.splitlines() if name != "streams/README.md"]  # it is being rewritten


@pytest.mark.parametrize("name", pages())
def test_paths_exist(name: str) -> None:
    """Each path of a module, a page or a folder is one from the root, from the page's folder, or from tests/harness."""
    named = re.findall(r"`([\w./-]+(?:\.py|\.md|\.yml|\.toml|/))`", (ROOT / name).read_text(encoding="utf-8"))
    near = (ROOT, (ROOT / name).parent, ROOT / "tests" / "harness", ROOT / "templates")
    missing = [path for path in named if not any((folder / path).exists() for folder in near)]
    assert [path for path in missing if not path.startswith(ELSEWHERE)] == []
