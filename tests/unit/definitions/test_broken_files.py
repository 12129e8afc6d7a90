"""InvalidRecord files, and the very words that each must give.

To add one, add a file to broken/: it begins with a comment line `# line:column: problem; remedy` for each mistake. The folder says what
kind of file it is. A file for a flow lies in the folder `review`, beside two messages, in a shop with two segments.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import time
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from streams.core.model.consent_policy import PURPOSES, ConsentPolicy, PolicyLine, is_transactional
from streams.core.model.flow import Flow
from streams.core.model.sending_rules import QuietHours, SendingRules
from streams.definitions.checks.flow import guard_flow
from streams.definitions.checks.migrations import guard_migrations
from streams.definitions.language import conditions, consent, rules, steps, yaml_reader
from streams.definitions.language import flow as flow_language
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import places
from streams.definitions.language.rules import parse_rules, parse_segments
from streams.definitions.language.yaml_reader import FlowError

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*/*.yaml"))
#: The rules under which flows are guarded.
NIGHTS = SendingRules(quiet=QuietHours(begins=time(21), ends=time(8)))


#: And the consent policy: marketing needs a yes everywhere.
ASKED = ConsentPolicy(
    PolicyLine(
        purpose=purpose,
        country="*",
        verdict="allowed" if is_transactional(purpose) else "needs_consent",
        law="L",
        article="1",
    )
    for purpose in PURPOSES
)


def parse(text: str) -> object:
    """A flow of the folder `review`."""
    return parse_flow(text, ["ask", "ask-first"], "review", ["vip", "lapsed"])


def guard(text: str) -> list[FlowError]:
    """What the guards find in a flow that is written as it should be, at its place."""
    flow = parse(text)
    assert isinstance(flow, Flow), flow
    where = places(text)
    found = [*guard_flow(flow, NIGHTS, ASKED), *guard_migrations(flow, {flow.version: flow})]
    return [FlowError(*where[one.place], one.problem, one.remedy) for one in found]


PARSERS: Mapping[str, Callable[[str], object]] = {
    "flow": parse,
    "guards": guard,
    "consent": parse_policy,
    "rules": parse_rules,
    "segments": parse_segments,
}
READERS: tuple[ModuleType, ...] = (
    conditions,
    consent,
    flow_language,
    rules,
    steps,
    yaml_reader,
)
#: The calls that say what is wrong.
SAYING = ("wrong", "misfit", "missing", "BadCondition", "FlowError")


def said(file: Path) -> list[str]:
    """What is said of a file, as in its head."""
    found = PARSERS[file.parent.name](file.read_text(encoding="utf-8"))
    return (
        [f"# {one.line}:{one.column}: {one.problem}; {one.remedy}" for one in found] if isinstance(found, list) else []
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_exactly_what_is_wrong_is_said(file: Path) -> None:
    """A file gives what its first lines say, in these words, and nothing more."""
    lines = file.read_text(encoding="utf-8").split("\n")
    expected = [line for line in lines if line.startswith("# ")]
    assert expected, "the first line says what must be said"
    assert said(file) == expected


def test_a_good_many() -> None:
    """The folder is found."""
    assert len(FILES) >= 60


def _catches_overflow(node: ast.ExceptHandler) -> bool:
    return isinstance(node.type, ast.Name) and node.type.id == "RecursionError"


def _says(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in SAYING


def _sayings(module: ModuleType) -> Iterator[tuple[str, range, str]]:
    """Every call of a reader that says what is wrong: its file, its lines, its source.

    But for what is said of an overflowing stack, which is the end of all tracing.
    """
    file = str(module.__file__)
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    overflows = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and _catches_overflow(node)]
    left_out = {inner for node in overflows for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _says(node) and node not in left_out:
            yield file, range(node.lineno, (node.end_lineno or node.lineno) + 1), ast.unparse(node)


def lines_run(file: Path) -> set[tuple[str, int]]:
    """The lines of the readers that run over a file."""
    files = {str(module.__file__) for module in READERS}
    run: set[tuple[str, int]] = set()

    def within(frame: FrameType, event: str, argument: Any) -> Any:
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return within if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(at_call)  # Python ends it when the stack overflows, as some of the files make it
    try:
        said(file)
    finally:
        sys.settrace(before)
    return run


def test_nothing_is_said_that_no_file_tries() -> None:
    """Every call that says what is wrong is reached by a broken file."""
    run = {place for file in FILES for place in lines_run(file)}
    untried = [
        f"{Path(file).name}:{lines.start}: {source}"
        for module in READERS
        for file, lines, source in _sayings(module)
        if not any((file, line) in run for line in lines)
    ]
    assert untried == []
