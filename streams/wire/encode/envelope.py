"""The envelope of a record: topic, key and CloudEvents headers.

Source: CloudEvents 1.0.2, Kafka protocol binding, binary content mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import Headers, ProducerRecord
from streams.wire.validation import EPOCH, MAX_RECORD, ValidationFailed

_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")


class Envelope:
    """Puts encoded values into records with headers.

    Args:
        codec: the codec of the schemas.
        source: the writer, for the header `ce_source`.
    """

    def __init__(self, codec: Codec, source: str) -> None:
        self._codec = codec
        self._source = ("ce_source", source.encode())
        self._types = {schema: ("ce_type", name.encode()) for schema, name in codec.full_names.items()}
        self._time: tuple[datetime, tuple[str, bytes]] = (EPOCH, ("ce_time", b""))
        #: The second of the last time, and its text. Python writes a time in more microseconds than all other headers take.
        self._second: tuple[datetime, str] = (EPOCH, "1970-01-01T00:00:00")

    def record(
        self, topic: str, schema: str, key: str, event_id: str, record: Mapping[str, Any], at: datetime
    ) -> ProducerRecord:
        """Encode `record` and return it in its envelope. Arguments and errors as `framed`.

        Raises:
            ValueError: a field does not fit the schema.
        """
        return self.framed(topic, schema, key, event_id, self._codec.encode(schema, record), at)

    def framed(self, topic: str, schema: str, key: str, event_id: str, value: bytes, at: datetime) -> ProducerRecord:
        """Return an encoded value in its envelope.

        Args:
            topic: the record's topic.
            schema: the name of the value's schema.
            key: the record's key.
            event_id: the header `ce_id`, the same if the record is computed again.
            value: the encoded value, framing included.
            at: the header `ce_time`, UTC.

        Raises:
            ValidationFailed: `too_large`.
        """
        if len(value) > MAX_RECORD:
            raise ValidationFailed("too_large", f"a record of {len(value):,} bytes for {topic}")
        # Faster than the constructor of the named tuple, which is a Python function: four records leave per order.
        return tuple.__new__(ProducerRecord, (topic, key.encode(), value, self.headers(schema, event_id, at)))

    def headers(self, schema: str, event_id: str, at: datetime) -> Headers:
        """Return the CloudEvents headers of a record. Arguments as `framed`."""
        last, header = self._time
        if last != at:  # all records of a batch have the same time
            header = ("ce_time", self._text(at).encode())
            self._time = (at, header)
        return [_SPECVERSION, self._types[schema], self._source, header, ("ce_id", event_id.encode()), _CONTENT_TYPE]

    def _text(self, at: datetime) -> str:
        second, text = self._second
        whole = at.replace(microsecond=0)
        if whole != second:
            text = whole.replace(tzinfo=None).isoformat(timespec="seconds")
            self._second = (whole, text)
        return f"{text}.{at.microsecond // 1000:03}Z"
