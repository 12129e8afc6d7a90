"""An example consumer: the revenue of each flow, from `attributed-engagement`, in SQLite.

It uses nothing of Takk but the schemas, and shows what a service downstream does: read committed records only, decode Avro by the fingerprint of
the writer's schema, and store a record and the fact that it was seen in one transaction. So a record that comes twice counts once, whether
Kafka delivers it again after a restart or Takk wrote it again.

    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 python deploy/neighbours/revenue.py revenue.sqlite

With a schema registry, replace `Schemas` by `confluent_kafka.schema_registry.avro.AvroDeserializer`.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

TOPIC = "attributed-engagement"
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
TABLES = """
CREATE TABLE IF NOT EXISTS sale (
    attribution_id TEXT PRIMARY KEY,
    flow TEXT NOT NULL,
    message TEXT NOT NULL,
    order_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    revenue_minor INTEGER NOT NULL,
    occurred_at TEXT NOT NULL
);
CREATE VIEW IF NOT EXISTS revenue AS
    SELECT flow, currency, count(*) AS orders, sum(revenue_minor) AS revenue_minor FROM sale GROUP BY flow, currency;
"""


class Schemas:
    """The current schema, and all former ones, in which older records are written."""

    def __init__(self, name: str, folder: Path = SCHEMAS) -> None:
        paths = [folder / f"{name}.avsc", *(folder / "history").glob(f"{name}-*.avsc")]
        schemas = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        self._writers = {self._fingerprint(schema): parse_schema(schema) for schema in schemas}
        self._reader = parse_schema(schemas[0])

    @staticmethod
    def _fingerprint(schema: dict[str, Any]) -> bytes:
        return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))

    def decode(self, value: bytes) -> dict[str, Any]:
        """Return a record in Avro's single-object encoding. Raise ValueError if its schema is unknown."""
        writer = self._writers.get(value[2:10]) if value[:2] == b"\xc3\x01" else None
        if writer is None:
            raise ValueError("unknown schema: use the schemas of the version of Takk that wrote the record")
        record: Any = schemaless_reader(BytesIO(value[10:]), writer, self._reader)
        return dict(record)


class Revenue:
    """The revenue per flow in a SQLite file."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Store the orders among `records`. One that is stored already, by its attribution id, is ignored."""
        with self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO sale VALUES (:attribution_id, :flow, :message, :order_id, :currency, :revenue_minor, :at)",
                [
                    {**record, "at": _text(record["occurred_at"])}
                    for record in records
                    if record["kind"] == "ordered" and record["revenue_minor"] is not None
                ],
            )

    def totals(self) -> list[tuple[str, str, int, int]]:
        """Return flow, currency, orders and revenue in minor units."""
        return self._database.execute("SELECT * FROM revenue ORDER BY flow, currency").fetchall()


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def consume(consumer: Consumer, schemas: Schemas, revenue: Revenue, seconds: float = 1.0) -> int:
    """Store one batch, then commit its offsets. After a crash between the two, the batch comes again and changes nothing.

    Returns:
        The number of records.
    """
    messages = consumer.consume(500, seconds)
    for message in messages:
        if message.error() is not None:
            raise KafkaException(message.error())
    revenue.add([schemas.decode(message.value()) for message in messages])
    if messages:
        consumer.commit(asynchronous=False)
    return len(messages)


def main(path: str) -> None:
    """Consume until SIGINT or SIGTERM, and print the totals when they change."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            "group.id": "revenue-per-flow",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    schemas, revenue = Schemas("attributed_engagement"), Revenue(path)
    consumer.subscribe([TOPIC])
    try:
        while True:
            if consume(consumer, schemas, revenue):
                for flow, currency, orders, minor in revenue.totals():
                    sys.stdout.write(f"{flow:30} {orders:8} orders {minor:14} {currency} (minor units)\n")
    except KeyboardInterrupt:
        consumer.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "revenue.sqlite")
