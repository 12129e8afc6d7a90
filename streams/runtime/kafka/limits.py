"""The size limits of the records that Takk produces."""

from __future__ import annotations

#: Kafka's default limit for a record is 1 MiB. Takk derives larger records from such a record: a dead letter contains it, a command repeats it
#: as JSON, and a customer's state remembers several. The core's limits keep all of them below this size. Producers and topics allow as much.
MAX_RECORD_BYTES = 8 << 20
#: Bytes of a record that a topic accepts unless its `max.message.bytes` is known. This was Kafka's default before 2.5; the present default is
#: larger. librdkafka fills its batches up to 1,000,000 bytes, so no topic that Takk writes may accept less.
DEFAULT_TOPIC_BYTES = 1_000_012
#: Bytes that Kafka adds to a single record at most: the header of the batch (61), the lengths in the record (50), and lz4's frame (40).
RECORD_OVERHEAD = 1024
#: A key and a value below this size fit into every topic with their headers, which only Takk writes then. Only larger records are measured.
SMALL_BYTES = 512 << 10
