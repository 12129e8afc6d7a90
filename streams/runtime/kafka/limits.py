"""The size limit of the records that Takk produces."""

from __future__ import annotations

#: Kafka's default limit for a record is 1 MiB. Takk derives larger records from such a record: a dead letter contains it, a command repeats it
#: as JSON, and a customer's state remembers several. The core's limits keep all of them below this size. Producers and topics allow as much.
MAX_RECORD_BYTES = 8 << 20
