"""Plain English in the docstrings, comments and messages of the program, in the comments of flows and tests, and in all pages.

The patterns are those that CONTRIBUTING.md ("Writing") rules out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.docs.prose import ROOT, Text, checked, comments, docstrings, flowing

#: Where a sentence or a clause starts, in text whose paragraphs are single lines.
_START = r"(?:^(?:[-*>] |\d+\. )?|(?<=[.!:;] ))"
#: Each pattern with the advice that a finding prints.
PATTERNS = {
    re.compile(rf"{_START}(?:Who|Whoever|What) (?![^.?!\n]*\?)", re.M): "name the noun instead of who or what",
    re.compile(r"\b(?:all|by|for|from|in|of|only|than|to|with) who\b"): "name the noun: customers who ...",
    re.compile(r"\b(?<![Tt]here )(?:is|are|was|were|be|been) no (?!longer\b|more than\b|less\b|later\b)"): (
        "say invalid, missing, unknown or not a ..."
    ),
    re.compile(r"\b(?:is|are|was|were|be|been) none\b|\bthere (?:is|are|was|were) not\b"): (
        "say invalid, missing, unknown or not a ..."
    ),
    re.compile(r"\b(?:lies?|lay|lain)\b"): "say is, or is stored",
    re.compile(r"\bow(?:e|es|ed|ing)\b"): "say transactional",
    re.compile(r"\b(?:anew|once more)\b"): "say again",
    re.compile(r"\bby (?:itself|themselves)\b"): "say automatically, or alone",
    re.compile(r"\blest\b"): "say so that ... not",
    re.compile(r"\bfor ever\b"): "say permanently, or always",
    re.compile(r"\bno more(?=[.,;:)]|$)", re.M): "say no longer",
    re.compile(r"\b[Hh]ouses?\b"): "say project, or shop",
    re.compile(r"\b[Rr]oads?\b"): "say pipeline, or path",
    re.compile(r"\b[Tt]old\b"): "say reported, listed, printed, or the event's verb",
    re.compile(r"\b[Nn]ews\b"): "name the event",
}  # fmt: skip


class Finding(NamedTuple):
    """A piece of prose that a pattern matches."""

    line: int
    excerpt: str
    advice: str


def strings(tree: ast.AST) -> Iterator[Text]:
    """Yield docstrings and string literals; an f-string counts as one, with `{}` for its values."""
    parts = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield Text(node.lineno, flowing(words))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield Text(node.lineno, flowing(node.value))


def page(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a Markdown page without code in backticks; a heading may start with What."""
    source = re.sub(r"`[^`\n]+`", "{}", source)
    start, lines = 1, list[str]()
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if not line.strip() or line.startswith(("#", "|", "- ", "* ", "```")):
            if lines:
                yield Text(start, " ".join(lines))
            lines = []
        if line.startswith("#"):
            yield Text(number, re.sub(r"^#+ (?:Who|What) ", "", line))
        elif line.strip():
            start = number if not lines else start
            lines.append(line.strip())


def hashes(source: str) -> Iterator[Text]:
    """Yield the comments of a YAML file."""
    for number, line in enumerate(source.splitlines(), 1):
        if found := re.search(r"(?:^|\s)#\s+(.*)", line):
            yield Text(number, found[1])


def findings(path: Path) -> list[Finding]:
    """Return every match of a pattern in one file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        tree = ast.parse(source)
        is_test = path.is_relative_to(ROOT / "tests")
        texts = [*(docstrings(tree) if is_test else strings(tree)), *comments(source)]
    else:
        texts = [*(page(source) if path.suffix == ".md" else hashes(source))]
    return [
        Finding(text.line, text.words[max(0, match.start() - 30) : match.end() + 30].replace("\n", " "), advice)
        for text in texts
        for pattern, advice in PATTERNS.items()
        for match in pattern.finditer(text.words)
    ]


def test_prose_is_plain() -> None:
    """No text of a checked file matches a pattern."""
    found = [
        f"{name}:{finding.line}: {finding.advice}: ...{finding.excerpt}..."
        for name in checked()
        for finding in findings(ROOT / name)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("# Who waits goes on\n", "name the noun instead of who or what"),
        ('fail(f"{name!r} is no name")\n', "say invalid, missing, unknown or not a ..."),
        ('"""It lies\n    on disk."""\n', "say is, or is stored"),
        ("# it is opened once\n# more\n", "say again"),
    ],
)
def test_patterns_see(tmp_path: Path, source: str, advice: str) -> None:
    """Patterns are found in comments, docstrings and f-strings, also across lines."""
    (tmp_path / "module.py").write_text(source)
    assert [finding.advice for finding in findings(tmp_path / "module.py")] == [advice]


@pytest.mark.parametrize(
    "source",
    [
        "road = lies = 1  # a name is not prose\n",
        'raise ValueError("the file is no longer there")\n',
        "# What is missing?\n",
        'page = "{% if mail.raw is none %}<p>{% endif %}"\n',
    ],
)
def test_patterns_pass(tmp_path: Path, source: str) -> None:
    """Identifiers, questions, Jinja tests and plain English have no findings."""
    (tmp_path / "module.py").write_text(source)
    assert findings(tmp_path / "module.py") == []


def test_only_docstrings_and_comments_of_tests_are_checked() -> None:
    """The docstring of a test is prose, its other strings are data."""
    tree = ast.parse('def test() -> None:\n    """Hold the docstring."""\n    path = "on the road"\n')
    assert [*docstrings(tree)] == [Text(1, "Hold the docstring.")]
