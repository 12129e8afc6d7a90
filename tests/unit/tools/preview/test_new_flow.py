"""Copies of flows: a draft with another name, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.definitions.loader import read_templates
from streams.tools.preview.new_flow import CannotCopy, as_draft, copy_flow
from tests.harness.commands import TEMPLATES
from tests.harness.small_templates import FLOW, write_folder


def test_a_copy(tmp_path: Path) -> None:
    """The copy is a valid draft of version 1 with all files but older versions; comments stay."""
    root = write_folder(tmp_path)
    old = root / FLOW / "flow.yaml"
    (root / FLOW / "flow.v1.yaml").write_text(old.read_text())
    old.write_text(
        old.read_text().replace("version: 1", "version: 2") + "migrations:\n  - from: 1\n    steps: {'1': '1'}\n"
    )
    folder = copy_flow(root, "hello", root, "hello-again", "asking")
    assert folder == root / "flows" / "asking" / "hello-again"
    assert sorted(path.name for path in folder.iterdir()) == [
        "bye.html.j2",
        "copy",
        "example.json",
        "flow.yaml",
        "hi.html.j2",
    ]
    assert "purpose: marketing # with consent" in (folder / "flow.yaml").read_text()
    templates = read_templates(root)
    assert not [problem for problem in templates.errors if folder.name in problem.location.file]
    flow = next(flow for flow in templates.newest if flow.name == "hello-again")
    assert (flow.version, flow.status) == (1, "draft")


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("flows/*/*/flow.yaml")), ids=lambda path: path.parent.name)
def test_each_flow_of_the_library_can_be_copied(path: Path) -> None:
    """Every flow has the three lines that change."""
    text = as_draft(path.read_text(encoding="utf-8"), "other")
    assert text.startswith("flow: other\nversion: 1\nstatus: draft\n")


@pytest.mark.parametrize(
    ("source", "name", "group", "reason"),
    [
        ("hello", "Hello", "", "invalid flow name"),
        ("hello", "new", "../x", "invalid group name"),
        ("helo", "new", "", "did you mean 'hello'"),
        ("hello", "hello", "", "exists"),
        ("hello", "hello", "asking", "exists"),
    ],
)
def test_what_cannot_be_copied(tmp_path: Path, source: str, name: str, group: str, reason: str) -> None:
    """Invalid and unknown names are refused, and no flow is overwritten."""
    root = write_folder(tmp_path)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(CannotCopy, match=reason):
        copy_flow(root, source, root, name, group)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """Without a templates folder there is no copy."""
    with pytest.raises(CannotCopy, match="takk templates init"):
        copy_flow(write_folder(tmp_path / "a"), "hello", tmp_path / "b", "new")


@pytest.mark.parametrize("text", ["", "a: [", "flow: x\nversion: 1\n"])
def test_a_flow_without_the_lines(text: str) -> None:
    """A text without name, version and status cannot become a draft."""
    with pytest.raises(CannotCopy):
        as_draft(text, "new")
