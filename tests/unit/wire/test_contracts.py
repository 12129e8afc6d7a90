"""The schemas: documented, evolvable, and described correctly by their page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.runtime.avro.schemas import load_schemas
from streams.wire.codec import SCHEMAS
from streams.wire.topics import TOPICS
from streams.wire.validation import RULES

RAW = load_schemas(SCHEMAS)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every record, enum and field in a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _parts(branch)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield schema
        for inner in ("type", "items", "fields"):
            yield from _parts(schema.get(inner))


def test_every_topic_has_a_schema_and_every_schema_a_topic() -> None:
    """The schemas of the topics are those in `schemas/`."""
    assert {spec.schema for spec in TOPICS} == set(RAW)


def test_every_field_is_documented() -> None:
    """Each record and each field has a description."""
    for name, schema in RAW.items():
        for part in _parts(schema):
            assert part.get("type") == "enum" or part.get("doc"), f"{name}: {part['name']}"


def test_readers_accept_new_symbols() -> None:
    """The default of each enum is `unknown`, and that of the scope of an unsubscription `marketing`, which ends most emails."""
    for schema in RAW.values():
        for part in _parts(schema):
            if part.get("type") == "enum":
                assert part["default"] == ("marketing" if part["name"] == "UnsubscribeScope" else "unknown")


def test_no_amount_is_a_float_and_times_are_milliseconds() -> None:
    """Money is a long named `_minor`; fields with the name of a time are timestamp-millis."""
    for schema in RAW.values():
        for part in _parts(schema):
            kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
            assert not {"float", "double"} & {kind for kind in kinds if isinstance(kind, str)}
            if part["name"].endswith("_minor"):
                assert "long" in kinds
            if (
                part["name"].endswith("_at")
                or part["name"].startswith("window_")
                or part["name"] in {"not_after", "now"}
            ):
                assert {"type": "long", "logicalType": "timestamp-millis"} in kinds


def test_a_timer_starts_with_the_fields_of_the_scheduler() -> None:
    """The first fields are timer_id and due_at, since the scheduler reads this prefix by hand."""
    assert [field["name"] for field in RAW["timer"]["fields"][:2]] == ["timer_id", "due_at"]


def test_the_page_names_every_schema_topic_and_rule() -> None:
    """README.md in `schemas/` names each schema and each topic, and has the text of each rule."""
    page = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    assert {name for name in (*RAW, *(spec.name for spec in TOPICS)) if f"`{name}`" not in page} == set()
    assert [f"| `{rule}` | {text} |" for rule, text in RULES.items() if f"| `{rule}` | {text} |" not in page] == []
