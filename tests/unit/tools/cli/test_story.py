"""`takk story`: what it lists, plays and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.small_templates import FLOW
from tests.harness.story_templates import STORY, write_story_templates
from tests.unit.tools.cli.runner import run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The small templates folder with the story `ada`."""
    return write_story_templates(tmp_path / "templates")


def test_the_list(root: Path) -> None:
    """Without a name the stories are listed, the shop's own first; also as JSON."""
    code, output = run("story", "--templates", str(root))
    assert code == 0
    assert output.startswith(
        "ada: A pickup (your own)\n  Two orders, one of them collected.\nfirst-time: The first order\n"
    )
    assert max(map(len, output.splitlines())) <= 80
    code, output = run("story", "--templates", str(root), "--json")
    assert code == 0
    assert json.loads(output)["stories"][0]["story"] == "ada"


def test_a_story_as_json(root: Path) -> None:
    """The story is one JSON object, in the language and from the day that is asked for."""
    code, output = run(
        "story", "ada", "--templates", str(root), "--json", "--language", "en", "--start", "2026-12-04", "--days", "3"
    )
    played = json.loads(output)
    assert code == 0
    assert (played["language"], played["start"], played["days"]) == ("en", "2026-12-04", 3)
    assert played["entries"][1]["text"] == "Hello there"
    assert played["entries"][1]["at"].startswith("2026-12-04T10:00")


def test_a_story_as_a_page(root: Path, tmp_path: Path) -> None:
    """The page is one file that asks no server: emails, script and style are within it."""
    file = tmp_path / "ada.html"
    code, output = run("story", "ada", "--templates", str(root), "--html", str(file))
    assert (code, output) == (0, f"Wrote {file}\n")
    page = file.read_text()
    assert page.count("srcdoc=") == 7
    assert "script-src &#39;sha256-" in page or "script-src 'sha256-" in page
    assert 'src="http' not in page
    assert "<script src" not in page


def test_drafts(root: Path) -> None:
    """--drafts lets drafts send."""
    assert "later/hi" not in run("story", "ada", "--templates", str(root))[1]
    assert "later/hi" in run("story", "ada", "--templates", str(root), "--drafts")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("adda",), 1, "unknown story 'adda'; did you mean 'ada'?"),
        (("ada", "--days", "0"), 2, "--days"),
        (("ada", "--start", "tomorrow"), 2, "--start"),
        (("ada", "--start", "0001-01-01"), 2, "from 2003 to 2097"),
        (("ada", "--start", "9999-12-31"), 2, "from 2003 to 2097"),
        (("ada", "--language", "Danish!"), 2, "--language"),
        (("ada", "--html", "missing/folder/a.html"), 1, "cannot write"),
        (("--html", "a.html"), 2, "needs the name of a story"),
    ],
)
def test_mistakes(root: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    """Unknown stories and invalid options end the command with a hint."""
    result = run("story", *arguments, "--templates", str(root))
    assert result[0] == code
    assert text in result[1]


def test_errors_of_a_story(root: Path) -> None:
    """Errors are printed with file, line and column. Other stories can still be played."""
    (root / "stories" / "ada.yaml").write_text(STORY.replace("TEA: 2", "COFFEE: 2"))
    code, output = run("story", "ada", "--templates", str(root))
    assert code == 1
    assert "stories/ada.yaml:5:43: error story.E002: unknown product 'COFFEE'" in output
    assert "cannot be played" in output
    assert run("story", "--templates", str(root))[0] == 1
    assert run("story", "quiet", "--templates", str(root), "--days", "2")[0] == 0


def test_errors_of_the_flows(root: Path) -> None:
    """Errors in the flows end the command."""
    (root / FLOW / "flow.yaml").write_text("flow: hello\n")
    code, output = run("story", "ada", "--templates", str(root))
    assert code == 1
    assert "the flows contain errors" in output


def test_a_missing_folder(tmp_path: Path) -> None:
    """A templates folder that does not exist ends the command."""
    code, output = run("story", "--templates", str(tmp_path / "none"))
    assert code == 1
    assert "is not a folder" in output
