"""Encoding of product counts."""

from __future__ import annotations

from datetime import datetime

from streams.core.offers.popularity import Counts
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope
from streams.wire.validation import Record


class ProductEncoder:
    """Encodes product counts."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def counts(self, counts: Counts, at: datetime) -> ProducerRecord:
        """Encode the counts of a product in a partition at `at` (UTC). They replace the counts before."""
        key = counts_key(counts.sku, counts.partition)
        event_id = f"{key}@{at.isoformat(timespec='milliseconds')}"
        return self._envelope.record(topics.POPULARITY, "popularity", key, event_id, counts_record(counts), at)


def counts_record(counts: Counts) -> Record:
    """Return the counts as a record of schema `popularity`."""
    return {
        "sku": counts.sku,
        "partition": counts.partition,
        "newest_week": counts.newest_week,
        "weeks": list(counts.weeks),
        "also": [{"sku": sku, "orders": orders} for sku, orders in counts.also],
    }


def counts_key(sku: str, partition: int) -> str:
    """Return the key of a partition's counts of a product."""
    return f"{sku}/{partition}"
