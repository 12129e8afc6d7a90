"""From the text of a flow.yaml to a Flow, or to everything that is wrong with it, each at its line and column."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import time, timedelta
from difflib import get_close_matches
from typing import get_args

import yaml
from msgspec import Struct

from streams.core.conditions import BadCondition, compile_condition
from streams.core.effects import Purpose
from streams.core.flow import (
    EXITS,
    TRIGGERS,
    Arm,
    Clock,
    Condition,
    Flow,
    OncePer,
    Send,
    Split,
    Status,
    Step,
    Trigger,
    Wait,
)

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_STEPS = ("wait", "split", "send")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
_DURATION = re.compile(r"(\d{1,5})([dhms])\Z")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_DEEPEST = 8
_LONGEST_WAIT_DAYS = 400


class FlowError(Struct, frozen=True):
    """One mistake; `line` and `column` count from 1."""

    line: int
    column: int
    problem: str
    remedy: str


def parse_flow(text: str, messages: Collection[str], folder: str) -> Flow | list[FlowError]:
    """The flow that `text` describes, or all that is wrong with it.

    Args:
        text: what flow.yaml holds.
        messages: the names of the messages that lie beside it.
        folder: the name of its folder, which is the flow's name.
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
        return [FlowError(line, column, f"this is no YAML: {error.problem}", "look at the indentation and the colons")]
    except (yaml.YAMLError, RecursionError) as error:
        return [
            FlowError(1, 1, f"this is no YAML: {type(error).__name__}", "look for odd characters and for deep nesting")
        ]
    reader = _Reader(messages, folder)
    flow = reader.flow(root)
    reader.errors.sort(key=lambda error: (error.line, error.column))
    return reader.errors or flow


class _Reader:
    """Walks the YAML nodes and gathers what is wrong. What is wrong is replaced by something harmless, and the walk goes on."""

    def __init__(self, messages: Collection[str], folder: str) -> None:
        self.messages = sorted(messages)
        self.folder = folder
        self.errors: list[FlowError] = []
        self.purpose: Purpose = "marketing"

    def wrong(self, node: yaml.Node, problem: str, remedy: str, offset: int = 0) -> None:
        """Note a mistake at `node`, `offset` characters into it."""
        mark = node.start_mark
        self.errors.append(FlowError(mark.line + 1, mark.column + 1 + offset, problem, remedy))

    # -- the parts that everything is made of

    def mapping(self, node: yaml.Node, known: Collection[str], needed: Collection[str] = ()) -> dict[str, yaml.Node]:
        """The values of a mapping by key; unknown, doubled and missing keys are noted."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "here a mapping is expected", f"key: value, with keys {', '.join(known)}")
            return {}
        values: dict[str, yaml.Node] = {}
        meant: list[str] = []  # a needed key that is only misspelt is one mistake, not two
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                self.wrong(key, f"unknown key {name!r}", nearest(name, known))
                meant += get_close_matches(name, known, n=1)
            elif name in values:
                self.wrong(key, f"the key {name!r} is there twice", "keep one of them")
            else:
                values[name] = value
        for name in needed:
            if name not in values and name not in meant:
                self.wrong(node, f"{name!r} is missing", f"add {name}: …")
        return values

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

    def choice(self, node: yaml.Node, known: Collection[str], what: str) -> str:
        """One of the `known` words; the first of them if it is none."""
        value = self.text(node)
        if value in known:
            return value
        self.wrong(node, f"unknown {what} {value!r}", nearest(value, known))
        return next(iter(known), "")

    def number(self, node: yaml.Node, least: int, most: int) -> int:
        """A whole number between `least` and `most`."""
        value = self.text(node)
        if re.fullmatch(r"\d{1,9}", value) and least <= int(value) <= most:
            return int(value)
        self.wrong(node, f"{value!r} is not a whole number between {least} and {most}", f"for example {least}")
        return least

    def duration(self, node: yaml.Node) -> timedelta:
        """A time span like 5d, 12h, 30m."""
        match = _DURATION.match(self.text(node))
        if match and int(match[1]) > 0:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
        self.wrong(node, f"{self.text(node)!r} is not a time span", "a number and d, h, m or s, for example 5d or 12h")
        return timedelta(days=1)

    def condition(self, node: yaml.Node) -> Condition | None:
        """A condition, compiled."""
        source = self.text(node)
        try:
            return compile_condition(source)
        except BadCondition as error:
            quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
            self.wrong(node, error.problem, error.remedy, error.column + (1 if quoted else 0))
            return None

    # -- the flow

    def flow(self, root: yaml.Node | None) -> Flow:
        """The whole flow."""
        if root is None:
            start = yaml.Mark("flow.yaml", 0, 0, 0, "", 0)
            root = yaml.MappingNode("tag:yaml.org,2002:map", [], start, start)
        keys = ("flow", "version", "status", "purpose", "trigger", "exit_on", "steps")
        values = self.mapping(root, keys, ("flow", "version", "status", "purpose", "trigger", "steps"))
        name = self.text(values["flow"]) if "flow" in values else self.folder
        if "flow" in values and not _NAME.match(name):
            self.wrong(
                values["flow"], f"{name!r} is no name for a flow", "small letters, digits and dashes, a letter first"
            )
        elif name != self.folder:
            self.wrong(values["flow"], f"the flow {name!r} lies in the folder {self.folder!r}", f"flow: {self.folder}")
        status = self.choice(values["status"], get_args(Status), "status") if "status" in values else "draft"
        purpose = self.choice(values["purpose"], get_args(Purpose), "purpose") if "purpose" in values else "marketing"
        self.purpose = purpose  # type: ignore[assignment]  # choice gives one of the literals
        exits = self.items(values["exit_on"], "events") if "exit_on" in values else []
        return Flow(
            name=name,
            version=self.number(values["version"], 1, 999_999) if "version" in values else 1,
            status=status,  # type: ignore[arg-type]  # choice gives one of the literals
            purpose=self.purpose,
            trigger=self.trigger(values["trigger"]) if "trigger" in values else Trigger(on=TRIGGERS[0]),
            exit_on=tuple(self.choice(item, EXITS, "event") for item in exits),
            steps=self.steps(values["steps"], "", 0) if "steps" in values else (),
        )

    def trigger(self, node: yaml.Node) -> Trigger:
        """What starts the flow."""
        values = self.mapping(node, ("on", "once_per", "where"), ("on",))
        on = self.choice(values["on"], TRIGGERS, "trigger") if "on" in values else TRIGGERS[0]
        once_per = self.choice(values["once_per"], get_args(OncePer), "once_per") if "once_per" in values else "order"
        if once_per == "parcel" and not on.startswith("shipment."):
            self.wrong(values["once_per"], f"{on} knows no parcel", "once_per: order")
        where = self.condition(values["where"]) if "where" in values else None
        return Trigger(on=on, once_per=once_per, where=where)  # type: ignore[arg-type]  # choice gives one of the literals

    def steps(self, node: yaml.Node, prefix: str, depth: int) -> tuple[Step, ...]:
        """A list of steps; `prefix` is the path of where they lie."""
        if depth > _DEEPEST:
            self.wrong(node, f"splits lie more than {_DEEPEST} deep in each other", "make it two flows")
            return ()
        found = self.items(node, "steps")
        if not found and isinstance(node, yaml.SequenceNode):
            self.wrong(node, "there is no step", "add at least one, for example - send: {message: …}")
        return tuple([self.step(item, f"{prefix}{index}", depth) for index, item in enumerate(found)])

    def step(self, node: yaml.Node, path: str, depth: int) -> Step:
        """One step: a mapping of one key, which says what it does."""
        values = self.mapping(node, _STEPS)
        if len(values) > 1:
            self.wrong(
                node, f"a step does one thing, this one {' and '.join(values)}", "make it one item of the list for each"
            )
        for kind, value in values.items():
            if kind == "wait":
                return self.wait(value, path)
            if kind == "split":
                return self.split(value, path, depth)
            return self.send(value, path)
        return Wait(path=path)

    def wait(self, node: yaml.Node, path: str) -> Wait:
        """A wait: a time span, or a mapping."""
        if isinstance(node, yaml.ScalarNode):
            span = self.duration(node)
            return Wait(path=path, days=span.days, more=timedelta(seconds=span.seconds))
        values = self.mapping(node, ("days", "hours", "minutes", "at", "clock", "not_on"))
        if isinstance(node, yaml.MappingNode) and not values.keys() & {"days", "hours", "minutes", "at"}:
            self.wrong(node, "a wait needs a length or a time of day", 'for example {days: 2, at: "10:00"}')
        days = self.number(values["days"], 0, _LONGEST_WAIT_DAYS) if "days" in values else 0
        hours = self.number(values["hours"], 0, 10_000) if "hours" in values else 0
        minutes = self.number(values["minutes"], 0, 100_000) if "minutes" in values else 0
        at = None
        if "at" in values:
            match = _CLOCK.match(self.text(values["at"]))
            if match:
                at = time(int(match[1]), int(match[2]))
            else:
                self.wrong(
                    values["at"],
                    f"{self.text(values['at'])!r} is not a time of day",
                    'hours and minutes, for example "10:00"',
                )
        clock = self.choice(values["clock"], get_args(Clock), "clock") if "clock" in values else "customer"
        not_on: frozenset[int] = frozenset()
        if "not_on" in values:
            names = [self.choice(item, _WEEKDAYS, "weekday") for item in self.items(values["not_on"], "weekdays")]
            not_on = frozenset(_WEEKDAYS.index(name) for name in names)
            if len(not_on) == len(_WEEKDAYS):
                self.wrong(values["not_on"], "every day of the week is ruled out", "leave at least one")
        more = timedelta(hours=hours, minutes=minutes)
        return Wait(path=path, days=days, more=more, at=at, clock=clock, not_on=not_on)  # type: ignore[arg-type]  # as above

    def split(self, node: yaml.Node, path: str, depth: int) -> Split:
        """A split: a list of arms, `otherwise` the last."""
        arms: list[Arm] = []
        items = self.items(node, "arms")
        for index, item in enumerate(items):
            values = self.mapping(item, ("when", "steps", "otherwise"))
            if "otherwise" in values:
                if "when" in values or "steps" in values:
                    self.wrong(item, "an arm has either when and steps, or otherwise", "make it two arms")
                if index + 1 < len(items):
                    self.wrong(item, "the arms after otherwise can never be reached", "move otherwise to the end")
                arms.append(Arm(when=None, steps=self.steps(values["otherwise"], f"{path}.{index}.", depth + 1)))
            elif isinstance(item, yaml.MappingNode):
                for name in ("when", "steps"):
                    if name not in values:
                        self.wrong(item, f"{name!r} is missing", f"add {name}: …")
                when = self.condition(values["when"]) if "when" in values else None
                inner = self.steps(values["steps"], f"{path}.{index}.", depth + 1) if "steps" in values else ()
                arms.append(Arm(when=when, steps=inner))
        if not items and isinstance(node, yaml.SequenceNode):
            self.wrong(node, "the split has no arm", "add - when: … with steps, and - otherwise:")
        return Split(path=path, arms=tuple(arms))

    def send(self, node: yaml.Node, path: str) -> Send:
        """A send."""
        values = self.mapping(node, ("message", "purpose", "priority", "expires"), ("message",))
        message = self.text(values["message"]) if "message" in values else ""
        if "message" in values and message not in self.messages:
            self.wrong(
                values["message"],
                f"there is no message {message!r}",
                nearest(message, self.messages) + f" (or add {message}.html.j2)",
            )
        purpose = self.choice(values["purpose"], get_args(Purpose), "purpose") if "purpose" in values else self.purpose
        return Send(
            path=path,
            message=message,
            purpose=purpose,  # type: ignore[arg-type]  # choice gives one of the literals
            priority=self.number(values["priority"], 0, 100) if "priority" in values else 50,
            expires=self.duration(values["expires"]) if "expires" in values else timedelta(days=5),
        )


def nearest(word: str, known: Collection[str]) -> str:
    """What the writer may have meant, or all that is known."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
