"""Decoding of the topic `crash-notes`."""

from __future__ import annotations

from streams.runtime.avro.codec import Codec
from streams.runtime.isolation.crashes import Crashes
from streams.runtime.isolation.note import Place


def decode_crashes(codec: Codec, value: bytes) -> Crashes:
    """Return the crashes of a task.

    Raises:
        DecodeFailed: the bytes are not a record of the topic.
    """
    record = codec.decode("crash_note", value)
    topic, offset = record["suspect_topic"], record["suspect_offset"]
    return Crashes(
        stage=record["stage"],
        partition=record["partition"],
        ranges={part["topic"]: (part["first"], part["last"]) for part in record["ranges"]},
        count=record["crashes"],
        suspect=None if topic is None or offset is None else Place(topic, offset),
        suspect_count=record["suspect_crashes"],
        at_ms=round(record["noted_at"].timestamp() * 1000),
    )
