"""The table of retention: complete, and true to the topics."""

from __future__ import annotations

from streams.runtime.avro.schemas import load_schemas
from streams.tools.operations.customer_export import OF_CUSTOMER, OF_POOL
from streams.wire.codec import SCHEMAS
from streams.wire.retention import rows
from streams.wire.topics import ADDRESS_EVENTS, DEAD_LETTERS, SUPPRESSIONS, TOPICS

ROWS = {row.name: row for row in rows()}


def test_every_topic_and_table_has_a_row() -> None:
    """Each topic has one row, then each table of a stage."""
    tables = [
        "flows: customers",
        "scheduler: timers",
        "mailer: sends",
        "pools: codes",
        "catalogue: product-index",
        "suppressions: addresses",
        "popularity: counts",
    ]
    assert [row.name for row in rows()] == [*(spec.name for spec in TOPICS), *tables]
    assert all(row.rest and row.reason for row in rows())


def test_topics_with_customer_ids_say_so() -> None:
    """A topic whose records have a customer id knows something of a person, and the export reads it. Of the others, those of addresses do."""
    schemas = load_schemas(SCHEMAS)
    for spec in TOPICS:
        has_id = any(field["name"] == "customer_id" for field in schemas[spec.schema]["fields"])
        knows = bool(ROWS[spec.name].contains)
        assert knows == (has_id or spec.name in (DEAD_LETTERS, ADDRESS_EVENTS, SUPPRESSIONS)), spec.name
        assert has_id == (spec.name in (*OF_CUSTOMER, *OF_POOL)), spec.name
