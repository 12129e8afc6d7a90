"""Files of a templates folder with any scalar in any place: problems with a place, never a traceback."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.rules.consent_policy import STRICT
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import NO_RULES
from streams.definitions.checks.copy_files import check_copy, text_position
from streams.definitions.checks.flow import check_flow
from streams.definitions.checks.occasions import check_occasions
from streams.definitions.language.consent import parse_policy
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.rules import parse_rules, parse_segments
from streams.definitions.problems import Problem
from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.occasions import OCCASIONS_FILE, read_occasions
from tests.harness.examples import every, examples

FLOW = """
flow: review
version: 3
status: live
purpose: review
trigger: {on: shipment.delivered, where: order.total > 5}
exit_on: [order.refunded]
steps:
  - wait: {for: 5d, at: "10:00", not_on: [sat, sun], clock: customer}
  - split:
      - when: customer.orders == 1 and customer.country in ['DK', "SE"]
        steps: [{send: {message: ask, expires: 2d}}]
      - otherwise: [{set: {name: seen, value: "yes"}}, {emit: signal}]
  - experiment: {name: x, arms: [{name: one, percent: 50, steps: [{wait: 1d}]}, {name: two, percent: 50, steps: []}]}
  - wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: ask-first}}], otherwise: []}
  - reward: {name: gift, pool: ten, within: 2d, expires: 9d}
migrations: [{from: 2, steps: {"0": "0"}}]
"""
RULES = """
caps: [{most: 2, per: 7d, of: [marketing, review]}]
quiet_hours: {from: "21:00", to: "08:00"}
holdout: 5
calm: {while_late: true, after_refund: 3d, while_running: [complaint]}
"""
CONSENT = """
order: {"*": {verdict: allowed, law: GDPR, article: "6(1)(b)"}}
marketing:
  "*": {verdict: needs_consent, law: A, article: "1"}
  CA: {verdict: soft_opt_in, law: CASL, article: "10(9)(a)", within_days: 730}
"""
SEGMENTS = "vip: customer.average_order > 1000\nlapsed: customer.days_since_last_order > 90\n"
COPY = 'ask.subject: How was it?\nask.preview: "A {{ order.number }}"\ngreeting.plain: |\n  Hi\n'
DIGITS = "9" * 5000
OCCASIONS = """occasions:
  new-year: {from: 12-27, to: 01-02}
  easter: {from: easter-3, to: easter+1, on: [sun, mon], countries: [DK, NO]}
  jubilee: {from: 2027-03-01, to: 2027-03-07}
"""
HOSTILE = [
    DIGITS, f"-{DIGITS}", f"0x{'f' * 5000}", f"0b{'1' * 9000}", f"0o{'7' * 5000}", f"1.{DIGITS}", f"{DIGITS}.5", f"{DIGITS}d", f"1e{DIGITS}",
    "1e999999", "-1e999999", ".inf", "-.inf", ".nan", "1_000", "190:20:30", "99:99", "0", "-1", "00000000001", "１２", "²",
    "2026-01-01", "2026-13-45", "0000-00-00", "9999-12-31", "2001-12-14t21:59:43.10-05:00", "2001-02-30 25:61:61", "2026-01-01T00:00:00Z",
    "~", "null", "true", "no", "<<", "=", "''", '""', "[]", "{}", "[[]]", "{a: {b: c}}", "[1, [2, {a: b}]]", "!!int x", "!!float x",
    "!!bool x", "!!timestamp x", "!!timestamp 2026-13-45", "!!binary x", "!!binary 'é'", "!!set {a, b}", "!!omap [a]", "!!pairs [a]",
    "!!null x", "!!str 5", "!!python/object/apply:os.system [id]", "!x y", "&a b", "*a", "&a [*a]", "? a", "- b", "- - - b", "a: b", "|", ">-",
    "%", "@", "`", "'\\", '"\\x00"', '"\\ud800"', '"\\u2028"', '"\\U0010ffff"', '"a\\nb"', "\t", "\x00", "\x1b", "\ufeff", "\u2028",
    "\ud7ff", "\U0001f600", "a" * 100_000, "[" * 2000 + "]" * 2000, "{a: " * 500 + "b" + "}" * 500, "- " * 1000 + "a",
    f"customer.orders > {DIGITS}", "customer.orders == 1e999999", "customer.orders == -1e999999", f"customer.orders in [{DIGITS}]",
    "customer.orders in [1e999]", f"customer.orders > 0x{'f' * 5000}", f"customer.orders > 1.{DIGITS}", "customer.orders > 1e-999999",
    "(" * 5000 + "customer.is_vip" + ")" * 5000, "not " * 5000 + "customer.is_vip", " and ".join(["customer.is_vip"] * 5000),
    "customer.orders > " + "-" * 5000 + "1", f"customer.country in [{'1, ' * 5000}]", "'a' < 'b' < 'c'", f"customer.country == '{DIGITS}'",
    "1_0 < customer.orders", "customer.orders > 9_999_999_999_999_999_999", f"field.{'a' * 5000} == 'x'", "'\\N{x}' == customer.country",
    "'\\ud800' == customer.country", '"\'\\\\xzz\' == customer.country"', "{{ x }}", "{% x %}", "{# x", "customer.orders == 1 {{", "${HOME}",
]  # fmt: skip


def parse_whole_flow(text: str) -> Any:
    """Read and check a text as a flow."""
    flow = parse_flow(text, ["ask", "ask-first"], "review", ["vip"])
    return list(check_flow(flow, NO_RULES, STRICT)) if isinstance(flow, Flow) else flow


def parse_copy(text: str) -> list[Problem]:
    """Check and read a text as a copy file. The renderer reads exactly the files without a problem."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "en.yaml")
        path.write_text(text, encoding="utf-8", newline="")
        problems = list(check_copy(path))
        try:
            texts = copy_texts(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, InvalidCopy):
            assert problems
        else:
            assert not problems
            for key in texts:
                text_position(path, key, "x")
    return problems


def parse_occasions(text: str) -> list[Problem]:
    """Check and read a text as a file of occasions. The renderer reads all of them from a file without an error."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / OCCASIONS_FILE).write_text(text, encoding="utf-8", newline="")
        problems = list(check_occasions(root))
        occasions = read_occasions(root)
    for day in ("2028-02-29", "2026-04-05", "2026-12-31"):
        occasions.name_at(day, "DK")
    return problems


FILES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "flow": (FLOW, parse_whole_flow),
    "rules": (RULES, parse_rules),
    "consent": (CONSENT, parse_policy),
    "segments": (SEGMENTS, parse_segments),
    "copy": (COPY, parse_copy),
    "occasions": (OCCASIONS, parse_occasions),
}


def scalars(text: str) -> list[tuple[int, int]]:
    """Return start and end of all scalars in a file: keys and values."""
    found, todo = [], [yaml.compose(text, yaml.SafeLoader)]
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.ScalarNode):
            found.append((node.start_mark.index, node.end_mark.index))
        elif isinstance(node, yaml.MappingNode):
            todo += [part for pair in node.value for part in pair]
        else:
            todo += node.value
    return found


def check_places(result: Any, text: str) -> None:
    """Check that a result is a list of problems, each at a line of the file, or what was read."""
    if not isinstance(result, list):
        return
    lines = text.count("\n") + text.count("\r") + text.count("\u2028") + text.count("\u2029") + text.count("\x85") + 2
    for problem in result:
        assert isinstance(problem, Problem)
        assert problem.message
        location = problem.location
        assert (1 <= location.line <= lines and location.column >= 0) or location.part
        assert str(problem)


@pytest.mark.parametrize("kind", FILES)
def test_any_scalar_in_any_place(kind: str) -> None:
    """Each hostile scalar, at places all over each file, is accepted or reported with its line."""
    text, parse = FILES[kind]
    places = scalars(text)
    for number, hostile in enumerate(HOSTILE):
        # Neighbouring scalars take different places. The long ones take one.
        step = every(5) if len(hostile) < 200 else len(places)
        for start, end in places[number % step % len(places) :: step]:
            changed = text[:start] + hostile + text[end:]
            check_places(parse(changed), changed)


CONDITIONS = [text for text in HOSTILE if "customer." in text or "field." in text]


@pytest.mark.parametrize("number", range(len(CONDITIONS)))
def test_any_condition(number: int) -> None:
    """A condition with impossible numbers, texts or depths is reported at its place, as plain and as quoted text."""
    condition = CONDITIONS[number]
    for written in (condition, "'" + condition.replace("'", "''") + "'", f">-\n  {condition}\n"):
        changed = f"vip: {written}\n"
        check_places(parse_segments(changed), changed)


@pytest.mark.parametrize(
    "number", [DIGITS, f"-{DIGITS}", "1e999999", "-1e999999", f"1.{DIGITS}e99", "1000000000000000", f"0x{'f' * 5000}"]
)
def test_numbers_out_of_range(number: str) -> None:
    """A number that no amount reaches is an error in its column."""
    (problem,) = cast(list[Problem], parse_segments(f"vip: customer.orders > {number}\n"))
    column = 1 + len("vip: customer.orders > ") + number.startswith("-")
    assert (problem.id, problem.location.line, problem.location.column) == ("condition.E018", 1, column)


@pytest.mark.parametrize(
    "value", ["2026-01-01", "2026-13-45", DIGITS, "5", "yes", "~", "[a]", "{a: b}", "!!timestamp x", "!!int x", "1.5"]
)
def test_values_of_copy_that_are_not_texts(value: str) -> None:
    """A date, a number or a list in a copy file is an error at its place."""
    (problem,) = parse_copy(f"a: text\nb: {value}\n")
    assert (problem.id, problem.location.line, problem.location.column) == ("message.E007", 2, 4)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 10_000),
    st.text(max_size=30) | st.floats().map(str) | st.integers().map(str) | st.dates().map(str),
)
def test_random_scalars(kind: str, at: int, scalar: str) -> None:
    """Any text, number or date at any place is accepted or reported with its line."""
    text, parse = FILES[kind]
    places = scalars(text)
    start, end = places[at % len(places)]
    changed = text[:start] + scalar.encode("utf-8", "ignore").decode() + text[end:]
    check_places(parse(changed), changed)
