"""Settings of the librdkafka clients, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from streams.runtime.kafka.client_log import CLIENT_LOG
from streams.runtime.kafka.limits import MAX_RECORD_BYTES

#: Milliseconds after which the broker aborts an open transaction. This is longer than any batch, and short enough that a dead worker's
#: transaction does not block the readers of its outputs for long. (A new owner of the partition ends it at once.)
TRANSACTION_TIMEOUT_MS = 60_000


#: librdkafka's level of severe errors (syslog's CRIT). A client delivers its lines when it is polled. Clients that are polled rarely log only
#: these, because others would pile up while a broker is away. The reader and the watch of the membership log the same errors of connections.
SEVERE = 2
#: The level above the lines of an admin client about its own end (syslog's NOTICE).
NOTICE = 5


def client_config(kafka: Mapping[str, Any], settings: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return the settings of a client whose log lines come out in the log of the process.

    Args:
        kafka: librdkafka settings of the cluster.
        settings: further librdkafka settings.
    """
    return {"logger": CLIENT_LOG, **kafka, **settings}


def admin_config(kafka: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an admin client.

    Args:
        kafka: librdkafka settings of the cluster.
    """
    return client_config({"log_level": NOTICE, **kafka})


def consumer_config(
    kafka: Mapping[str, Any], group_id: str, settings: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the settings of a consumer that reads committed records and never commits offsets.

    Args:
        kafka: librdkafka settings of the cluster.
        group_id: the consumer group that the broker sees.
        settings: further librdkafka settings.
    """
    base = {"group.id": group_id, "enable.auto.commit": False, "isolation.level": "read_committed"}
    return client_config(kafka, {**base, **settings})


def producer_config(kafka: Mapping[str, Any], transactional_id: str) -> dict[str, Any]:
    """Return the settings of a task's transactional producer.

    Args:
        kafka: librdkafka settings of the cluster.
        transactional_id: the id by which the broker fences earlier owners of the partition.
    """
    settings = {
        "log_level": SEVERE,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "partitioner": "murmur2_random",
        # A commit flushes at once, whatever this is. Until then each expired linger wakes a broker thread again, which costs more than
        # its few records.
        "linger.ms": 100,
        # A coordinator that still ends the last transaction answers with a retriable error. The default of 100 ms would be the longest
        # part of a commit.
        "retry.backoff.ms": 5,
        "retry.backoff.max.ms": 100,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 256 << 10,
        "compression.type": "lz4",
        "message.max.bytes": MAX_RECORD_BYTES,
    }
    return client_config(kafka, settings)
