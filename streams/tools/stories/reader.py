"""Reads the files of stories, with every problem at its line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import available_timezones

import yaml

from streams.core.values.text import nearest
from streams.definitions.language.yaml_reader import empty, read_yaml
from streams.definitions.problems import Problem
from streams.tools.stories.event_reader import CheckRecord, EventReader
from streams.tools.stories.story import CONSENTS, COUNTRIES, Story, StoryCustomer, StoryProduct

_STORY = ("title", "about", "customer", "events")
_CUSTOMER = (
    "name",
    "language",
    "country",
    "street",
    "postal_code",
    "city",
    "time_zone",
    "birthday",
    "consent",
    "earlier",
)
#: The code of a language.
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")


def parse_story(
    text: str, path: Path, products: Mapping[str, StoryProduct], check_record: CheckRecord
) -> Story | list[Problem]:
    """Return the story in the text of a file, or its problems.

    Args:
        text: the content of the file.
        path: the file. Its name is that of the story.
        products: the products that can be bought, by sku.
        check_record: checks the records of events `record`.
    """
    reader = _StoryReader(products, check_record)
    return read_yaml(text, reader, partial(_StoryReader.story, path=path))


class _StoryReader(EventReader):
    """Reads a story."""

    def story(self, root: yaml.Node | None, path: Path) -> Story:
        values = self.mapping(root or empty(path.name), _STORY, _STORY)
        events = [self.event(node) for node in self.items(values["events"], "events")] if "events" in values else []
        if "events" in values and not values["events"].value:
            self.error(
                "yaml.E008",
                values["events"],
                "missing value",
                "add an event, for example {day: 0, order: {lines: {SKU: 1}}}",
            )
        self.check_orders()
        return Story(
            name=path.stem,
            title=self.filled(values["title"]) if "title" in values else "",
            about=self.filled(values["about"]) if "about" in values else "",
            customer=self.customer(values["customer"]) if "customer" in values else StoryCustomer(name=""),
            events=tuple(sorted(events, key=lambda event: (event.day, event.at))),
            products=self.products,
            file=path,
        )

    def customer(self, node: yaml.Node) -> StoryCustomer:
        values = self.mapping(node, _CUSTOMER, ("name", "country"))
        texts = {
            name: self.filled(values[name]) for name in ("name", "street", "postal_code", "city") if name in values
        }
        country = self.choice(values["country"], COUNTRIES, "country") if "country" in values else "DK"
        consents = {}
        if "consent" in values:
            answers = self.mapping(values["consent"], CONSENTS)
            consents = {name: self.boolean(answer) for name, answer in answers.items()}
        earlier = self.mapping(values["earlier"], ("orders", "spend"), ("orders",)) if "earlier" in values else {}
        return StoryCustomer(
            **{"name": ""} | texts,
            country=country,
            language=self.language(values["language"]) if "language" in values else "en",
            time_zone=self.zone(values["time_zone"]) if "time_zone" in values else COUNTRIES[country].time_zone,
            birthday=self.birthday(values["birthday"]) if "birthday" in values else None,
            consents=consents,
            orders_before=self.number(earlier["orders"], 0, 10_000) if "orders" in earlier else 0,
            spend_before=self.number(earlier["spend"], 0, 10_000_000) if "spend" in earlier else 0,
        )

    def language(self, node: yaml.Node) -> str:
        value = self.text(node)
        if not LANGUAGE.match(value):
            self.error("story.E006", node, f"invalid language {value!r}", "use a code such as da, nb or en")
        return value

    def zone(self, node: yaml.Node) -> str:
        value = self.text(node)
        if value not in available_timezones():
            self.error(
                "story.E007", node, f"unknown time zone {value!r}", nearest(value, sorted(available_timezones()))
            )
            return "UTC"
        return value

    def birthday(self, node: yaml.Node) -> date | None:
        try:
            return date.fromisoformat(self.text(node))
        except ValueError:
            hint = "use year, month and day, for example 1988-04-02"
            self.error("yaml.E016", node, f"invalid date {self.text(node)!r}", hint)
            return None
