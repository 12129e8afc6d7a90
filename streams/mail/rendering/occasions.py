"""The occasions of a shop: days on which its emails greet and close in other words, as `occasions.yaml` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import yaml
from msgspec import Struct

from streams.core.values.local_time import WEEKDAYS
from streams.mail.rendering.yaml_nodes import compose

#: The file at the top of a templates folder that names the shop's occasions.
OCCASIONS_FILE = "occasions.yaml"
#: Days and countries whose occasion is remembered: a few time zones on a few days.
_MOST_REMEMBERED = 1_000
_DAY = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)\Z", re.ASCII)
_EASTER = re.compile(r"easter(?:([+-])(\d{1,2}))?\Z", re.ASCII)
#: The last days of the months, in a leap year.
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Day(Struct, frozen=True):
    """A day of each year, of one year, or beside Easter Sunday.

    Attributes:
        year: the only year, or 0.
        month, day: the day of the year; 0 beside Easter.
        easter: days after Easter Sunday, negative before it; None for other days.
    """

    year: int = 0
    month: int = 0
    day: int = 0
    easter: int | None = None

    @property
    def form(self) -> str:
        """Return how the day is written: the first and the last day of an occasion are written in one form."""
        return "easter" if self.easter is not None else "once" if self.year else "yearly"

    def of(self, year: int) -> date:
        """Return the day of a year. 29 February is 28 February in other years."""
        if self.easter is not None:
            return easter_sunday(year) + timedelta(days=self.easter)
        year = self.year or year
        try:
            return date(year, self.month, self.day)
        except ValueError:
            return date(year, self.month, self.day - 1)


class Occasion(Struct, frozen=True):
    """Days with a greeting or a closing of their own.

    Attributes:
        name: the part of the keys in the copy after the dot: `closing.<name>`.
        first, last: the days, both included. Those of each year may pass over New Year.
        weekdays: the only weekdays, Monday is 0; empty for all.
        countries: the only countries of customers; empty for all.
    """

    name: str
    first: Day
    last: Day
    weekdays: frozenset[int] = frozenset()
    countries: frozenset[str] = frozenset()

    def includes(self, day: date, country: str) -> bool:
        """Return whether a customer in a country has the occasion on a day of theirs."""
        if (self.countries and country not in self.countries) or (self.weekdays and day.weekday() not in self.weekdays):
            return False
        for year in (day.year - 1, day.year):
            first, last = self.first.of(year), self.last.of(year)
            if first <= day <= (last if first <= last else self.last.of(year + 1)):
                return True
        return False


class Occasions:
    """The occasions of a shop, the one that counts most first."""

    def __init__(self, occasions: tuple[Occasion, ...] = ()) -> None:
        self._occasions = occasions
        self._known: dict[tuple[str, str], str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(each.name for each in self._occasions)

    def name_at(self, day: object, country: str) -> str:
        """Return the name of the occasion on a day, "" on any other day.

        Args:
            day: the day as in ISO 8601, of a record: it may be anything.
            country: the customer's country (ISO 3166-1).
        """
        if not self._occasions or not isinstance(day, str):
            return ""
        name = self._known.get((day, country))
        if name is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            name = self._known[(day, country)] = self._find(day, country)
        return name

    def _find(self, day: str, country: str) -> str:
        try:
            found = date.fromisoformat(day)
        except ValueError:
            return ""
        if not date.min.year < found.year < date.max.year:
            return ""
        return next((each.name for each in self._occasions if each.includes(found, country)), "")


def parse_day(text: str) -> Day | None:
    """Return the day that a text names: `12-24`, `2027-03-01`, `easter` or `easter-3`; None if it names none."""
    if match := _EASTER.match(text):
        return Day(easter=int(f"{match[1] or ''}{match[2] or 0}"))
    match = _DAY.match(text)
    if match is None:
        return None
    year, month, day = int(match[1] or 0), int(match[2]), int(match[3])
    if not (1 <= month <= len(_LONGEST) and 1 <= day <= _LONGEST[month - 1]):
        return None
    return Day(year, month, day) if not match[1] or date.min.year < year < date.max.year else None


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher's algorithm)."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def read_occasions(templates_dir: Path) -> Occasions:
    """Return the occasions of a templates folder. Invalid ones count as missing: `takk flows check` reports them."""
    try:
        return parse_occasions((templates_dir / OCCASIONS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return Occasions()


def parse_occasions(text: str) -> Occasions:
    """Return the valid occasions of an `occasions.yaml`.

    Raises:
        yaml.YAMLError: the text is not valid YAML.
        RecursionError: it is nested too deeply.
    """
    found = [_occasion(name, values) for name, values in _fields(_fields(compose(text)).get("occasions")).items()]
    return Occasions(tuple([each for each in found if each is not None]))


def _occasion(name: str, node: yaml.Node) -> Occasion | None:
    values = _fields(node)
    first = parse_day(_text(values.get("from")))
    last = parse_day(_text(values["to"])) if "to" in values else first
    if first is None or last is None or first.form != last.form:
        return None
    weekdays = frozenset(WEEKDAYS.index(each) for each in _texts(values.get("on")) if each in WEEKDAYS)
    return Occasion(name, first, last, weekdays, frozenset(_texts(values.get("countries"))))


def _fields(node: yaml.Node | None) -> Mapping[str, yaml.Node]:
    """Return the values of a mapping by the keys as written: `NO` is Norway, not false."""
    return {_text(key): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _texts(node: yaml.Node | None) -> list[str]:
    return [_text(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else []


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
