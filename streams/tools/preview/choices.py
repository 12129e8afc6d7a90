"""The choices of a reader of the local page: language, example, width, colors and part of an email. The address of the page has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from babel import Locale, UnknownLocaleError
from msgspec import Struct
from msgspec.structs import replace

from streams.tools.preview.examples import FULL, LEAST, OWN
from streams.tools.preview.page_parts import query_of

#: Widths of frames in pixels: a phone, and a program on a desk.
WIDTHS = ("390", "600")
SCHEMES = ("light", "dark")
#: Shows one frame for each value.
ALL = "all"
VIEWS = {"html": "HTML", "text": "Text", "source": "Source"}
_LABELS = {
    "390": "390 px", "600": "600 px", "light": "Light", "dark": "Dark", ALL: "All", "on": "Shown", "off": "Off",
    OWN: "Example", FULL: "Everything", LEAST: "Least", **VIEWS,
}  # fmt: skip


class Choice(Struct, frozen=True, kw_only=True):
    """The values that are chosen. A message without the chosen language or example shows its first."""

    language: str = ""
    example: str = ""
    width: str = "390"
    scheme: str = "light"
    view: str = "html"
    pictures: str = "on"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Choice:
        """Return the choice in a query. Invalid values count as missing."""
        allowed = {"width": (*WIDTHS, ALL), "scheme": (*SCHEMES, ALL), "view": tuple(VIEWS), "pictures": ("on", "off")}
        values = {name: query[name] for name, known in allowed.items() if query.get(name) in known}
        return cls(language=query.get("language", ""), example=query.get("example", ""), **values)

    def with_values(self, **changes: str) -> Choice:
        """Return the choice with other values."""
        return replace(self, **changes)

    @property
    def query(self) -> str:
        """The choice as the query of an address, with its question mark; empty for the choice at the start."""
        return query_of(self)

    def languages(self, known: Sequence[str]) -> list[str]:
        """Return the languages to show."""
        return list(known) if self.language == ALL else [chosen(self.language, known)]

    @property
    def widths(self) -> list[str]:
        """The widths to show."""
        return list(WIDTHS) if self.width == ALL else [self.width]

    @property
    def schemes(self) -> list[str]:
        """The color schemes to show."""
        return list(SCHEMES) if self.scheme == ALL else [self.scheme]


def chosen(value: str, known: Sequence[str]) -> str:
    """Return a value if it is known, else the first that is."""
    return value if value in known or not known else known[0]


def language_name(language: str) -> str:
    """Return the English name of a language."""
    try:
        return Locale.parse(language.replace("-", "_")).get_display_name("en") or language
    except (UnknownLocaleError, ValueError):
        return language


def options(path: str, choice: Choice, name: str, values: Sequence[str], current: str) -> list[dict[str, Any]]:
    """Return the links that choose each of `values`.

    Args:
        path: the address of the page, without its query.
        choice: what is chosen now.
        name: the name of what the links choose.
        values: the values.
        current: the value that is shown now.
    """
    return [
        {
            "label": label_of(name, value),
            "link": f"{path}{choice.with_values(**{name: value}).query}",
            "is_chosen": value == current,
        }
        for value in values
    ]


def label_of(name: str, value: str) -> str:
    """Return the words for a value."""
    if name == "language" and value != ALL:
        return language_name(value)
    return _LABELS.get(value, value)
