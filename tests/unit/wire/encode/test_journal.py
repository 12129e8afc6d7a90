"""Encoding of dead letters and of the journal."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from streams.runtime.kafka.producer_record import size_of
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from tests.harness.effects import CODEC, NOW, headers, read

ENCODER = Encoder(CODEC)


def test_a_dead_letter_contains_the_whole_record() -> None:
    """It has the key, value and headers unchanged, the position and the reason. A long detail is cut."""
    record = ENCODER.journal.dead_letter(
        "orders",
        3,
        42,
        b"c1",
        b"\xff\x00",
        "not_avro",
        "d" * 2000,
        NOW,
        stage="flows",
        headers=[("h", b"1"), ("n", None)],
    )
    assert (record.topic, record.key) == (topics.DEAD_LETTERS, b"c1")
    assert headers(record)["ce_id"] == b"orders/3/42"
    assert read(record) == {
        "topic": "orders",
        "partition": 3,
        "offset": 42,
        "key": b"c1",
        "value": b"\xff\x00",
        "headers": [{"name": "h", "value": b"1"}, {"name": "n", "value": None}],
        "reason": "not_avro",
        "detail": "d" * 1000,
        "stage": "flows",
        "failed_at": NOW,
        "key_bytes": None,
        "value_bytes": None,
        "value_sha256": None,
        "has_all_headers": True,
    }
    assert read(ENCODER.journal.dead_letter("orders", 0, 0, None, None, "no_value", "", NOW))["key"] is None


def test_a_large_record_is_cut() -> None:
    """Above 1 MiB a dead letter has the first bytes of key and value, their lengths, the SHA-256 of the value, and no large headers."""
    value, key, header = b"v" * (9 << 20), b"k" * (1 << 20), ("h", b"x" * 100_000)
    letter = ENCODER.journal.dead_letter("orders", 3, 42, key, value, "not_avro", "", NOW, headers=[header])
    assert size_of(*letter[1:]) < 100_000
    fields = read(letter)
    assert (fields["key"], fields["key_bytes"]) == (key[:1024], len(key))
    assert (fields["value"], fields["value_bytes"]) == (value[:65536], len(value))
    assert fields["value_sha256"] == hashlib.sha256(value).hexdigest()
    assert (fields["headers"], fields["has_all_headers"]) == ([], False)


@pytest.mark.parametrize("part", ["key", "value", "headers"])
def test_each_part_is_cut_on_its_own(part: str) -> None:
    """The parts that are short stay whole beside one that is too long, and a record of exactly 1 MiB is whole."""
    for size, is_whole in (((1 << 20) - 4, True), (1 << 20, False)):
        parts: dict[str, Any] = {"key": b"k", "value": b"v", "headers": [("h", b"x")]}
        parts[part] = [("h", b"x" * size)] if part == "headers" else b"x" * size
        fields = read(
            ENCODER.journal.dead_letter(
                "orders", 0, 0, parts["key"], parts["value"], "r", "", NOW, headers=parts["headers"]
            )
        )
        kept = {
            "key": fields["key"],
            "value": fields["value"],
            "headers": [(h["name"], h["value"]) for h in fields["headers"]],
        }
        assert {name for name in parts if kept[name] != parts[name]} == (set() if is_whole else {part})


def test_a_detail_need_not_be_text() -> None:
    """A lone surrogate, as JSON can contain it, is replaced."""
    letter = ENCODER.journal.dead_letter("orders", 0, 0, None, None, "unknown_schema", "a\ud800b", NOW)
    assert read(letter)["detail"] == "a?b"


def test_a_dead_letter_without_content_has_the_position() -> None:
    """It has neither key, value nor headers, and says so."""
    letter = ENCODER.journal.dead_letter_without_content("orders", 1, 7, "failed", "x", NOW, stage="flows")
    fields = read(letter)
    assert (letter.key, fields["key"], fields["value"], fields["headers"]) == (b"", None, None, [])
    assert (fields["topic"], fields["partition"], fields["offset"]) == ("orders", 1, 7)
    assert (fields["key_bytes"], fields["value_bytes"], fields["has_all_headers"]) == (-1, -1, False)


def test_a_checkpoint_lists_the_records_of_a_batch() -> None:
    """It has the slices, the clock and the flows of the batch. Without a number of records, the offsets of the slices are counted."""
    slices = [Slice("orders", 10, 19), Slice("flow-due", 5, 5)]
    record = ENCODER.journal.checkpoint("flows", 2, NOW, slices, flows="0123456789ab")
    assert (record.topic, record.key) == (topics.CHECKPOINTS, b"flows/2")
    assert read(record) == {
        "agent": "flows",
        "partition": 2,
        "now": NOW,
        "slices": [{"topic": "orders", "first": 10, "last": 19}, {"topic": "flow-due", "first": 5, "last": 5}],
        "records": 11,
        "flows": "0123456789ab",
    }
    assert read(ENCODER.journal.checkpoint("flows", 2, NOW, [Slice("orders", 10, 19)], records=7))["records"] == 7
