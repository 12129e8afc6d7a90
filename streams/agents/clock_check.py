"""The check of the clock at the start of a process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import KafkaException

from streams.runtime.clock import MAX_STEP_S
from streams.runtime.kafka.broker_clock import seconds_ahead
from streams.runtime.kafka.retry import is_away
from streams.wire import topics
from streams.wire.encode.encoder import Encoder

log = structlog.get_logger(__name__)


def check_clock(kafka: Mapping[str, Any], encoder: Encoder) -> None:
    """Compare the clock of this machine with the broker's.

    Raises:
        SystemExit: they differ by more than `MAX_STEP_S`.
        KafkaException: the broker is away.
    """
    try:
        ahead_s = seconds_ahead(kafka, encoder.clock_probe(socket.gethostname(), datetime.now(UTC)))
    except KafkaException as error:
        if is_away(error):
            raise
        log.warning("cannot compare the clock with the broker's", error=error)
        return
    if ahead_s is None:
        log.warning(
            "cannot compare the clock with the broker's",
            hint=f"set message.timestamp.type=LogAppendTime on the topic {topics.CLOCK_PROBES}",
        )
    elif abs(ahead_s) > MAX_STEP_S:
        sys.exit(
            f"cannot start: the clock of this machine is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the broker's, so emails "
            f"would be sent at wrong times. The difference may be {MAX_STEP_S:.0f} s. Synchronize both clocks, for example with NTP"
        )
