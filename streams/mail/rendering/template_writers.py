"""The functions that a compiled template calls for what it writes: they escape and count it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from markupsafe import Markup, escape

from streams.mail.rendering.template_limits import Budget

#: The functions for a value in HTML, a value in text, a text that is written as it is, and the texts of a body, in this order.
Writers: TypeAlias = tuple[Callable[[Any], str], Callable[[Any], str], Callable[[str], str], Callable[[list[str]], str]]

#: Characters of a value that is counted only with the complete text. It has cost a step in its body, and writing it makes at most a short text.
_SHORT = 64
#: Escaped short values that are kept.
_MOST_ESCAPED = 4096


class _Escaped(dict[str, str]):
    """Short texts in HTML by text. Many emails show the same products and amounts, and each email shows them again."""

    def __missing__(self, text: str) -> str:
        if len(self) >= _MOST_ESCAPED:
            self.clear()
        html = self[text] = _escape(text)
        return html


def _escape(text: str) -> str:
    """Return a text in HTML, as `markupsafe.escape`, but without a `Markup`, which takes longer than the rest."""
    if "<" in text or "&" in text or ">" in text or '"' in text or "'" in text:
        text = text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")
        text = text.replace("'", "&#39;").replace('"', "&#34;")
    return text


def writers(budget: Budget) -> Writers:
    """Return the functions of an environment. All count what they write, the last one before it joins the texts."""
    write, sized, escaped = budget.write, budget.sized, _Escaped()

    def html(value: Any) -> str:
        kind = type(value)
        if kind is str:
            if len(value) <= _SHORT:
                return escaped[value]
            text: str = _escape(value)
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
            if len(text) <= _SHORT:
                return text
        else:
            text = str(value if kind is int else sized(value))
        write(len(text))
        return text

    def complete(text: str) -> str:
        write(len(text))
        return text

    def concat(texts: list[str]) -> str:
        write(sum(map(len, texts)))
        return "".join(texts)

    return html, plain, complete, concat
