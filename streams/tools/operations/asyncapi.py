"""The topics that other systems write or read, as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from streams.runtime.kafka.topic_admin import TopicSpec
from streams.settings import Settings
from streams.wire import topics

#: The topics that a shop and its systems write.
RECEIVED = (
    topics.ORDERS, topics.SHIPMENTS, topics.CUSTOMERS, topics.PRODUCTS, topics.BROWSING, topics.ENGAGEMENT, topics.PRESSURE, topics.CODES,
)  # fmt: skip
#: The topics that other systems read.
SENT = (
    topics.ATTRIBUTED, topics.EVENTS, topics.REVIEWS, topics.REORDERS, topics.CONTEST_ENTRIES, topics.REWARDS, topics.GRANTS, topics.SIGNALS,
    topics.DECISIONS,
)  # fmt: skip
_AVRO = "application/vnd.apache.avro;version=1.9.0"
_BINDING = "0.5.0"
_ABOUT = """The topics of Takk that other systems write or read. Times are timestamp-millis in UTC, and amounts are minor units of a currency.

Records are Avro, in Avro's single-object encoding, or with a schema registry in Confluent's framing under the subject `<topic>-value`. Keys are
UTF-8, and partitions follow murmur2, the default of Java clients. Takk writes in transactions: read with `isolation.level=read_committed`.
A record may come twice, so compare ids: deploy/neighbours/README.md says which."""
_HEADERS = {
    "ce_specversion": "1.0",
    "ce_type": "The type of the record, such as takk.EmailEvent.",
    "ce_source": "The writer.",
    "ce_time": "When the record was made, ISO 8601.",
    "ce_id": "The id of the record: the same if it is written twice.",
    "content-type": "application/avro",
}


def asyncapi(schemas: Mapping[str, Mapping[str, Any]], settings: Settings) -> dict[str, Any]:
    """Return the AsyncAPI document of an installation.

    Args:
        schemas: the Avro schemas by name.
        settings: of the installation: the brokers, and the partitions of its topics.

    Raises:
        TopicMismatch: the setting of the retention is invalid.
    """
    specs = {spec.name: spec for spec in topics.specs(settings.topic_retention)}
    messages = {}
    for name in (*RECEIVED, *SENT):
        schema = schemas[specs[name].schema]
        messages[schema["name"]] = _message(schema, specs[name].key, is_sent=name in SENT)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Takk", "version": version("takk"), "description": _ABOUT},
        "defaultContentType": "application/avro",
        "servers": {
            f"broker-{number}": {
                "host": host.strip(),
                "protocol": "kafka-secure" if settings.kafka_security_protocol.endswith("SSL") else "kafka",
            }
            for number, host in enumerate(settings.kafka_bootstrap_servers.split(","), 1)
        },
        "channels": {name: _channel(specs[name], schemas[specs[name].schema], settings) for name in (*RECEIVED, *SENT)},
        "operations": {
            **{_operation_id("receive", name): _operation("receive", name) for name in RECEIVED},
            **{_operation_id("send", name): _operation("send", name) for name in SENT},
        },
        "components": {"messages": messages},
    }


def _channel(spec: TopicSpec, schema: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "cleanup.policy": [spec.cleanup],
        "retention.ms": -1 if spec.retention_ms is None else spec.retention_ms,
    }
    if "max.message.bytes" in spec.config:
        config["max.message.bytes"] = int(spec.config["max.message.bytes"])
    return {
        "address": spec.name,
        "description": schema["doc"],
        "messages": {schema["name"]: {"$ref": f"#/components/messages/{schema['name']}"}},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions or settings.partitions,
                "replicas": settings.replication,
                "topicConfiguration": config,
                "bindingVersion": _BINDING,
            }
        },
    }


def _message(schema: Mapping[str, Any], key: str, *, is_sent: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": schema["name"],
        "summary": schema["doc"].partition(". ")[2].partition(". ")[0].rstrip(".") + ".",
        "contentType": "application/avro",
        "payload": {"schemaFormat": _AVRO, "schema": schema},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": f"{key}, in UTF-8"}, "bindingVersion": _BINDING}
        },
    }
    if is_sent:  # what other systems write needs no headers
        properties = {name: {"type": "string", "description": text} for name, text in _HEADERS.items()}
        message["headers"] = {"type": "object", "properties": properties}
    return message


def _operation_id(action: str, name: str) -> str:
    return action + "".join([part.capitalize() for part in name.split("-")])


def _operation(action: str, name: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
