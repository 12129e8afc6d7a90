"""The values of the names in a condition, so that a reader sees why it is true or false."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes

from streams.core.conditions.context import EvalContext
from streams.core.conditions.date_values import DAYS_UNTIL
from streams.core.conditions.names import NAMES, Closure
from streams.core.conditions.open_values import open_value_of
from streams.core.conditions.purchase_values import CALLS
from streams.core.rules.flow import Condition
from streams.definitions.language.calls import compile_call
from streams.definitions.language.expressions import name_of, parse_expression, period_text
from streams.definitions.language.text_calls import compile_days_until


def values_of(condition: Condition, context: EvalContext) -> dict[str, Any]:
    """Return the value of each name and call in a valid condition, in the order of the text.

    Args:
        condition: the condition.
        context: the data that it reads.
    """
    found = {text: read(context) for text, read in _readers(condition.source)}
    return dict(sorted(found.items(), key=lambda item: condition.source.find(item[0])))


def _readers(source: str) -> Iterator[tuple[str, Closure]]:
    tree = parse_expression(source)
    inner = {id(node.node) for node in tree.find_all(nodes.Getattr)}  # customer.dates in customer.dates.wedding
    inner |= {id(tree.node)} if isinstance(tree, nodes.Getattr) else set()
    for node in (tree, *tree.find_all((nodes.Getattr, nodes.Call))):
        if id(node) in inner:
            continue
        if isinstance(node, nodes.Call):
            name = name_of(node.node)
            written = f"{name}({', '.join([_argument(each) for each in node.args])})"
            if name in CALLS:
                yield written, compile_call(node, source)
            elif name == DAYS_UNTIL:
                yield written, compile_days_until(node, source)
            continue
        name = name_of(node)
        if name is None:
            continue
        if name in NAMES:
            yield name, NAMES[name][1]
        elif (read := open_value_of(name)) is not None:
            yield name, read


def _argument(node: nodes.Expr) -> str:
    return f"'{node.value}'" if isinstance(node, nodes.Const) else period_text(node) or ""
