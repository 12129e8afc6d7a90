"""Reads a YAML file node by node and gathers what is wrong with it, each mistake at its line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, time, timedelta
from typing import TypeVar

import yaml
from msgspec import Struct
from yaml.reader import ReaderError

from streams.core.model.flow import Condition
from streams.core.values.text import NAME, nearest, similar
from streams.definitions.language.conditions import ANYWHERE, BadCondition, Scope, compile_condition

T = TypeVar("T")
R = TypeVar("R", bound="Reader")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_YEARS = range(2000, 2200)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
DURATION = re.compile(r"(\d{1,5})([wdhms])\Z")
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
PERCENT = (1, 99)


class FlowError(Struct, frozen=True):
    """One mistake; `line` and `column` count from 1."""

    line: int
    column: int
    problem: str
    remedy: str


def read_yaml(text: str, reader: R, read: Callable[[R, yaml.Node | None], T]) -> T | list[FlowError]:
    """What `read` makes of the YAML in `text`, or all that is wrong with it.

    Args:
        text: what the file holds.
        reader: gathers the mistakes.
        read: walks the root, which is None for an empty file.
    """
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                return [FlowError(line, column, "aliases (*) are not understood here", "write it out")]
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark
        line, column = (found.line + 1, found.column + 1) if found else (1, 1)
        return [FlowError(line, column, f"this is no YAML: {error.problem}", _remedy(str(error.problem)))]
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        return [FlowError(line, column, f"the character {text[error.position]!r} cannot stand here", "take it out")]
    except RecursionError:
        return [FlowError(1, 1, "brackets or lists lie too deep in each other", "take some out")]
    result = read(reader, root)
    reader.errors.sort(key=lambda error: (error.line, error.column))
    return reader.errors or result


def _remedy(problem: str) -> str:
    """What to look at when PyYAML says so."""
    if "\\t" in problem:
        return "indent with spaces, not with tabs"
    if "found '<scalar>'" in problem:
        return "what begins with a quote must end with it: put quotes around all of it, \"'vip' in customer.segments\""
    if "another document" in problem:
        return "leave out the line ---"
    return "look at the indentation, the colons and the brackets"


def empty(name: str) -> yaml.MappingNode:
    """The root of a file without any content."""
    start = yaml.Mark(name, 0, 0, 0, "", 0)
    return yaml.MappingNode("tag:yaml.org,2002:map", [], start, start)


class Reader:
    """Walks the YAML nodes and gathers what is wrong. What is wrong is replaced by something harmless, and the walk goes on.

    Of one node only the first mistake is told: any other may only follow from it.
    """

    def __init__(self) -> None:
        self.errors: list[FlowError] = []
        self._wrong_nodes: list[yaml.Node] = []

    def wrong(self, node: yaml.Node, problem: str, remedy: str, at: tuple[int, int] | None = None) -> None:
        """Note a mistake at `node`; `at`: its line and column within the file, from 0, if it is not at the node's beginning."""
        if any(node is known for known in self._wrong_nodes):
            return
        self._wrong_nodes.append(node)
        line, column = at or (node.start_mark.line, node.start_mark.column)
        self.errors.append(FlowError(line + 1, column + 1, problem, remedy))

    def pairs(self, node: yaml.Node, example: str) -> list[tuple[yaml.Node, str, yaml.Node]]:
        """Key, its text and value of each pair of a mapping; a doubled key is noted. A key's text is what was written: `NO` is Norway."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "here a mapping is expected", example)
            return []
        found: dict[str, tuple[yaml.Node, str, yaml.Node]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in found:
                self.wrong(key, f"the key {name!r} is there twice", "keep one of them")
            else:
                found[name] = (key, name, value)
        return list(found.values())

    def filled(self, node: yaml.Node) -> str:
        """The text of a scalar that must say something."""
        before = len(self.errors)
        value = self.text(node).strip()
        if not value and len(self.errors) == before:
            self.wrong(node, "here a value is expected, and there is none", "write one word, number or text")
        return value

    def mapping(self, node: yaml.Node, known: Collection[str], needed: Collection[str] = ()) -> dict[str, yaml.Node]:
        """The values of a mapping by key; unknown, doubled and missing keys are noted."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "here a mapping is expected", f"key: value, with keys {', '.join(known)}")
            return {}
        values: dict[str, yaml.Node] = {}
        meant: list[str | None] = []  # a needed key that is only misspelt is one mistake, not two
        for key, value in node.value:
            name = self.text(key)
            if name not in known:
                self.wrong(key, f"unknown key {name!r}", nearest(name, known))
                meant.append(similar(name, known))
            elif name in values:
                self.wrong(key, f"the key {name!r} is there twice", "keep one of them")
            else:
                values[name] = value
        self.missing(node, [name for name in needed if name not in values and name not in meant])
        return values

    def missing(self, node: yaml.Node, names: Sequence[str]) -> None:
        """Note that a mapping lacks the keys `names`, if there are any."""
        if names:
            are = "is" if len(names) == 1 else "are"
            listed, added = ", ".join(map(repr, names)), ", ".join(f"{name}: …" for name in names)
            self.wrong(node, f"{listed} {are} missing", f"add {added}")

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.wrong(node, f"here a list of {what} is expected", "begin each item with a dash")
        return []

    def text(self, node: yaml.Node) -> str:
        """The text of a scalar as it was written, whatever YAML takes it for."""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.wrong(node, "here a single value is expected", "write one word, number or text")
        return ""

    def choice(self, node: yaml.Node, known: Collection[str], what: str, instead: str | None = None) -> str:
        """One of the `known` words; `instead`, or the first of them, if it is none."""
        value = self.text(node)
        if value in known:
            return value
        self.wrong(node, f"unknown {what} {value!r}", nearest(value, known))
        return instead if instead is not None else next(iter(known), "")

    def number(self, node: yaml.Node, least: int, most: int) -> int:
        """A whole number between `least` and `most`."""
        value = self.text(node)
        if re.fullmatch(r"\d{1,9}", value) and least <= int(value) <= most:
            return int(value)
        self.wrong(node, f"{value!r} is not a whole number between {least} and {most}", f"for example {least}")
        return least

    def duration(self, node: yaml.Node) -> timedelta:
        """A time span like 5d, 12h, 30m."""
        match = DURATION.match(self.text(node))
        if match and int(match[1]) > 0:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
        self.wrong(
            node, f"{self.text(node)!r} is not a time span", "a number and w, d, h, m or s, for example 5d or 12h"
        )
        return timedelta(days=1)

    def percent(self, node: yaml.Node) -> int:
        """A share from 1 to 99."""
        return self.number(node, *PERCENT)

    def clock(self, node: yaml.Node) -> time:
        """A time of day."""
        match = CLOCK.match(self.text(node))
        if match:
            return time(int(match[1]), int(match[2]))
        self.wrong(node, f"{self.text(node)!r} is not a time of day", 'hours and minutes, for example "10:00"')
        return time()

    def days(self, node: yaml.Node) -> frozenset[int]:
        """A list of weekdays; Monday = 0."""
        names = [self.choice(item, WEEKDAYS, "weekday") for item in self.items(node, "weekdays")]
        return frozenset(WEEKDAYS.index(name) for name in names)

    def weekdays(self, node: yaml.Node) -> frozenset[int]:
        """A list of weekdays, not all seven; Monday = 0."""
        found = self.days(node)
        if len(found) == len(WEEKDAYS):
            self.wrong(node, "every day of the week is ruled out", "leave at least one")
        return found

    def date(self, node: yaml.Node) -> date:
        """A day of the calendar."""
        try:
            found = date.fromisoformat(self.text(node))
        except ValueError:
            found = date.min
        if found.year not in _YEARS:
            self.wrong(node, f"{self.text(node)!r} is not a day", "year, month and day, for example 2026-12-01")
        return found

    def name(self, node: yaml.Node, what: str) -> str:
        """A name that writers choose themselves."""
        value = self.text(node)
        if not NAME.match(value):
            self.wrong(node, f"{value!r} is no name for a {what}", "small letters, digits and dashes, a letter first")
        return value

    def condition(self, node: yaml.Node, scope: Scope = ANYWHERE) -> Condition | None:
        """A condition, compiled for where it stands."""
        source = self.text(node)
        try:
            return compile_condition(source, scope)
        except BadCondition as error:
            self.wrong(node, error.problem, error.remedy, _place(node, source, error.column))
            return None


def _place(node: yaml.Node, source: str, column: int) -> tuple[int, int]:
    """Line and column, from 0, of what stands `column` characters into the text `source` of a node."""
    start, end = node.start_mark, node.end_mark
    written = (start.buffer or "")[start.pointer : end.pointer]
    begins = written.find(source)
    if begins < 0:  # escaped, or folded from several lines
        return start.line, start.column
    before = written[: begins + column]
    lines = before.count("\n")
    return start.line + lines, len(before) - before.rindex("\n") - 1 if lines else start.column + len(before)
