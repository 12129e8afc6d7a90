"""The limits of templates, and the budget of one rendering."""

from __future__ import annotations

import re
from collections.abc import Collection, ItemsView, Iterable, KeysView, Mapping, ValuesView
from types import MethodType
from typing import Any, NoReturn

from jinja2 import TemplateRuntimeError
from jinja2.environment import TemplateModule

#: Steps of one rendering. The largest email of the library takes some 3,000; 200,000 take less than a second.
MAX_STEPS = 200_000
#: Characters that one rendering writes, in all its parts. Each text counts once in every body around it, so that an email may have some
#: 4 million characters, and more if its template is flat. Gmail cuts an email at 102 kB.
MAX_OUTPUT = 10_000_000
#: Characters, and characters and parts together, of one value that a template makes.
MAX_SIZE = 200_000
#: The largest number that is an argument of a filter or of a method of a text: a width, a count, a length.
MAX_ARGUMENT = 10_000
#: Bits of a whole number that a template computes.
MAX_BITS = 4096
#: Characters of a value, and values in a list or mapping, that cost a step. So all values that one rendering keeps take some 50 MB at most.
CHARS_PER_STEP, PARTS_PER_STEP = 256, 4
#: Characters of a text that cost a step in a filter, which may read them one by one.
CHARS_PER_FILTER = 16
#: The values that have no other values in them.
_ATOMS = (str, bytes, int, float, type(None))
_NUMBERS = frozenset((int, float, bool, type(None)))

_WIDE = re.compile(r"[0-9]{4,}|\*")
_NESTED = re.compile(r"\{[^{}]*\{")


class LimitExceeded(TemplateRuntimeError):
    """A template that costs more than it may. The text names the limit, and no data."""


class Budget:
    """The steps and characters that one rendering may still use."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.output = MAX_OUTPUT

    def renew(self) -> None:
        """Make the budget whole again."""
        self.steps = MAX_STEPS
        self.output = MAX_OUTPUT

    def step(self, count: int = 1) -> None:
        """Use some steps. Raise LimitExceeded if none is left."""
        self.steps -= count
        if self.steps < 0:
            self.refuse()

    def write(self, characters: int) -> None:
        """Use a step, and some characters of the output. Raise LimitExceeded if none is left."""
        self.steps -= 1
        self.output -= characters
        if self.steps < 0 or self.output < 0:
            self.refuse()

    def sized(self, value: Any) -> Any:
        """Return a value that is not too large with everything in it. Parts that occur twice count twice."""
        check_size(self.charge(value))
        return value

    def charge(self, value: Any) -> int:
        """Use steps for a value and everything in it. Return the size of both, or one above the limit."""
        parts, characters, todo = 0, 0, [value]
        while todo and parts + characters + len(todo) <= MAX_SIZE:
            part = todo.pop()
            parts += 1
            if isinstance(part, str | bytes):
                characters += len(part)
            elif not isinstance(part, _ATOMS):
                contents = _contents(part)
                kinds = set(map(type, contents))
                if kinds <= _NUMBERS:  # most large values are lists of numbers or of texts, which need no loop
                    parts += len(contents)
                elif kinds == {str}:
                    parts += len(contents)
                    characters += sum(map(len, contents))
                else:
                    todo += contents
        self.step(1 + parts // PARTS_PER_STEP + characters // CHARS_PER_STEP)
        return parts + characters + len(todo)

    def refuse(self) -> NoReturn:
        """Raise LimitExceeded for the limit that the rendering exceeds."""
        if self.steps < 0:
            raise LimitExceeded(f"the template takes more than {MAX_STEPS:,} steps; use shorter loops")
        raise LimitExceeded(f"the message has more than {MAX_OUTPUT:,} characters; write less in loops")


def _contents(value: Any) -> Collection[Any]:
    """Return the values that are in the text of a value."""
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, Mapping):
        return (*value.keys(), *value.values())
    if isinstance(value, KeysView | ValuesView | ItemsView):
        return value
    if isinstance(value, MethodType):  # its text has the text of its object
        return (value.__self__,) if isinstance(value.__self__, str) else ()
    return (str(value),) if isinstance(value, TemplateModule) else ()


def check_size(size: int) -> None:
    """Raise LimitExceeded for a value of more than `MAX_SIZE` characters."""
    if size > MAX_SIZE:
        raise LimitExceeded(f"a value of more than {MAX_SIZE:,} characters")


def check_arguments(name: str, args: Iterable[Any]) -> None:
    """Raise LimitExceeded if an argument of a filter or a method is a large number: a width, a count, a length."""
    for arg in args:
        if isinstance(arg, int | float) and not -MAX_ARGUMENT <= arg <= MAX_ARGUMENT:
            raise LimitExceeded(f"an argument of {name} is greater than {MAX_ARGUMENT:,}")


def check_product(operator: str, left: Any, right: Any) -> None:
    """Raise LimitExceeded if `left * right`, or `left ** right`, would be too long."""
    if operator == "**":
        if isinstance(left, int) and isinstance(right, int) and right > 0 and left.bit_length() * right > MAX_BITS:
            raise LimitExceeded(f"a number of more than {MAX_BITS} bits")
        return
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | bytes | list | tuple) and isinstance(times, int):
            check_size(len(value) * times)


def check_format(pattern: str | bytes, args: Iterable[Any]) -> None:
    """Raise LimitExceeded if a format has a width of four digits, or one that is computed, or would make a text too long."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else str(pattern)
    if _WIDE.search(text) or _NESTED.search(text):
        raise LimitExceeded("a format has a width of four digits or more, or one that is computed")
    longest = max([len(arg) if isinstance(arg, str | bytes) else len(str(arg)) for arg in args], default=0)
    check_size(len(text) + max(text.count("{"), text.count("%")) * longest)


def check_replace(text: Any, old: Any = "", new: Any = "") -> None:
    """Raise LimitExceeded if replacing would make a text too long."""
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        check_size(len(text) + text.count(old) * len(new))


def check_join(separator: Any, items: Any = ()) -> None:
    """Raise LimitExceeded if joining would make a text too long."""
    if hasattr(items, "__len__") and hasattr(separator, "__len__"):
        check_size(len(items) * len(separator) + sum(len(item) for item in items if isinstance(item, str)))


def check_slow(name: str, text: str) -> None:
    """Raise LimitExceeded if a filter that is slow, such as `wordwrap`, would take a second or more."""
    if len(text) > MAX_ARGUMENT:
        raise LimitExceeded(f"a value of {name} has more than {MAX_ARGUMENT:,} characters")


def text_of(value: Any) -> Any:
    """Return the text of a value that a filter reads as text; an empty one for other values."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
