"""Records and state that an earlier version wrote in a rolling upgrade: the current version must read all of them.

`tests/crash/upgrade.py` recorded the file. `make crash ARGS=upgrade` repeats the upgrade.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.offers.popularity import decode_counts, encode_counts
from streams.mail.delivery.ledger import decode_entry, encode_entry
from streams.runtime.processing.timers import pack, unpack
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.events import EVENT_DECODERS
from tests.harness.codec import CODEC

FILE = Path(__file__).parent / "upgrade" / "8c5c04a.jsonl"
RECORDS = [json.loads(line) for line in FILE.read_text(encoding="ascii").splitlines()]
#: Changelog to the function that decodes and encodes one of its values.
STATE: dict[str, Callable[[bytes], bytes]] = {
    "takk-flows-customers-changelog": lambda value: encode_customer(decode_customer(value)),
    "takk-flows-popularity-changelog": lambda value: encode_counts(decode_counts(value)),
    "takk-flows-timers-changelog": lambda value: pack(*unpack(value)),
    "takk-mailer-sends-changelog": lambda value: encode_entry(decode_entry(value)),
}
#: The topics whose schema has new fields since the records were made.
GROWN = {
    topics.CHECKPOINTS,
    topics.COMMANDS,
    topics.CUSTOMERS,
    topics.DECISIONS,
    topics.ENGAGEMENT,
    topics.ORDERS,
    topics.PRODUCTS,
    topics.SHIPMENTS,
}
#: The changelogs whose values have new fields since then.
GROWN_STATE = {"takk-flows-customers-changelog"}


def value_of(record: dict[str, Any]) -> bytes:
    """Return the value of a recorded record."""
    return b64decode(record["value"])


def test_the_recording_has_every_topic_of_the_run() -> None:
    """The file has 12 records of each of the 16 topics."""
    counts = Counter(record["topic"] for record in RECORDS)
    assert counts == dict.fromkeys((*STATE, *counts.keys() & topics.SCHEMA_OF.keys()), 12)
    assert len(counts) == 16


@pytest.mark.parametrize("topic", sorted({record["topic"] for record in RECORDS} - STATE.keys()))
def test_recorded_records_decode_and_encode_to_the_same_bytes(topic: str) -> None:
    """Each record of a topic decodes with its schema, and encodes to the bytes that the earlier version wrote, unless its schema grew."""
    schema = topics.SCHEMA_OF[topic]
    for record in [record for record in RECORDS if record["topic"] == topic]:
        decoded = CODEC.decode(schema, value_of(record))
        encoded = CODEC.encode(schema, decoded)
        assert CODEC.decode(schema, encoded) == decoded
        assert (encoded == value_of(record)) == (topic not in GROWN)


@pytest.mark.parametrize("topic", sorted(STATE))
def test_recorded_state_decodes_and_encodes_to_the_same_bytes(topic: str) -> None:
    """Each value of a changelog decodes, and encodes to the bytes that the earlier version wrote, unless it has new fields."""
    for record in [record for record in RECORDS if record["topic"] == topic]:
        written = STATE[topic](value_of(record))
        assert (written == value_of(record)) == (topic not in GROWN_STATE)
        assert STATE[topic](written) == written


@pytest.mark.parametrize("topic", sorted({record["topic"] for record in RECORDS} & EVENT_DECODERS.keys()))
def test_recorded_inputs_are_valid_events(topic: str) -> None:
    """Each input record is decoded into an event of its customer."""
    decoder = Decoder(CODEC)
    for record in [record for record in RECORDS if record["topic"] == topic]:
        key = b64decode(record["key"])
        assert decoder.event(topic, key, value_of(record), record["at_ms"]).customer_id == key.decode()


def test_recorded_commands_are_valid() -> None:
    """The current mailer decodes each command, and its customer is the key."""
    decoder = Decoder(CODEC)
    for record in [record for record in RECORDS if record["topic"] == topics.COMMANDS]:
        command = decoder.command(value_of(record))
        assert command.customer_id == b64decode(record["key"]).decode()
