"""The problems of `occasions.yaml`, each at its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.definitions.checks.occasions import check_occasions
from streams.definitions.checks.unused_copy import check_unused_copy
from tests.harness.commands import TEMPLATES


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("christmas: {from: 12-01}", "occasions.E001 2:3"),
        ("a: {from: 13-01}", "occasions.E002 2:13"),
        ("a: {from: 02-30}", "occasions.E002 2:13"),
        ("a: {from: easter+100}", "occasions.E002 2:13"),
        ("a: {from: 12-01, to: easter}", "occasions.E003 2:24"),
        ("a: {from: easter+1, to: easter-1}", "occasions.E004 2:27"),
        ("a: {from: 2027-03-02, to: 2027-03-01}", "occasions.E004 2:29"),
        ("a: {from: 12-01, on: []}", "occasions.E005 2:24"),
        ("a: {from: 12-01, on: [sunday]}", "yaml.E012 2:25"),
        ("a: {from: 12-01, countries: [UK]}", "occasions.E006 2:32"),
        ("a: {to: 12-01}", "yaml.E011 2:6"),
        ("a: 12-01", "yaml.E005 2:6"),
        ("A: {from: 12-01}", "yaml.E017 2:3"),
        ("a: {from: 12-01}", "occasions.W001 2:3"),
    ],
)
def test_problems(line: str, expected: str, tmp_path: Path) -> None:
    """Each mistake is one problem with an id, at its line and column."""
    (tmp_path / "occasions.yaml").write_text(f"occasions:\n  {line}\n", encoding="utf-8")
    assert [f"{each.id} {each.location.line}:{each.location.column}" for each in check_occasions(tmp_path)] == [
        expected
    ]


@pytest.mark.parametrize("text", [None, "occasions:\n", "occasions:\n# easter: {from: easter}\n", "occasions: {}\n"])
def test_no_occasions(text: str | None, tmp_path: Path) -> None:
    """A folder needs no occasions."""
    if text is not None:
        (tmp_path / "occasions.yaml").write_text(text, encoding="utf-8")
    assert list(check_occasions(tmp_path)) == []


def test_words_of_an_occasion_are_used(tmp_path: Path) -> None:
    """The words of an occasion count as used; those of one that is missing do not."""
    root = tmp_path / "templates"
    shutil.copytree(TEMPLATES / "copy", root / "copy")
    shutil.copy(TEMPLATES / "occasions.yaml", root)
    assert list(check_occasions(root)) == []
    unused = {problem.message for problem in check_unused_copy(root)}
    assert "no template uses the text 'closing.new-year'" not in unused
    (root / "occasions.yaml").unlink()
    assert "no template uses the text 'closing.new-year'" in {problem.message for problem in check_unused_copy(root)}
