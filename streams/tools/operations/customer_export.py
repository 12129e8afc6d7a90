"""Everything that is known of one customer, as JSON: the state, timers, the send ledger, and the records of all topics."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient

from streams.core.model.customer_codec import decode_customer
from streams.core.model.versioned_codec import UnknownVersion
from streams.mail.delivery.ledger import decode_entry
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.kafka.client_config import admin_config
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S, partitions_of, read_to_the_end
from streams.runtime.processing.timers import OTHER_VERSION, unpack
from streams.settings import Settings
from streams.tools.operations import dead_letters
from streams.tools.operations.customer_states import changelog_of, read_customer
from streams.wire import topics
from streams.wire.codec import codec_of

#: The topics whose key is the customer id. Heartbeats have their own keys.
OF_CUSTOMER = tuple(spec.name for spec in topics.TOPICS if spec.key == "customer_id")
#: The topics whose records name a customer, under another key.
OF_POOL = (topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.INTERESTS)
Progress = Callable[[int, int], None]


def read_export(settings: Settings, customer_id: str, now: datetime, on_progress: Progress) -> dict[str, Any]:
    """Return what the cluster has of a customer, in values that JSON has.

    Args:
        settings: the connection to the cluster.
        customer_id: the customer.
        now: the present, UTC.
        on_progress: called with the offsets read so far and in total, for one read after the other.

    Raises:
        KafkaException: the cluster is not reachable.
        TimeoutError: the broker does not answer.
        UnknownVersion: a newer version of Takk wrote the state.
    """
    codec, key = codec_of(settings), customer_id.encode()
    group = settings.reader_group_id
    partition = partition_of(key, partitions_of(settings.kafka(), topics.CUSTOMERS, group_id=group))
    existing = AdminClient(admin_config(settings.kafka())).list_topics(timeout=READ_TIMEOUT_S).topics.keys()

    def read(names: Iterable[str], partition: int | None = None) -> Iterator[Any]:
        present = [name for name in names if name in existing]
        return read_to_the_end(
            settings.kafka(), present, group_id=group, partition=partition, on_progress=on_progress
        ) if present else iter(())  # fmt: skip

    records = records_of(codec, customer_id, read(OF_CUSTOMER, partition), read(OF_POOL))
    letters = [
        dead_letters.decode(codec, message.value())
        for message in read([topics.DEAD_LETTERS])
        if dead_letters.is_of(codec, message, customer_id)
    ]
    state = read_customer(settings, customer_id, partition, on_progress) if changelog_of(settings) in existing else None
    timers = timers_of(codec, key, read([f"{settings.app_id}-flows-timers-changelog"], partition))
    send_ids = {record["send_id"] for found in records.values() for record in found if record.get("send_id")}
    send_ids |= {sent.send_id for sent in state.sends} if state is not None else set()
    sends = sends_of(send_ids, read([f"{settings.app_id}-mailer{topics.SENDS_CHANGELOG}"], partition))
    return {
        "customer_id": customer_id,
        "read_at": plain(now),
        "state": plain(state),
        "timers": timers,
        "sends": sends,
        "records": records,
        "dead_letters": [_letter(codec, letter) for letter in letters],
    }


def is_empty(export: Mapping[str, Any]) -> bool:
    """Return whether nothing is known of the customer."""
    return not any(export[name] for name in ("state", "timers", "sends", "records", "dead_letters"))


def records_of(
    codec: Codec, customer_id: str, own: Iterable[Any], others: Iterable[Any] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a customer by topic, in the order in which they were written.

    Args:
        codec: decodes the records.
        customer_id: the customer.
        own: messages of topics whose key is the customer id.
        others: messages of topics whose records name the customer.
    """
    key, found = customer_id.encode(), dict[str, list[dict[str, Any]]]()
    for message in own:
        if message.key() == key:
            found.setdefault(message.topic(), []).append(_record(codec, message))
    for message in others:
        if key in (message.value() or b""):
            record = _record(codec, message)
            if record.get("customer_id") == customer_id:
                found.setdefault(message.topic(), []).append(record)
    return found


def timers_of(codec: Codec, key: bytes, messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the stored timers of a record key, the soonest first. `messages` are those of the changelog of the timers."""
    found: dict[bytes, bytes] = {}
    for message in messages:
        name, payload = message.key(), message.value()
        found.pop(name, None)
        # A timer of a newer version is left out; its own program exports it.
        if payload and payload[0] != OTHER_VERSION and name[:1] != b"\xff" and unpack(payload)[0] == key:
            found[name] = unpack(payload)[1]
    return [_decoded(codec, "timer", found[name]) for name in sorted(found)]


def sends_of(send_ids: Iterable[str], messages: Iterable[Any]) -> dict[str, Any]:
    """Return the entries of the send ledger by send id. `messages` are those of its changelog."""
    wanted, found = {send_id.encode() for send_id in send_ids}, dict[str, Any]()
    for message in messages:
        if message.key() not in wanted:
            continue
        found.pop(message.key().decode(), None)
        if message.value():
            try:
                found[message.key().decode()] = plain(decode_entry(message.value()))
            except UnknownVersion:
                found[message.key().decode()] = plain(message.value())
    return found


def _record(codec: Codec, message: Any) -> dict[str, Any]:
    written = {"_written_ms": message.timestamp()[1]}
    if message.value() is None:
        return {**written, "_deleted": True}
    return written | _decoded(codec, topics.SCHEMA_OF[message.topic()], message.value())


def _decoded(codec: Codec, schema: str, value: bytes) -> dict[str, Any]:
    """Return a record in values that JSON has. One that cannot be decoded is shown as its bytes."""
    try:
        record = dict(codec.decode(schema, value))
    except DecodeFailed as error:
        return {"_undecodable": error.reason, "_bytes": plain(value)}
    if isinstance(command := record.get("command"), bytes):  # a retry contains its email
        record["command"] = _decoded(codec, "email_command", command)
    if schema == "customer_handover":
        record |= _contents(codec, record)
    shown: dict[str, Any] = plain(record)
    return shown


def _contents(codec: Codec, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state or the record that a hand-over contains, as far as it can be decoded."""
    contents: dict[str, Any] = {}
    if record["state"] is not None:
        try:
            contents["state"] = decode_customer(record["state"])
        except (ValueError, msgspec.DecodeError):  # a newer version, or damaged
            contents["state"] = record["state"]
    if record["value"] is not None and record["topic"] in topics.SCHEMA_OF:
        contents["value"] = _decoded(codec, topics.SCHEMA_OF[record["topic"]], record["value"])
    return contents


def _letter(codec: Codec, letter: dead_letters.DeadLetter) -> dict[str, Any]:
    shown: dict[str, Any] = plain(letter)
    record = dead_letters.record_of(codec, letter)
    return shown | {"record": plain(record)} if record else shown


def plain(value: Any) -> Any:
    """Return a value in those that JSON has: structs as objects, times as text in UTC, and bytes as text or in base 64."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode() if value.isascii() and value.decode().isprintable() else base64.b64encode(value).decode()
    return value if isinstance(value, str | int | float | bool | None) else value.isoformat()
