"""The timeline of a story as text. `TAKK_GOLDEN=write make test ARGS=tests/golden/test_story.py` writes it again after an intended change."""

from __future__ import annotations

import os
from pathlib import Path

from tests.harness.story_templates import write_story_templates
from tests.unit.tools.cli.runner import run

GOLDEN = Path(__file__).parent / "story.txt"


def test_the_timeline_of_a_story(tmp_path: Path) -> None:
    """`takk story` prints the same timeline as before: events, emails with their reasons, and what did not come."""
    root = write_story_templates(tmp_path / "templates")
    code, output = run("story", "ada", "--days", "14", "--templates", str(root))
    assert code == 0
    if os.environ.get("TAKK_GOLDEN") == "write":
        GOLDEN.write_text(output, encoding="utf-8")
    assert output == GOLDEN.read_text(encoding="utf-8")
    assert max(map(len, output.splitlines())) <= 80
