"""The configurations of Kafka Connect, and the records that their connectors would read."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.tools.operations.asyncapi import SENT
from streams.wire.codec import SCHEMAS, open_codec
from streams.wire.topics import SCHEMA_OF, subjects
from tests.harness.any_records import RAW, values_of
from tests.harness.examples import examples

FOLDER = SCHEMAS.parent / "deploy" / "connect"
CONFIGS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
JDBC = [name for name in CONFIGS if name.startswith("jdbc")]
#: The options of the connectors that are used, from their reference pages, and those of all connectors.
OPTIONS = {
    "JdbcSinkConnector": {
        "connection.url", "connection.user", "connection.password", "table.name.format", "insert.mode", "pk.mode", "pk.fields", "auto.create",
        "auto.evolve", "db.timezone",
    },
    "S3SinkConnector": {
        "s3.bucket.name", "s3.region", "storage.class", "format.class", "parquet.codec", "flush.size", "rotate.interval.ms", "partitioner.class",
        "partition.duration.ms", "path.format", "locale", "timezone", "timestamp.extractor", "timestamp.field", "schema.compatibility",
    },
}  # fmt: skip
COMMON = {
    "connector.class", "tasks.max", "topics", "key.converter", "value.converter", "value.converter.schema.registry.url", "errors.tolerance",
    "consumer.override.isolation.level", "consumer.override.auto.offset.reset",
}  # fmt: skip


def config_of(name: str) -> dict[str, str]:
    """Return the configuration of a connector."""
    config: dict[str, str] = CONFIGS[name]["config"]
    return config


def topics_of(name: str) -> list[str]:
    """Return the topics of a connector."""
    return config_of(name)["topics"].split(",")


def fields_of(topic: str) -> dict[str, Any]:
    """Return the types of the fields of a topic's records."""
    return {field["name"]: field["type"] for field in RAW[SCHEMA_OF[topic]]["fields"]}


@pytest.mark.parametrize("name", CONFIGS)
def test_options(name: str) -> None:
    """A connector has only options that exist, all values are texts, and no file contains a password."""
    assert set(CONFIGS[name]) == {"name", "config"}
    config = config_of(name)
    known = COMMON | OPTIONS[config["connector.class"].rpartition(".")[2]]
    assert set(config) <= known
    assert all(isinstance(value, str) for value in config.values())
    assert all(value.startswith("${file:") for option, value in config.items() if "password" in option)


@pytest.mark.parametrize("name", CONFIGS)
def test_topics(name: str) -> None:
    """A connector reads topics of the contract, committed records only, with the subjects that Takk registers."""
    config = config_of(name)
    assert set(topics_of(name)) <= set(SENT)
    assert config["consumer.override.isolation.level"] == "read_committed"
    assert config["value.converter"] == "io.confluent.connect.avro.AvroConverter"
    for topic in topics_of(name):
        assert f"{topic}-value" in subjects()[SCHEMA_OF[topic]]


@pytest.mark.parametrize("name", JDBC)
def test_tables_have_flat_rows(name: str) -> None:
    """The records of a JDBC sink have neither lists nor records, and the key of the table is a text that is always there."""
    (topic,) = topics_of(name)
    fields = fields_of(topic)
    for kind in fields.values():
        parts = kind if isinstance(kind, list) else [kind]
        assert len([part for part in parts if part != "null"]) == 1
        assert not [part for part in parts if isinstance(part, dict) and part["type"] in ("array", "map", "record")]
    assert fields[config_of(name)["pk.fields"]] == "string"
    assert (config_of(name)["insert.mode"], config_of(name)["pk.mode"]) == ("upsert", "record_value")


def test_days_of_s3() -> None:
    """Each topic of the S3 sink has the time by which its files are made."""
    for topic in topics_of("s3"):
        kind = fields_of(topic)[config_of("s3")["timestamp.field"]]
        assert kind == {"type": "long", "logicalType": "timestamp-millis"}


def test_the_page_lists_the_files() -> None:
    """The page has each file, and each topic of the contract's table is one of the contract."""
    page = (FOLDER / "README.md").read_text()
    assert set(re.findall(r"^\| `(.+)\.json` \|", page, re.M)) == set(CONFIGS)
    contract = (FOLDER.parent / "neighbours" / "README.md").read_text()
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| .* \| `([a-z_]+)`", contract, re.M)
    listed = {topic: field for names, field in rows for topic in re.findall("`(.+?)`", names)}
    assert set(listed) == set(SENT)
    for topic, field in listed.items():
        assert fields_of(topic)[field] == "string"
    for name in JDBC:
        assert listed[topics_of(name)[0]] == config_of(name)["pk.fields"]


@pytest.mark.parametrize("topic", sorted({topic for name in CONFIGS for topic in topics_of(name)}))
def test_records_are_read(topic: str) -> None:
    """A reader with only the registry decodes any record that Takk can write on the topic."""
    registry: Any = SchemaRegistryClient.new_client({"url": f"mock://{topic}"})
    codec, read, schema = open_codec(registry=registry), AvroDeserializer(registry), SCHEMA_OF[topic]

    @settings(max_examples=examples(20))
    @given(values_of(RAW[schema], {"occurred_at": datetime.fromisoformat("2026-03-02T09:00:00Z")}))
    def check(record: dict[str, Any]) -> None:
        data = codec.encode(schema, record)
        assert data[:1] == b"\x00"
        assert read(data, SerializationContext(topic, MessageField.VALUE)) == codec.decode(schema, data)

    check()


@pytest.mark.parametrize("name", JDBC)
def test_repeated_records_are_one_row(name: str) -> None:
    """An upsert by the key of the configuration keeps one row of a record that comes twice, and the newest values."""
    (topic,) = topics_of(name)
    key, columns = config_of(name)["pk.fields"], list(fields_of(topic))

    @settings(max_examples=examples(10))
    @given(st.lists(values_of(RAW[SCHEMA_OF[topic]], {}), min_size=1, max_size=3))
    def check(records: list[dict[str, Any]]) -> None:
        database = sqlite3.connect(":memory:")
        database.execute(f"CREATE TABLE t ({', '.join(columns)}, PRIMARY KEY ({key}))")
        for record in (*records, *records):
            values = [str(record[column]) for column in columns]
            database.execute(f"INSERT OR REPLACE INTO t VALUES ({', '.join('?' * len(columns))})", values)
        rows = dict(database.execute(f"SELECT {key}, count(*) FROM t GROUP BY {key}").fetchall())
        assert rows == {record[key]: 1 for record in records}

    check()


def test_the_folder_has_only_configurations() -> None:
    """The folder has configurations and their page."""
    assert {path.suffix for path in Path(FOLDER).iterdir()} == {".json", ".md"}
