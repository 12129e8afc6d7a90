"""Whether a cluster answers, and if it does not, whether waiting can help."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.runtime.kafka.retry import is_transient

#: Seconds to wait for the answer of a broker.
ANSWER_TIMEOUT_S = 5.0
#: Errors of the login and of TLS. Only other settings, here or at the broker, remove them.
REFUSALS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})
#: Errors of the resolver for a name that does not exist. Others, such as EAI_AGAIN, are those of a resolver that does not answer.
UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
#: The statistics that librdkafka adds to the text of an error.
STATISTICS = re.compile(r" \(after \d+ms in state .*$")


class KafkaUnavailable(Exception):
    """The cluster does not answer.

    Attributes:
        is_permanent: whether waiting cannot help: the settings are wrong.
    """

    def __init__(self, reason: str, *, is_permanent: bool) -> None:
        super().__init__(reason)
        self.is_permanent = is_permanent


def count_brokers(kafka: Mapping[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> int:
    """Return the number of brokers of the cluster.

    Args:
        kafka: librdkafka settings of the cluster.
        timeout_s: seconds to wait for an answer.

    Raises:
        KafkaUnavailable: the cluster does not answer, or refuses this client.
    """
    errors: list[Any] = []
    admin: Any = None
    try:
        admin = AdminClient({**kafka, "error_cb": errors.append, "log_level": 0})
        return len(admin.list_topics(timeout=timeout_s).brokers)
    except KafkaException as failure:
        if admin is not None:
            admin.poll(0)  # delivers the errors of the connections
        # An error of a single connection says more than "all brokers are down".
        known = [error for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN]
        refusal = next((error for error in known if _is_refusal(error)), None)
        error = refusal or (known[-1] if known else failure.args[0])
        is_permanent = (
            refusal is not None
            or not is_transient(failure.args[0])
            or has_unknown_hosts_only(str(kafka.get("bootstrap.servers", "")))
        )
        raise KafkaUnavailable(STATISTICS.sub("", error.str()), is_permanent=is_permanent) from failure


def _is_refusal(error: Any) -> bool:
    # librdkafka gives some failures of TLS the code of a lost connection.
    return error.code() in REFUSALS or "certificate verify failed" in error.str()


def has_unknown_hosts_only(servers: str) -> bool:
    """Return whether no host of `servers`, addresses with commas between, has a name that exists."""
    return all(_is_unknown(server.strip().rpartition(":")[0].strip("[]")) for server in servers.split(","))


def _is_unknown(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        return error.errno in UNKNOWN_NAME
    return False
