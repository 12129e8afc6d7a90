"""The static analysis of conditions: the parts that must hold, and conditions that are never true."""

from __future__ import annotations

from jinja2 import Environment, nodes

from streams.core.rules.flow import Condition, Flow
from streams.core.rules.trigger_names import LAUNCH
from streams.definitions.language.expressions import parse_expression

_ENVIRONMENT = Environment(autoescape=True)  # only its parser is used: nothing is rendered
_CONTEXT = nodes.EvalContext(_ENVIRONMENT)
# Names that are never true in a flow that the event ends.
_ENDED_BY = {
    "order.is_paid": "order.paid",
    "order.is_refunded": "order.refunded",
    "order.is_cancelled": "order.cancelled",
    "customer.is_unsubscribed": "customer.unsubscribed",
}


def is_never_true(condition: Condition | None, flow: Flow) -> bool:
    """Return whether a condition is certainly false."""
    parts = parts_of(condition)
    return any(
        isinstance(part, nodes.Const)
        or _ENDED_BY.get(_name(part)) in flow.exit_on
        or (_name(part) == "product.is_coming" and flow.trigger.on == LAUNCH and not flow.trigger.before)
        or nodes.Not(part) in parts
        for part in parts
    )


def parts_of(condition: Condition | None) -> list[nodes.Expr]:
    """Return the parts of a condition that must all hold: an empty list if it always holds, a constant if it never does."""
    if condition is None:
        return []
    remaining: list[nodes.Expr] = [parse_expression(condition.source)]
    parts: list[nodes.Expr] = []
    while remaining:
        part = remaining.pop()
        if isinstance(part, nodes.And):
            remaining += [part.left, part.right]
        elif part.find(nodes.Name) is not None:
            parts.append(part)
        elif not part.as_const(_CONTEXT):
            return [nodes.Const(False)]
    return parts


def _name(part: nodes.Expr) -> str:
    if isinstance(part, nodes.Getattr) and isinstance(part.node, nodes.Name):
        return f"{part.node.name}.{part.attr}"
    return ""
