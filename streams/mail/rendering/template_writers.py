"""The functions that a compiled template calls for each text and value that it writes: they escape and count it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from markupsafe import Markup, escape

from streams.mail.rendering.template_limits import Budget

#: The functions for a pass of a body, a value in HTML, a value in text, and a complete text, in this order.
Writers: TypeAlias = tuple[Callable[[int], None], Callable[[Any], str], Callable[[Any], str], Callable[[str], str]]


def writers(budget: Budget) -> Writers:
    """Return the functions of an environment."""
    write, sized = budget.write, budget.sized

    def html(value: Any) -> str:
        kind = type(value)
        if kind is str:
            text: str = value
            if "<" in text or "&" in text or ">" in text or '"' in text or "'" in text:
                text = escape(text)
        elif kind is Markup:
            text = value
        elif kind is int:
            text = str(value)
        else:
            text = escape(sized(value))
        write(len(text))
        return text

    def plain(value: Any) -> str:
        kind = type(value)
        if kind is str:
            text: str = value
        else:
            text = str(value if kind is int else sized(value))
        write(len(text))
        return text

    def complete(text: str) -> str:
        write(len(text))
        return text

    return write, html, plain, complete
