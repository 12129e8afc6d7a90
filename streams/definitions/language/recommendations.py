"""The keys of a `send` that say what it recommends: `from`, `category` and `categories`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import yaml

from streams.core.rules.recommends import USUAL, Recommends, Source
from streams.core.values.text import counted
from streams.definitions.language.yaml_reader import Reader

KEYS = ("from", "category", "categories")
#: Categories that an email recommends at most.
MOST_CATEGORIES = 6
_LONGEST = 80


def read_recommends(reader: Reader, values: Mapping[str, yaml.Node], *, is_transactional: bool) -> Recommends:
    """Return what a send recommends.

    Args:
        reader: notes problems.
        values: the values of the send by key.
        is_transactional: whether the email may recommend nothing.
    """
    if not any(key in values for key in KEYS):
        return USUAL
    if is_transactional and "categories" in values:
        message = "transactional emails cannot recommend categories"
        reader.error("flow.E041", values["categories"], message, "send them from another flow")
    for key in ("from", "category"):
        if key in values and "products" not in values:
            reader.error("flow.E074", values[key], f"`{key}` needs `products`", "add for example `products: 4`")
    sources: dict[Any, None] = {}
    for node in reader.items(values["from"], "sources") if "from" in values else ():
        source = reader.choice(node, get_args(Source), "source")
        if source in sources:
            reader.error("flow.E075", node, f"duplicate source {source!r}", "remove one of them")
        sources[source] = None
    if "from" in values and isinstance(values["from"], yaml.SequenceNode) and not sources:
        reader.error("flow.E075", values["from"], "no source", "name at least one, or remove `from`")
    category = reader.filled(values["category"]) if "category" in values else ""
    if len(category) > _LONGEST:
        reader.error("flow.E075", values["category"], "the category is too long", f"use {_LONGEST} characters at most")
    categories = reader.number(values["categories"], 1, MOST_CATEGORIES) if "categories" in values else 0
    return Recommends(sources=tuple(sources), category=category, categories=categories)


def properties() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each key."""
    return {
        "from": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "enum": list(get_args(Source))},
        },
        "category": {"type": "string", "maxLength": _LONGEST},
        "categories": {"type": "integer", "minimum": 1, "maximum": MOST_CATEGORIES},
    }


def words(recommends: Recommends) -> list[str]:
    """Return what the keys say, as parts of a sentence."""
    parts = [f"from {', '.join(recommends.sources)}"] if recommends.sources else []
    if recommends.category:
        parts.append(f"of category {recommends.category}")
    if recommends.categories:
        parts.append(f"recommends up to {counted(recommends.categories, 'category', 'categories')}")
    return parts
