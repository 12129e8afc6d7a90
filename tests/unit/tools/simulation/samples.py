"""Results and files that several tests of simulations use."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from streams.tools.simulation.history import (
    write_file,
)
from streams.tools.simulation.outcome import SimulationResult
from streams.wire import topics
from tests.harness.driver import START


def result_of(name: str = "as it is", **changes: Any) -> SimulationResult:
    """A result: three emails to two customers in three days."""
    values: dict[str, Any] = {
        "name": name, "mails": 3, "by_flow": {"f/a": 2, "g/b": 1}, "by_day": {"2026-03-02": 2, "2026-03-03": 0, "2026-03-04": 1},
        "customers": 2, "percentiles": {"p50": 1, "p90": 2, "p99": 2, "most": 2}, "not_sent": {"g skip unsubscribed": 1},
        "deferred": {"g cap": 4},
        "events": 9, "seconds": 0.5,
    }  # fmt: skip
    return SimulationResult(**(values | changes))


def products_file(directory: Path, *records: dict[str, Any]) -> Path:
    """A file of products."""
    path = directory / "products.avro"
    defaults = {"category": "c", "unit_price_minor": 100, "currency": "DKK", "updated_at": START, "title": "T"}
    write_file(path, topics.PRODUCTS, [defaults | record for record in records])
    return path


class Page(HTMLParser):
    """Records the tags of a page, and checks that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
