"""The syntax of conditions: a small part of Jinja's expressions, with periods such as `90d` in calls."""

from __future__ import annotations

import re

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from streams.definitions.problems import Location, Problem


class InvalidCondition(ValueError):
    """A condition that cannot be compiled. The location of `problem` is a column of the condition's source."""

    def __init__(self, id: str, message: str, hint: str, column: int = 0) -> None:
        super().__init__(message)
        self.problem = Problem(id, message, hint, Location(column=column + 1))


#: The largest number of a condition: more than all money of a shop in the smallest unit of any currency.
MAX_NUMBER = 10**15
ALLOWED = "use names, numbers, texts, lists, == != < <= > >=, in, and, or, not"
#: Hints for words after a whole expression.
_HINTS = {
    "=": "use == to compare",
    "between": "write a range as 8000 <= customer.postal_code <= 8270",
    "starts": 'write starts_with(customer.postal_code, "80")',
    "starts_with": 'write starts_with(customer.postal_code, "80")',
}
_NUMBER = re.compile(r"[0-9][0-9a-zA-Z_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ENVIRONMENT = Environment(autoescape=True)  # only its lexer is used: nothing is rendered
_WORD = re.compile(r"""'[^']*'|"[^"]*"|[\w.]+""")
#: A text, which stays as it is, or a period behind a parenthesis.
_PERIOD = re.compile(r"""'[^']*'|"[^"]*"|(?<=\()(\s*)([0-9])([0-9]*[a-zA-Z]{1,2})(?=\s*[,)])""")
#: Jinja reads no number with a unit, so the first digit becomes a letter: a name of the same length.
_DIGITS = "ABCDEFGHIJ"
_NAMED_PERIOD = re.compile(r"([A-J])([0-9]*[a-zA-Z]{1,2})\Z")


def parse_expression(source: str) -> nodes.Expr:
    """Return the syntax tree of one whole expression.

    Raises:
        InvalidCondition: the source is not an expression.
    """
    written = _PERIOD.sub(_as_name, source)
    try:
        parser = Parser(_ENVIRONMENT, written, state="variable")
        tree = parser.parse_expression()
        rest = parser.stream.current
        unread = len(list(parser.stream))  # the lexer reads the rest of the source only now
    except TemplateSyntaxError as error:
        text, _, at = str(error.message).replace("'end of template'", "end of the condition").partition(" at ")
        text = re.sub("^unexpected char ", "unexpected character ", text)
        column = int(at) if at.isdecimal() else 0
        raise InvalidCondition("condition.E004", f"invalid expression: {text}", ALLOWED, column) from error
    except (ValueError, OverflowError) as error:  # more digits than Python reads
        raise number_out_of_range(source) from error
    if not unread:
        return tree
    hint = _HINTS.get(str(rest.value), "join conditions with `and` or `or`")
    columns: list[int] = []
    column = 0
    for _, sort, text in _ENVIRONMENT.lexer.tokeniter(written, None, state="variable"):
        if sort != "whitespace":
            columns.append(column)
        column += len(text)
    raise InvalidCondition("condition.E005", f"unexpected '{rest.value}'", hint, columns[-unread])


def _as_name(match: re.Match[str]) -> str:
    if match[2] is None:
        return match[0]
    return f"{match[1]}{_DIGITS[int(match[2])]}{match[3]}"


def period_text(node: nodes.Node) -> str | None:
    """Return the period that an argument of a call is, as it was written; None if the argument is something else."""
    if isinstance(node, nodes.Const):
        return node.value if isinstance(node.value, str) else str(node.value)
    match = _NAMED_PERIOD.match(node.name) if isinstance(node, nodes.Name) else None
    return f"{_DIGITS.index(match[1])}{match[2]}" if match is not None else None


def name_of(node: nodes.Node) -> str | None:
    """Return the name that a node is, with its dots; None if it is not one."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    return ".".join(reversed([*parts, node.name]))


def column_of(source: str, word: str) -> int:
    """Return the column of a name or a text in the source, where it is not a part of another one."""
    for match in _WORD.finditer(source):
        if match[0].strip("'\"") == word:
            return match.start()
    return 0


def number_out_of_range(source: str) -> InvalidCondition:
    """Return the error for the longest number in a condition: no amount, count or age is that large."""
    numbers = sorted(_NUMBER.finditer(source), key=lambda match: len(match[0]))
    column = numbers[-1].start() if numbers else 0
    return InvalidCondition("condition.E018", "number out of range", f"use a number below {MAX_NUMBER:,}", column)
