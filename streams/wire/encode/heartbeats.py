"""Encoding of heartbeats: their timer, and the record with which they return to the mailer."""

from __future__ import annotations

from datetime import datetime

from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope


class HeartbeatEncoder:
    """Encodes heartbeats. In both records `key` is the key of the partition's heartbeats, and `now` the clock of the batch, UTC."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def timer(self, key: str, due_at: datetime, now: datetime) -> ProducerRecord:
        """Encode the timer of a heartbeat that is due at `due_at` (UTC). It has no flow; no instance waits for it."""
        timer_id = _id_of(key, due_at)
        record = {
            "timer_id": timer_id,
            "due_at": due_at,
            "customer_id": key,
            "kind": "step",
            "instance_id": "heartbeat",
            "flow": "",
            "step": "",
        }
        return self._envelope.record(topics.DELAYS, "timer", key, timer_id, record, now)

    def heartbeat(self, key: str, due_at: datetime, now: datetime) -> ProducerRecord:
        """Encode the heartbeat whose timer was due at `due_at` (UTC)."""
        record = {"due_at": due_at}
        return self._envelope.record(topics.HEARTBEATS, "heartbeat", key, _id_of(key, due_at), record, now)


def _id_of(key: str, due_at: datetime) -> str:
    return f"{key}@{due_at.isoformat(timespec='milliseconds')}"
