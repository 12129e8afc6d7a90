"""Checks of `occasions.yaml`: the days of the shop's own greetings and closings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from streams.core.sending.greeting import MOODS
from streams.definitions.language.consent import COUNTRIES
from streams.definitions.language.yaml_reader import Reader, empty, location, read_yaml
from streams.definitions.problems import Problem, not_utf8, unreadable
from streams.mail.rendering.copy import InvalidCopy, copy_texts
from streams.mail.rendering.languages import copy_files
from streams.mail.rendering.occasions import OCCASIONS_FILE, Day, parse_day
from streams.mail.rendering.salutations import words_of

_KEYS = ("from", "to", "on", "countries")


def check_occasions(root: Path) -> Iterator[Problem]:
    """Yield the problems of `occasions.yaml`, and a warning for each occasion that no copy has words for."""
    path = root / OCCASIONS_FILE
    try:
        parsed = read_yaml(path.read_text(encoding="utf-8"), _OccasionsReader(), _OccasionsReader.occasions)
    except FileNotFoundError:
        return
    except UnicodeDecodeError as error:
        parsed = [not_utf8(path, error)]
    except OSError as error:
        parsed = [unreadable(path, error)]
    if isinstance(parsed, list):
        yield from [problem.in_file(path) for problem in parsed]
        return
    written = _written_texts(root)
    for key in parsed:
        greeting, closing = words_of(key.value)
        if not written.intersection((greeting, closing)):
            message = f"no copy has words for the occasion {key.value!r}"
            hint = f"add {closing} or {greeting} to the copies of its languages"
            yield Problem("occasions.W001", message, hint, location(key.start_mark)).in_file(path)


def _written_texts(root: Path) -> set[str]:
    """Return the keys of all copies. Those that cannot be read have problems of their own."""
    found: set[str] = set()
    for path in copy_files(root):
        try:
            found.update(copy_texts(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, InvalidCopy):
            continue
    return found


class _OccasionsReader(Reader):
    def occasions(self, root: yaml.Node | None) -> tuple[yaml.ScalarNode, ...]:
        """Return the names of the occasions, as nodes."""
        values = self.mapping(root or empty(OCCASIONS_FILE), ("occasions",), ("occasions",))
        node = values.get("occasions")
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return ()  # a file with comments only
        names = []
        for key, name, value in self.pairs(node, "new-year: {from: 12-27, to: 12-31}"):
            if name in MOODS:
                self.error("occasions.E001", key, f"{name!r} is built in", "choose another name")
            elif self.name(key, "occasion") and isinstance(key, yaml.ScalarNode):
                names.append(key)
            self.occasion(value)
        return tuple(names)

    def occasion(self, node: yaml.Node) -> None:
        """Check the days of one occasion."""
        values = self.mapping(node, _KEYS, ("from",))
        first = self.day(values["from"]) if "from" in values else None
        last = self.day(values["to"]) if "to" in values else first
        if first is not None and last is not None:
            if first.form != last.form:
                hint = "write both as 12-24, both as 2027-12-24, or both beside easter"
                self.error("occasions.E003", values["to"], "`from` and `to` differ in form", hint)
            elif first.form != "yearly" and (first.year, first.month, first.day, first.easter or 0) > (
                last.year, last.month, last.day, last.easter or 0,
            ):  # fmt: skip
                self.error("occasions.E004", values["to"], "`to` is before `from`", "write the earlier day into `from`")
        if "on" in values and not self.days(values["on"]) and isinstance(values["on"], yaml.SequenceNode):
            self.error("occasions.E005", values["on"], "`on` is empty", "list weekdays, or remove `on`")
        for item in self.items(values["countries"], "countries") if "countries" in values else []:
            country = self.text(item)
            if country not in COUNTRIES:
                self.error("occasions.E006", item, f"unknown country {country!r}", "use two letters of ISO 3166-1")

    def day(self, node: yaml.Node) -> Day | None:
        """Return a day."""
        text = self.text(node)
        day = parse_day(text)
        if day is None:
            hint = "write month and day as 12-24, one day as 2027-12-24, or days beside Easter as easter-3"
            self.error("occasions.E002", node, f"invalid day {text!r}", hint)
        return day
