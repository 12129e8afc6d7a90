"""The comparison of settings with the limits of the brokers.

A broker refuses a member whose session it does not allow, or a producer whose transactions may last too long, only when the process joins or
takes over a partition. The limits of topics are compared when topics are created.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import structlog
from confluent_kafka import KafkaException

from streams.runtime.kafka.client_config import TRANSACTION_TIMEOUT_MS
from streams.runtime.kafka.cluster import Cluster
from streams.runtime.kafka.retry import is_away

log = structlog.get_logger(__name__)

MIN_SESSION, MAX_SESSION = "group.min.session.timeout.ms", "group.max.session.timeout.ms"
MAX_TRANSACTION = "transaction.max.timeout.ms"


def limit_problems(broker: Mapping[str, str], session_timeout_s: float) -> Iterator[str]:
    """Yield what is wrong, and what to do.

    Args:
        broker: the settings of a broker. Those that it does not have are not compared.
        session_timeout_s: the value of TAKK_SESSION_TIMEOUT_S.
    """
    low_s, high_s = int(broker.get(MIN_SESSION, 0)) / 1000, int(broker.get(MAX_SESSION, 2**31)) / 1000
    if not low_s <= session_timeout_s <= high_s:
        yield (
            f"TAKK_SESSION_TIMEOUT_S={session_timeout_s:g} is not within the limits of the brokers, {low_s:g} to {high_s:g} seconds "
            f"({MIN_SESSION}, {MAX_SESSION}): change it, or the brokers' settings"
        )
    if (limit_ms := int(broker.get(MAX_TRANSACTION, TRANSACTION_TIMEOUT_MS))) < TRANSACTION_TIMEOUT_MS:
        yield (
            f"the brokers limit transactions to {limit_ms} ms, and Takk's may take {TRANSACTION_TIMEOUT_MS} ms: set {MAX_TRANSACTION} of the "
            f"brokers to at least {TRANSACTION_TIMEOUT_MS}"
        )


def check_limits(cluster: Cluster, session_timeout_s: float) -> None:
    """Compare the settings of this process with the limits of the brokers.

    Raises:
        SystemExit: the brokers would refuse this process.
        KafkaException: the brokers are away.
    """
    try:
        broker = cluster.broker_settings()
    except KafkaException as error:
        if is_away(error):
            raise
        log.warning(
            "cannot compare the settings with the limits of the brokers",
            error=error,
            hint="give this user the permission DescribeConfigs on the cluster",
        )
        return
    if problems := list(limit_problems(broker, session_timeout_s)):
        sys.exit("\n".join(["cannot start: the brokers would refuse this process:", *problems]))
