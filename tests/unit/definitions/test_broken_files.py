"""Invalid files, and the problems that each must give: their ids and positions.

To add one, add a file to broken/ that starts with a comment line `# id line:column` for each problem. The folder names the kind of file: the
reader of flow.yaml, of rules.yaml and so on, or `checks` for flows that are written correctly. A flow is in the folder `review`, beside two
messages, in a shop with two segments.
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

from streams.core.rules.consent_policy import PURPOSES, ConsentPolicy, PolicyLine, is_transactional
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import QuietHours, SendingRules
from streams.definitions.checks.flow import check_flow
from streams.definitions.checks.migrations import check_migrations
from streams.definitions.language import (
    bounds,
    brand,
    calls,
    conditions,
    consent,
    expressions,
    recommendations,
    rules,
    text_calls,
    weekdays,
    yaml_reader,
)
from streams.definitions.language import flow as flow_language
from streams.definitions.language.brand import parse_brand
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.positions import positions_in
from streams.definitions.language.rules import parse_rules, parse_segments
from streams.definitions.language.steps import reader, scope
from streams.definitions.language.steps.kinds import KINDS
from streams.definitions.problems import Problem

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*/*.yaml"))
#: The sending rules under which flows are checked.
QUIET_NIGHTS = SendingRules(quiet=QuietHours(begins=time(21), ends=time(8)))
#: The consent policy: every email that is not transactional needs consent.
NEEDS_CONSENT = ConsentPolicy(
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


def check(text: str) -> list[Problem]:
    """The problems that the checks find in a flow that is written correctly, at their positions."""
    flow = parse(text)
    assert isinstance(flow, Flow), flow
    problems = [*check_flow(flow, QUIET_NIGHTS, NEEDS_CONSENT), *check_migrations(flow, {flow.version: flow})]
    return [problem.in_file("flow.yaml", positions_in(text)) for problem in problems]


PARSERS: Mapping[str, Callable[[str], object]] = {
    "flow": parse,
    "checks": check,
    "brand": parse_brand,
    "consent": parse_policy,
    "rules": parse_rules,
    "segments": parse_segments,
}
READERS: tuple[ModuleType, ...] = (
    bounds,
    brand,
    calls,
    conditions,
    consent,
    expressions,
    recommendations,
    flow_language,
    rules,
    yaml_reader,
    reader,
    scope,
    text_calls,
    weekdays,
    *[sys.modules[type(kind).__module__] for kind in KINDS],
)
#: The calls that report a problem.
REPORTING = ("error", "mismatch", "missing", "duplicate", "no_holdout", "InvalidCondition", "Problem")


def problems_in(file: Path) -> list[str]:
    """The problems of a file, as in its first lines."""
    parsed = PARSERS[file.parent.name](file.read_text(encoding="utf-8"))
    if not isinstance(parsed, list):
        return []
    return [f"# {problem.id} {problem.location.line}:{problem.location.column}" for problem in parsed]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_problems_are_reported(file: Path) -> None:
    """A file gives the problems in its first lines, and no others."""
    lines = file.read_text(encoding="utf-8").split("\n")
    expected = [line for line in lines if line.startswith("# ")]
    assert expected, "the first line names the problem"
    assert problems_in(file) == expected


def test_number_of_files() -> None:
    """The files are found."""
    assert len(FILES) >= 265


def _catches_overflow(node: ast.ExceptHandler) -> bool:
    return isinstance(node.type, ast.Name) and node.type.id == "RecursionError"


def _reports(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in REPORTING


def _reporting_calls(module: ModuleType) -> Iterator[tuple[str, range, str]]:
    """Every call of a reader that reports a problem: its file, its lines, its source.

    Calls after a stack overflow are left out, because Python stops tracing there.
    """
    file = str(module.__file__)
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    overflows = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and _catches_overflow(node)]
    left_out = {inner for node in overflows for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _reports(node) and node not in left_out:
            yield file, range(node.lineno, (node.end_lineno or node.lineno) + 1), ast.unparse(node)


def lines_run(file: Path) -> set[tuple[str, int]]:
    """The lines of the readers that run for a file."""
    files = {str(module.__file__) for module in READERS}
    run: set[tuple[str, int]] = set()

    def within(frame: FrameType, event: str, argument: Any) -> Any:
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return within if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(at_call)  # Python stops tracing when the stack overflows, as in some of the files
    try:
        problems_in(file)
    finally:
        sys.settrace(before)
    return run


def test_every_report_is_tried() -> None:
    """Every call that reports a problem is reached by an invalid file."""
    run = {line for file in FILES for line in lines_run(file)}
    untried = [
        f"{Path(file).name}:{lines.start}: {source}"
        for module in READERS
        for file, lines, source in _reporting_calls(module)
        if not any((file, line) in run for line in lines)
    ]
    assert untried == []
