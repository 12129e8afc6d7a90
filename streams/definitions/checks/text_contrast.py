"""Texts of an email whose color has too little contrast with the one behind them in light colors, as far as the markup shows it.

`takk templates test` measures both modes in Chromium, which also knows style sheets, pictures and transparent colors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from html.parser import HTMLParser

from msgspec import Struct

from streams.mail.rendering.contrast import LEAST_CONTRAST, contrast

#: WCAG 2.2, 1.4.3: the least contrast of large text, and from how many pixels on it is large, also if it is bold.
_LEAST_LARGE, _LARGE, _LARGE_BOLD = 3.0, 24.0, 18.66
#: Texts of fewer pixels are hidden ones, such as the preview.
_HIDDEN_BELOW = 4.0
_MOST_WORDS = 40
_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_UNREAD = frozenset({"head", "script", "style", "title"})
_NAMED = {
    "black": "#000000",
    "white": "#ffffff",
    "gray": "#808080",
    "grey": "#808080",
    "silver": "#c0c0c0",
    "red": "#ff0000",
}
_HEX = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})\Z")
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)\Z")


class UnreadableText(Struct, frozen=True):
    """A text of an email that customers can hardly read.

    Attributes:
        words: its first words.
        color, background: its colors, as `#rrggbb`.
        ratio: the contrast, rounded down to a decimal.
        least: the contrast that it needs.
    """

    words: str
    color: str
    background: str
    ratio: float
    least: float


def unreadable_texts(html: str, known: Collection[tuple[str, str]] = ()) -> list[UnreadableText]:
    """Return the unreadable texts of an email whose styles are in its elements, one for each pair of colors.

    Args:
        html: the email. Texts on a picture, and those with a color that is not opaque, are left out.
        known: pairs of color and background that are checked elsewhere.
    """
    page = _Page(html)
    first: dict[tuple[str, str], UnreadableText] = {}
    for found in page.found:
        pair = (found.color, found.background)
        if pair not in known:
            first.setdefault(pair, found)
    return list(first.values())


class _Look(Struct, frozen=True):
    """How a text looks at a place: `color` and `background` are None if they are unknown."""

    color: str | None = "#000000"
    background: str | None = "#ffffff"
    size: float = 16.0
    is_bold: bool = False
    is_hidden: bool = False


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[UnreadableText] = []
        self._open: list[tuple[str, _Look]] = [("", _Look())]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note how the texts in an element look."""
        if tag not in _VOID:
            self._open.append((tag, _look_in(self._open[-1][1], tag, {name: value or "" for name, value in attrs})))

    def handle_endtag(self, tag: str) -> None:
        """Return to how the texts around an element look."""
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth][0] == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        """Note a text that can hardly be read."""
        look, words = self._open[-1][1], " ".join(data.split())
        if look.is_hidden or look.color is None or look.background is None or not any(map(str.isalnum, words)):
            return
        least = _LEAST_LARGE if look.size >= (_LARGE_BOLD if look.is_bold else _LARGE) else LEAST_CONTRAST
        ratio = contrast(look.color, look.background)
        if ratio < least:
            rounded = math.floor(10 * ratio) / 10
            self.found.append(UnreadableText(words[:_MOST_WORDS], look.color, look.background, rounded, least))


def _look_in(around: _Look, tag: str, attributes: dict[str, str]) -> _Look:
    style = _declarations(attributes.get("style", ""))
    color, background, size, is_bold = around.color, around.background, around.size, around.is_bold
    if "bgcolor" in attributes:
        background = _color(attributes["bgcolor"])
    for name in ("background", "background-color", "background-image"):
        if (value := style.get(name, "")) and value not in ("none", "transparent"):
            background = _color(value)
    if "color" in style:
        color = color if style["color"] == "inherit" else _color(style["color"])
    elif tag == "a":
        color = None  # as the email program shows links
    if (match := re.match(r"([\d.]+)px", style.get("font-size", ""))) is not None:
        size = float(match[1])
    if "font-weight" in style or tag in ("b", "strong", "h1", "h2", "h3", "th"):
        is_bold = style.get("font-weight", "bold") in ("bold", "bolder", "700", "800", "900")
    is_hidden = around.is_hidden or tag in _UNREAD or style.get("display") == "none" or size < _HIDDEN_BELOW
    return _Look(color, background, size, is_bold, is_hidden)


def _declarations(style: str) -> dict[str, str]:
    parts = (part.partition(":") for part in style.lower().split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in parts}


def _color(value: str) -> str | None:
    value = value.strip().lower()
    if _HEX.match(value):
        return value if len(value) == 7 else "#" + "".join(2 * sign for sign in value[1:])
    if (match := _RGB.match(value)) is not None:
        return "#" + "".join(f"{min(int(part), 255):02x}" for part in match.groups())
    return _NAMED.get(value)
