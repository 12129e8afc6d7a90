"""The choices of a reader of a story: language, first day, length, drafts, width and colors. The address of the page has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from streams.tools.preview.choices import SCHEMES, WIDTHS
from streams.tools.preview.page_parts import query_of
from streams.tools.preview.story_player import YEARS, StoryOptions
from streams.tools.stories.playing import DAYS, FIRST_DAY
from streams.tools.stories.reader import LANGUAGE

#: The lengths and the first days that the page proposes. The second day is a Friday in December.
LENGTHS = ("30", "60", "120", "366")
FIRST_DAYS = (FIRST_DAY.isoformat(), "2026-12-04")


class StoryChoice(Struct, frozen=True, kw_only=True):
    """The values that are chosen; `language` is "" for that of the story."""

    language: str = ""
    start: str = FIRST_DAY.isoformat()
    days: str = str(DAYS)
    drafts: str = "off"
    width: str = "390"
    scheme: str = "light"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> StoryChoice:
        """Return the choice in a query. Invalid values count as missing."""
        allowed = {"days": LENGTHS, "drafts": ("off", "on"), "width": WIDTHS, "scheme": SCHEMES}
        values = {name: query[name] for name, known in allowed.items() if query.get(name) in known}
        if LANGUAGE.match(query.get("language", "")):
            values["language"] = query["language"]
        if _is_date(query.get("start", "")):
            values["start"] = query["start"]
        return cls(**values)

    def with_values(self, **changes: str) -> StoryChoice:
        """Return the choice with other values."""
        return replace(self, **changes)

    @property
    def query(self) -> str:
        """The choice as the query of an address, with its question mark; empty for the choice at the start."""
        return query_of(self)

    def options(self, name: str) -> StoryOptions:
        """Return how a story is played with this choice."""
        first_day = date.fromisoformat(self.start)
        return StoryOptions(
            name=name, language=self.language, first_day=first_day, days=int(self.days), has_drafts=self.drafts == "on"
        )


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and date.fromisoformat(text).year in YEARS
    except ValueError:
        return False
