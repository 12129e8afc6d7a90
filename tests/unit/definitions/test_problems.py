"""Problems: each id is described once, and hints suggest only likely typos."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.conditions.names import NAMES
from streams.core.rules.trigger_names import AWAITED, EXITS, TRIGGERS
from streams.core.values.text import nearest
from streams.definitions.language import keys
from streams.definitions.language.conditions import InvalidCondition, compile_condition
from streams.definitions.language.flow import parse_flow
from streams.definitions.language.steps.kinds import BY_KEY, KINDS
from streams.definitions.problem_table import PREFIXES, PROBLEMS, RETIRED
from streams.definitions.problems import FlowFileError, Location, Problem
from streams.settings import PROJECT_ROOT
from tests.harness.examples import examples

ID = re.compile(r"[a-z]+\.[EW]\d{3}")
SUGGESTION = re.compile(r"did you mean '?([^'?]+)'?\?")
VOCABULARIES = (
    TRIGGERS,
    AWAITED,
    EXITS,
    tuple(NAMES),
    keys.FLOW.known,
    tuple(BY_KEY),
    *[mapping.known for kind in KINDS for mapping in kind.mappings],
)


def ids_in_code() -> set[str]:
    """The ids in all modules of the program but the table."""
    modules = [
        path
        for path in (PROJECT_ROOT / "streams").rglob("*.py")
        if "problem_t" not in str(path.relative_to(PROJECT_ROOT))
    ]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    constants = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str) and ID.fullmatch(value)}


def test_every_id_is_in_the_table() -> None:
    """The ids in the code are those of the table."""
    assert ids_in_code() == set(PROBLEMS)


def test_table_is_in_order() -> None:
    """The ids are sorted within their prefixes, without gaps but for retired ones, and each has a title, an explanation and a fix."""
    assert list(dict.fromkeys(id.partition(".")[0] for id in PROBLEMS)) == list(PREFIXES)
    for prefix in PREFIXES:
        for level in "EW":
            numbers = [int(id[-3:]) for id in PROBLEMS if id.startswith(f"{prefix}.{level}")]
            retired = [int(id[-3:]) for id in RETIRED if id.startswith(f"{prefix}.{level}")]
            assert numbers == sorted(numbers)
            assert sorted(numbers + retired) == list(range(1, len(numbers + retired) + 1))
    for id, entry in PROBLEMS.items():
        assert ID.fullmatch(id)
        assert all(entry), id
        assert entry.explanation.endswith("."), id


def test_retired_ids() -> None:
    """An id that is no longer used names the one that took its place, which exists."""
    assert set(RETIRED.values()) <= set(PROBLEMS)


def test_form_of_a_problem() -> None:
    """A problem is one line with its position, level, id, message and hint; the id decides the level."""
    error = Problem("yaml.E012", "unknown status 'lve'", "did you mean 'live'?", Location(3, 9)).in_file("flow.yaml")
    assert str(error) == "flow.yaml:3:9: error yaml.E012: unknown status 'lve' (did you mean 'live'?)"
    warning = Problem("flow.W004", "no step follows this wait", "remove it", Location(part="1")).in_file(
        "f", {"1": (4, 5)}
    )
    assert str(warning) == "f:4:5: warning flow.W004: no step follows this wait (hint: remove it)"
    assert (error.level, warning.level) == ("error", "warning")
    assert FlowFileError([error, warning]).errors == [str(error), str(warning)]


def distance(left: str, right: str) -> int:
    """The number of edits from one text to another, counted without a table."""
    if not left or not right:
        return len(left) + len(right)
    if left[0] == right[0]:
        return distance(left[1:], right[1:])
    if abs(len(left) - len(right)) > 3:
        return 4
    edits = [(left[1:], right), (left, right[1:]), (left[1:], right[1:])]
    if left[:2] == right[1::-1] and len(left) > 1:
        edits.append((left[2:], right[2:]))
    return 1 + min(distance(*edit) for edit in edits)


def is_typo(word: str, name: str) -> bool:
    """Whether two words differ by two edits at most; upper case does not count."""
    word, name = word.casefold(), name.casefold()
    while word and name and word[-1] == name[-1]:
        word, name = word[:-1], name[:-1]
    return abs(len(word) - len(name)) <= 2 and distance(word, name) <= 2


@st.composite
def unknown_words(draw: st.DrawFn) -> str:
    """Words near and far from known names: random ones, edited ones, and names of another vocabulary."""
    name = draw(st.sampled_from([name for names in VOCABULARIES for name in names]))
    letters = st.text(alphabet="abcdefgorstuwy._", max_size=3)
    at = draw(st.integers(0, len(name)))
    edited = name[:at] + draw(letters) + name[at + draw(st.integers(0, 3)) :]
    return draw(st.one_of(st.just(name), st.just(edited), st.text(alphabet="adeilnorst_.", max_size=12)))


@settings(max_examples=examples(300), deadline=None)
@given(unknown_words(), st.sampled_from(VOCABULARIES))
def test_only_typos_are_suggested(word: str, known: tuple[str, ...]) -> None:
    """A suggestion is two edits away at most; otherwise the hint lists the names of the word's group, or all names, or their groups."""
    hint = nearest(word, known, "trigger")
    suggested = SUGGESTION.search(hint)
    if suggested is None:
        group = word.partition(".")[0]
        of_group = [name for name in known if name.partition(".")[0] == group and "." in name]
        groups = ", ".join(dict.fromkeys([f"{name.partition('.')[0]}." for name in known if "." in name]))
        others = "".join(f", or are {name}" for name in known if "." not in name)
        expected = {f"known: {', '.join(known)}", f"triggers start with {groups}{others}"}
        assert hint in ({f"{group} triggers: {', '.join(of_group)}"} if of_group else expected)
    else:
        assert suggested[1] in known
        assert is_typo(word, suggested[1])


FLOW = """\
flow: f
version: 1
status: live
purpose: marketing
trigger: {{on: {trigger}}}
exit_on: [{exit}]
steps: [{{send: {{message: {message}}}}}]
"""


@settings(max_examples=examples(200), deadline=None)
@given(unknown_words(), unknown_words(), unknown_words())
def test_readers_suggest_only_typos(trigger: str, exit: str, name: str) -> None:
    """Every suggestion of the readers of flows and conditions is a likely typo of what was written."""
    parsed = parse_flow(
        FLOW.format(trigger=f"'{trigger}'", exit=f"'{exit}'", message=f"'{name}'"), ["ask", "later"], "f"
    )
    problems = list(parsed) if isinstance(parsed, list) else []
    try:
        compile_condition(f"{name} == 1")
    except InvalidCondition as error:
        problems.append(error.problem)
    for problem in problems:
        if suggested := SUGGESTION.search(problem.hint):
            written = re.search(r"'([^']*)'", problem.message)
            assert written is not None
            assert is_typo(written[1], suggested[1]), problem


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("order.plced", ("order.paid", "order.placed"), "did you mean 'order.placed'?"),
        ("vpi", ("vip", "lapsed"), "did you mean 'vip'?"),
        ("LIVE", ("draft", "live"), "did you mean 'live'?"),
        ("activ", ("draft", "live", "paused"), "known: draft, live, paused"),
        ("age", ("at", "on"), "known: at, on"),
        ("x", (), "known: none"),
        ("order.tax", ("order.tags", "order.total", "customer.age"), "order names: order.tags, order.total"),
        ("odrer.tags", ("order.tags", "order.total"), "did you mean 'order.tags'?"),
        ("parcel.gone", ("order.tags", "order.total"), "known: order.tags, order.total"),
        (
            "parcel.gone",
            tuple(TRIGGERS),
            f"names start with {', '.join(dict.fromkeys(on.partition('.')[0] + '.' for on in TRIGGERS if '.' in on))}, or are date",
        ),
    ],
)
def test_hints(word: str, known: tuple[str, ...], hint: str) -> None:
    """A typo gives a suggestion; another word gives all names, and a short word may differ by one edit only."""
    assert nearest(word, known) == hint


def test_unknown_trigger() -> None:
    """An unknown trigger lists the triggers of its group, and suggests none of them that means something else."""
    problems = parse_flow(FLOW.format(trigger="order.returned", exit="order.paid", message="ask"), ["ask"], "f")
    assert isinstance(problems, list)
    (problem,) = problems
    of_orders = ", ".join(on for on in TRIGGERS if on.startswith("order."))
    assert problem.text == f"error yaml.E012: unknown trigger 'order.returned' (order triggers: {of_orders})"
