"""Reads a YAML file node by node and collects its problems, each at its line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, time, timedelta
from typing import Protocol, TypeVar

import yaml
from yaml.reader import ReaderError

from streams.core.rules.flow import Condition
from streams.core.values.local_time import WEEKDAYS
from streams.core.values.text import NAME, nearest, similar
from streams.definitions.language.conditions import ANYWHERE, InvalidCondition, Scope, compile_condition
from streams.definitions.problems import Location, Problem
from streams.mail.rendering.yaml_nodes import AliasFound, compose

T = TypeVar("T")
R = TypeVar("R", bound="Reader")
YEARS = range(2000, 2200)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "min": "minutes", "s": "seconds"}
DURATION = re.compile(r"(\d{1,5})(min|[wdhms])\Z")
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
PERCENT = (1, 99)
#: Words for the tokens in PyYAML's errors.
_TOKENS = {
    "<stream end>": "the end of the file",
    "<block end>": "the end of the block",
    "<block mapping start>": "a mapping",
    "<block sequence start>": "a list",
    "<scalar>": "a value",
    "the node content": "a value",
}
#: Units of a period or a wait that other durations do not have.
_NO_DURATIONS = {"y": "write years in days, for example 365d", "mo": "write months in days, for example 30d"}
_NAME_HINT = "use lowercase letters, digits and dashes, starting with a letter"


def read_yaml(text: str, reader: R, read: Callable[[R, yaml.Node | None], T]) -> T | list[Problem]:
    """Return what `read` makes of the YAML in `text`, or all problems in it.

    Args:
        text: the content of the file.
        reader: collects the problems.
        read: walks the root, which is None for an empty file.
    """
    try:
        root = compose(text, refuses_aliases=True)
    except AliasFound as found:
        hint = "write the value out"
        return [Problem("yaml.E002", "YAML aliases (*) are not supported", hint, location(found.mark))]
    except yaml.MarkedYAMLError as error:
        return [invalid_yaml(error)]
    except ReaderError as error:
        return [invalid_character(text, error)]
    except RecursionError:
        return [Problem("yaml.E004", "brackets or lists are nested too deeply", "remove some levels", Location(1))]
    reader.source = text
    result = read(reader, root)
    reader.problems.sort(key=lambda problem: (problem.location.line, problem.location.column))
    return reader.problems or result


def invalid_character(text: str, error: ReaderError) -> Problem:
    """Return the problem for a character that YAML does not allow."""
    before = text[: error.position]
    at = Location(before.count("\n") + 1, error.position - before.rfind("\n"))
    return Problem("yaml.E003", f"invalid character {text[error.position]!r}", "remove it", at)


def invalid_yaml(error: yaml.MarkedYAMLError) -> Problem:
    """Return the problem for text that is not valid YAML."""
    problem = str(error.problem).removeprefix("but ")
    for token, name in _TOKENS.items():
        problem = problem.replace(f"'{token}'", name).replace(token, name)
    hint = "check the indentation, the colons and the brackets"
    if "\\t" in problem:
        hint = "indent with spaces instead of tabs"
    elif "found a value" in problem:
        problem = "text after a closing quote"
        hint = "put the other kind of quotes around the whole value, for example \"'vip' in customer.segments\""
    elif "expected ',' or '}'" in problem:
        hint = "within { }, put quotes around a value with brackets, braces or commas"
    elif "another document" in problem:
        hint = "remove the line ---"
    return Problem("yaml.E001", f"invalid YAML: {problem}", hint, location(error.problem_mark))


class _Mark(Protocol):
    """A mark of PyYAML, in its Python or its C implementation; counts from 0."""

    line: int
    column: int


def location(mark: _Mark | None) -> Location:
    """Return the location of a mark."""
    return Location(mark.line + 1, mark.column + 1) if mark else Location()


def empty(name: str) -> yaml.MappingNode:
    """Return the root of a file without any content."""
    start = yaml.Mark(name, 0, 0, 0, "", 0)
    return yaml.MappingNode("tag:yaml.org,2002:map", [], start, start)


class Reader:
    """Walks the YAML nodes and collects problems. An invalid value is replaced by a harmless one, and the walk continues.

    Only the first problem per node is reported: others may merely follow from it.
    """

    def __init__(self) -> None:
        #: The content of the file.
        self.source = ""
        self.problems: list[Problem] = []
        self._reported: list[yaml.Node] = []

    def error(self, id: str, node: yaml.Node, message: str, hint: str, at: tuple[int, int] | None = None) -> None:
        """Note a problem at `node`.

        Args:
            id: an id in `problem_table.py`.
            node: the invalid node.
            message: what is wrong.
            hint: how to fix it.
            at: line and column in the file, from 0, if they differ from the start of the node.
        """
        if any(node is reported for reported in self._reported):
            return
        self._reported.append(node)
        line, column = at or (node.start_mark.line, node.start_mark.column)
        self.problems.append(Problem(id, message, hint, Location(line + 1, column + 1)))

    def pairs(self, node: yaml.Node, example: str) -> list[tuple[yaml.Node, str, yaml.Node]]:
        """Return key, its text and value of each pair of a mapping, as written: `NO` is Norway, not false. Duplicate keys are noted."""
        if not isinstance(node, yaml.MappingNode):
            self.error("yaml.E005", node, "expected a mapping", f"for example {example}")
            return []
        pairs: dict[str, tuple[yaml.Node, str, yaml.Node]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in pairs:
                self.duplicate(key, name)
            else:
                pairs[name] = (key, name, value)
        return list(pairs.values())

    def duplicate(self, key: yaml.Node, name: str) -> None:
        """Note a key that the mapping already has."""
        self.error("yaml.E009", key, f"duplicate key {name!r}", "remove one of them")

    def filled(self, node: yaml.Node) -> str:
        """Return the text of a scalar that must not be empty."""
        before = len(self.problems)
        value = self.text(node).strip()
        if not value and len(self.problems) == before:
            self.error("yaml.E008", node, "missing value", "write a word, a number or a text")
        return value

    def mapping(self, node: yaml.Node, known: Collection[str], needed: Collection[str] = ()) -> dict[str, yaml.Node]:
        """Return the values of a mapping by key. Unknown, duplicate and missing keys are noted."""
        if not isinstance(node, yaml.MappingNode):
            self.error("yaml.E005", node, "expected a mapping", f"write key: value; valid keys: {', '.join(known)}")
            return {}
        values: dict[str, yaml.Node] = {}
        meant: list[str | None] = []  # a misspelt key is one problem: the key that was meant is not missing as well
        for key, value in node.value:
            name = self.text(key)
            if name not in known:
                self.error("yaml.E010", key, f"unknown key {name!r}", nearest(name, known))
                meant.append(similar(name, known))
            elif name in values:
                self.duplicate(key, name)
            else:
                values[name] = value
        self.missing(node, [name for name in needed if name not in values and name not in meant])
        return values

    def missing(self, node: yaml.Node, names: Sequence[str]) -> None:
        """Note that a mapping lacks the keys `names`, if there are any."""
        if names:
            keys = "key" if len(names) == 1 else "keys"
            listed, added = ", ".join(map(repr, names)), ", ".join(f"`{name}: …`" for name in names)
            self.error("yaml.E011", node, f"missing {keys} {listed}", f"add {added}")

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """Return the items of a list. `what` names them, in the plural."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.error("yaml.E006", node, f"expected a list of {what}", "start each item with a dash")
        return []

    def text(self, node: yaml.Node) -> str:
        """Return the text of a scalar as written, whatever type YAML gives it."""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.error("yaml.E007", node, "expected a single value", "write a word, a number or a text")
        return ""

    def choice(self, node: yaml.Node, known: Collection[str], what: str, default: str | None = None) -> str:
        """Return one of the `known` words. An unknown one gives `default`, or the first of them."""
        value = self.text(node)
        if value in known:
            return value
        self.error("yaml.E012", node, f"unknown {what} {value!r}", nearest(value, known, what))
        return default if default is not None else next(iter(known), "")

    def boolean(self, node: yaml.Node) -> bool:
        """Return a yes or no."""
        return self.choice(node, ("true", "false"), "value") == "true"

    def number(self, node: yaml.Node, least: int, most: int) -> int:
        """Return a whole number between `least` and `most`."""
        value = self.text(node)
        if re.fullmatch(r"\d{1,9}", value) and least <= int(value) <= most:
            return int(value)
        hint = f"use a whole number from {least} to {most}"
        self.error("yaml.E013", node, f"invalid number {value!r}", hint)
        return least

    def duration(self, node: yaml.Node) -> timedelta:
        """Return a duration such as 5d, 12h or 30min."""
        match = DURATION.match(self.text(node))
        if match and int(match[1]) > 0:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
        unit = self.text(node).lstrip("0123456789")
        hint = _NO_DURATIONS.get(unit, "use a number and w, d, h, min or s, for example 5d or 30min")
        self.error("yaml.E014", node, f"invalid duration {self.text(node)!r}", hint)
        return timedelta(days=1)

    def percent(self, node: yaml.Node) -> int:
        """Return a percentage from 1 to 99."""
        return self.number(node, *PERCENT)

    def clock(self, node: yaml.Node) -> time:
        """Return a time of day."""
        match = CLOCK.match(self.text(node))
        if match:
            return time(int(match[1]), int(match[2]))
        hint = 'use hours and minutes, for example "10:00"'
        self.error("yaml.E015", node, f"invalid time of day {self.text(node)!r}", hint)
        return time()

    def days(self, node: yaml.Node) -> frozenset[int]:
        """Return a list of weekdays; Monday is 0."""
        names = [self.choice(item, WEEKDAYS, "weekday") for item in self.items(node, "weekdays")]
        return frozenset(WEEKDAYS.index(name) for name in names)

    def weekdays(self, node: yaml.Node) -> frozenset[int]:
        """Return a list of excluded weekdays, not all seven; Monday is 0."""
        days = self.days(node)
        if len(days) == len(WEEKDAYS):
            self.error("yaml.E018", node, "all weekdays are excluded", "allow at least one")
        return days

    def date(self, node: yaml.Node) -> date:
        """Return a calendar day."""
        try:
            day = date.fromisoformat(self.text(node))
        except ValueError:
            day = date.min
        if day.year not in YEARS:
            hint = "use year, month and day, for example 2026-12-01"
            self.error("yaml.E016", node, f"invalid date {self.text(node)!r}", hint)
        return day

    def name(self, node: yaml.Node, what: str) -> str:
        """Return a name that users choose. `what` says of which kind of thing."""
        value = self.text(node)
        if not NAME.match(value):
            self.error("yaml.E017", node, f"invalid {what} name {value!r}", _NAME_HINT)
        return value

    def condition(self, node: yaml.Node, scope: Scope = ANYWHERE) -> Condition | None:
        """Return a condition, compiled for its scope."""
        source = self.text(node)
        try:
            return compile_condition(source, scope)
        except InvalidCondition as error:
            problem = error.problem
            at = _position_of(self.source, node, source, problem.location.column - 1)
            self.error(problem.id, node, problem.message, problem.hint, at)
            return None


def _position_of(content: str, node: yaml.Node, text: str, column: int) -> tuple[int, int]:
    """Return line and column, from 0, of the character `column` of the text of a node in a file with this content."""
    start, end = node.start_mark, node.end_mark
    written = content[start.index : end.index]
    begins = written.find(text)
    if begins < 0:  # escaped, or folded from several lines
        return start.line, start.column
    before = written[: begins + column]
    lines = before.count("\n")
    return start.line + lines, len(before) - before.rindex("\n") - 1 if lines else start.column + len(before)
