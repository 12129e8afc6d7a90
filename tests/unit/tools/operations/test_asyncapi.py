"""The AsyncAPI document: its structure, and that it has the topics of the contract with their schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastavro import parse_schema
from jsonschema import Draft202012Validator

from streams.settings import PREFIX
from streams.tools.operations.asyncapi import RECEIVED, SENT
from streams.wire.codec import SCHEMAS
from streams.wire.topics import SCHEMA_OF, TOPICS
from tests.unit.tools.cli.runner import run

#: The rules of AsyncAPI 3.0.0 for the parts that the document has.
STRUCTURE: dict[str, Any] = {
    "type": "object",
    "required": ["asyncapi", "info"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"required": ["title", "version"]},
        "defaultContentType": {"type": "string"},
        "servers": {"additionalProperties": {"required": ["host", "protocol"]}},
        "channels": {
            "additionalProperties": {
                "required": ["address", "messages"],
                "properties": {
                    "address": {"type": "string"},
                    "messages": {"additionalProperties": {"required": ["$ref"]}, "minProperties": 1},
                    "bindings": {
                        "properties": {
                            "kafka": {
                                "properties": {
                                    "topic": {"type": "string"},
                                    "partitions": {"type": "integer", "minimum": 1},
                                    "replicas": {"type": "integer", "minimum": 1},
                                    "topicConfiguration": {
                                        "properties": {
                                            "cleanup.policy": {
                                                "type": "array",
                                                "items": {"enum": ["compact", "delete"]},
                                            },
                                            "retention.ms": {"type": "integer", "minimum": -1},
                                            "max.message.bytes": {"type": "integer", "minimum": 0},
                                        },
                                        "additionalProperties": False,
                                    },
                                    "bindingVersion": {"const": "0.5.0"},
                                },
                                "additionalProperties": False,
                            }
                        },
                        "additionalProperties": False,
                    },
                },
            }
        },
        "operations": {
            "additionalProperties": {
                "required": ["action", "channel"],
                "properties": {"action": {"enum": ["send", "receive"]}, "channel": {"required": ["$ref"]}},
            }
        },
        "components": {
            "properties": {
                "messages": {
                    "additionalProperties": {
                        "properties": {
                            "payload": {"required": ["schemaFormat", "schema"]},
                            "headers": {"properties": {"type": {"const": "object"}}, "required": ["type"]},
                        },
                        "required": ["payload"],
                    }
                }
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The document of an installation with 12 partitions."""
    monkeypatch.setenv(f"{PREFIX}PARTITIONS", "12")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:9092,b:9092")
    code, output = run("schemas", "asyncapi")
    assert code == 0
    return json.loads(output)


def test_structure(document: Any) -> None:
    """The document has the parts that AsyncAPI 3.0 requires, and its references name channels and messages."""
    Draft202012Validator(STRUCTURE).validate(document)
    channels, messages = document["channels"], document["components"]["messages"]
    referenced = {ref["$ref"] for channel in channels.values() for ref in channel["messages"].values()}
    assert referenced == {f"#/components/messages/{name}" for name in messages}
    assert {operation["channel"]["$ref"] for operation in document["operations"].values()} == {
        f"#/channels/{name}" for name in channels
    }


def test_topics_of_the_contract(document: Any) -> None:
    """The document has each topic of the contract once, under its name, with its Avro schema and partitions."""
    specs = {spec.name: spec for spec in TOPICS}
    assert list(document["channels"]) == [*RECEIVED, *SENT]
    assert len({*RECEIVED, *SENT}) == len(RECEIVED) + len(SENT)
    for name, channel in document["channels"].items():
        assert channel["bindings"]["kafka"]["partitions"] == (specs[name].partitions or 12)
        (message,) = channel["messages"]
        schema = document["components"]["messages"][message]["payload"]["schema"]
        assert schema == json.loads((SCHEMAS / f"{SCHEMA_OF[name]}.avsc").read_text())
        parse_schema(schema)


def test_directions(document: Any) -> None:
    """Takk receives what the shop writes, and sends what other systems read."""
    actions = {
        operation["channel"]["$ref"].rpartition("/")[2]: operation["action"]
        for operation in document["operations"].values()
    }
    assert actions == {**dict.fromkeys(RECEIVED, "receive"), **dict.fromkeys(SENT, "send")}
    assert [server["host"] for server in document["servers"].values()] == ["a:9092", "b:9092"]


def test_an_invalid_retention_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retention of an unknown topic is refused."""
    monkeypatch.setenv(f"{PREFIX}TOPIC_RETENTION", "order=3")
    code, output = run("schemas", "asyncapi")
    assert (code, "order is not one of the topics" in output) == (1, True)
