"""How large a record may be that Takk makes."""

from __future__ import annotations

#: Kafka's own limit for a record is 1 MiB. What Takk makes of such a record is larger: a dead letter holds it whole, a command tells it
#: in JSON, a state remembers several. The core's limits keep all of them below this; producers and topics allow as much.
LARGEST_BYTES = 8 << 20
