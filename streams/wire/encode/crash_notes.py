"""Encoding of crashes for the topic `crash-notes`."""

from __future__ import annotations

from streams.core.values.local_time import utc_from_ms
from streams.runtime.avro.codec import Codec
from streams.runtime.isolation.crashes import Crashes


def encode_crashes(codec: Codec, crashes: Crashes) -> tuple[bytes, bytes]:
    """Return key and value of the record of a task's crashes."""
    suspect = crashes.suspect
    record = {
        "stage": crashes.stage,
        "partition": crashes.partition,
        "ranges": [{"topic": topic, "first": first, "last": last} for topic, (first, last) in crashes.ranges.items()],
        "crashes": crashes.count,
        "suspect_topic": suspect and suspect.topic,
        "suspect_offset": suspect and suspect.offset,
        "suspect_crashes": crashes.suspect_count,
        "noted_at": utc_from_ms(crashes.at_ms),
    }
    return f"{crashes.stage}/{crashes.partition}".encode(), codec.encode("crash_note", record)
