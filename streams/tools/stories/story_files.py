"""The stories that come with Takk, and those of a templates folder, with the problems of their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core.values.text import NAME
from streams.definitions.problems import Problem, not_utf8, unreadable
from streams.tools.operations.event_records import EventError, read_event
from streams.tools.stories.product_reader import parse_products
from streams.tools.stories.reader import parse_story
from streams.tools.stories.shop_records import CUSTOMER_ID
from streams.tools.stories.story import Story, StoryProduct

#: The folder of a shop's own stories in its templates folder, and its file of products.
STORIES, PRODUCTS = "stories", "products.yaml"
_HERE = Path(__file__).parent
SHIPPED = _HERE / "shipped"
#: The time at which the records of stories are checked.
_AT = datetime(2026, 3, 2, tzinfo=UTC)
T = TypeVar("T")


class Stories(Struct, frozen=True):
    """The stories by name, those of the shop first, and the problems of the shop's files. A story with problems is missing."""

    stories: Mapping[str, Story]
    problems: tuple[Problem, ...]


def read_stories(templates_dir: Path, schemas_dir: Path) -> Stories:
    """Return the stories that a templates folder has, and those of Takk. A story of the shop replaces the one of Takk with its name.

    Args:
        templates_dir: the templates folder of the shop.
        schemas_dir: the folder of the Avro schemas.
    """
    return _Files(schemas_dir).read(templates_dir / STORIES)


class _Files:
    """Reads the files, and collects problems."""

    def __init__(self, schemas_dir: Path) -> None:
        self._schemas_dir = schemas_dir
        self.problems: list[Problem] = []

    def read(self, folder: Path) -> Stories:
        """Return all stories; `folder` has those of the shop, and need not exist."""
        products = {product.sku: product for product in self._products(_HERE / PRODUCTS)}
        shipped = self._stories(SHIPPED, products)
        own_products = products | {product.sku: product for product in self._products(folder / PRODUCTS)}
        own = {name: replace(story, is_own=True) for name, story in self._stories(folder, own_products).items()}
        return Stories(own | {name: story for name, story in shipped.items() if name not in own}, tuple(self.problems))

    def _stories(self, folder: Path, products: Mapping[str, StoryProduct]) -> dict[str, Story]:
        found = {}
        for path in sorted(folder.glob("*.yaml")):
            if path.name == PRODUCTS or path.name.startswith("."):
                continue
            if not NAME.match(path.stem):
                hint = "use lowercase letters, digits and dashes, starting with a letter"
                self.problems.append(Problem("yaml.E017", f"invalid story name {path.stem!r}", hint).in_file(path))
                continue
            text = self._text(path)
            story = self._parsed(path, parse_story(text, path, products, self._check)) if text is not None else None
            if story is not None:
                found[story.name] = story
        return found

    def _products(self, path: Path) -> tuple[StoryProduct, ...]:
        text = self._text(path)
        return (self._parsed(path, parse_products(text)) if text is not None else None) or ()

    def _parsed(self, path: Path, parsed: T | list[Problem]) -> T | None:
        if not isinstance(parsed, list):
            return parsed
        self.problems += [problem.in_file(path) for problem in parsed]
        return None

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            self.problems.append(not_utf8(path, error))
        except OSError as error:
            self.problems.append(unreadable(path, error))
        return None

    def _check(self, record: Mapping[str, Any]) -> str:
        """Return why a record is invalid, or ""."""
        whole = {"customer_id": CUSTOMER_ID, "occurred_at": _AT.isoformat()} | dict(record)
        try:
            read_event(json.dumps(whole).encode(), CUSTOMER_ID, self._schemas_dir, _AT)
        except EventError as error:
            return str(error).replace("\n", "; ")
        return ""
