"""Encoding of dead letters and of the journal."""

from __future__ import annotations

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
    }
    assert read(ENCODER.journal.dead_letter("orders", 0, 0, None, None, "no_value", "", NOW))["key"] is None


def test_a_checkpoint_lists_the_records_of_a_batch() -> None:
    """It has the slices and the clock of the batch. Without a number of records, the offsets of the slices are counted."""
    record = ENCODER.journal.checkpoint("flows", 2, NOW, [Slice("orders", 10, 19), Slice("flow-due", 5, 5)])
    assert (record.topic, record.key) == (topics.CHECKPOINTS, b"flows/2")
    assert read(record) == {
        "agent": "flows",
        "partition": 2,
        "now": NOW,
        "slices": [{"topic": "orders", "first": 10, "last": 19}, {"topic": "flow-due", "first": 5, "last": 5}],
        "records": 11,
    }
    assert read(ENCODER.journal.checkpoint("flows", 2, NOW, [Slice("orders", 10, 19)], records=7))["records"] == 7
