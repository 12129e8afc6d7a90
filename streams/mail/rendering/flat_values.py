"""The values of a flat template that are the same in all emails: the brand and the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jinja2 import nodes

from streams.mail.rendering.flat_scopes import Scope


class _Unknown:
    """A value that depends on the email."""


_UNKNOWN = _Unknown()


class KnownValues:
    """Values that are the same in all emails.

    Args:
        values: the values by variable.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, node: nodes.Node, scope: Scope) -> str | None:
        """Return the text that an expression writes in all emails, or None."""
        value = self._value(node, scope)
        return str(value) if type(value) in (str, int) else None

    def is_empty_loop(self, node: nodes.For, scope: Scope) -> bool:
        """Return whether a loop has no pass in any email, and writes nothing instead."""
        return self._value(node.iter, scope) in ((), []) and not node.else_

    def decided(self, test: nodes.Node, scope: Scope) -> tuple[nodes.Node, bool | None]:
        """Return a condition without the parts that are the same in all emails, and the result if it is the same in all emails."""
        if isinstance(test, nodes.Or | nodes.And):
            left, first = self.decided(test.left, scope)
            right, second = self.decided(test.right, scope)
            ends = isinstance(test, nodes.Or)  # the result of the left side with which the right one is not evaluated
            if first is ends:
                return left, first
            if first is not None:
                return right, second
            if second is not None and second is not ends:
                return left, None
            test.left, test.right = cast(nodes.Expr, left), cast(nodes.Expr, right)
            return test, None
        value = self._value(test, scope)
        return test, None if value is _UNKNOWN else bool(value)

    def _value(self, node: nodes.Node, scope: Scope) -> Any:
        """Return the value of a variable or of a key of one, such as `brand.logo`, or `_UNKNOWN`."""
        if isinstance(node, nodes.Name) and not scope.stores(node.name):
            return self._values.get(node.name, _UNKNOWN)
        if isinstance(node, nodes.Getattr):
            owner = self._value(node.node, scope)
            if isinstance(owner, dict) and node.attr in owner:
                return owner[node.attr]
        return _UNKNOWN
