"""Heartbeats: for each partition a timer that passes through all stages as the timers of flows do, and shows how long that takes.

The mailer writes the timer to `flow-delays`, the scheduler stores it and fires it to `flow-due`, the flows agent passes it on to
`heartbeats`, and the mailer reads it there. Each hop has the task and the transactions of real emails. Only the last topic is another one:
an older mailer would move a heartbeat on `email-commands` to the dead letters. An older flows agent ignores the timer, as it ignores every
timer that no instance waits for.

A heartbeat shows that every stage of a partition works. It does not wait behind a backlog on other topics: see `takk_lag_seconds` for that.
It does not cover the topics of the shop, `email-commands`, the mail server, and the other stages.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from streams.core.model.events import TimerFired
from streams.observability import metrics
from streams.observability.gauges import OwnedGauges, Reading
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.task import Task
from streams.wire.encode.heartbeats import HeartbeatEncoder

#: Time until the timer of a heartbeat is due. A timer that is due at once would never be in the scheduler's table.
DELAY = timedelta(seconds=1)
#: Age from which a heartbeat is dropped. After an outage of hours, only the newest heartbeats are of interest.
MAX_AGE = timedelta(hours=1)


@cache
def heartbeat_key(partition: int, partitions: int) -> str:
    """Return the key of the heartbeats of a partition: the partitioner assigns records with this key to it on every topic.

    Args:
        partition: the partition number.
        partitions: the number of partitions of every topic.
    """
    keys = (f"heartbeat-{number}" for number in count())
    return next(key for key in keys if partition_of(key.encode(), partitions) == partition)


def is_fresh(due_at: datetime, now: datetime) -> bool:
    """Return whether a heartbeat that was due at `due_at` (UTC) is young enough to be passed on at `now`."""
    return now - due_at < MAX_AGE


def pass_on(event: TimerFired, encoder: HeartbeatEncoder, now: datetime) -> list[ProducerRecord]:
    """Return the record by which the flows agent passes a heartbeat on to the mailer: none if it is too old.

    Args:
        event: the heartbeat's timer.
        encoder: encodes heartbeats.
        now: the clock of the batch, UTC.
    """
    return [encoder.heartbeat(event.customer_id, event.due_at, now)] if is_fresh(event.due_at, now) else []


class Heartbeat:
    """The heartbeats of one partition, as its mailer sends and receives them.

    Args:
        key: the key of its records.
        interval_s: seconds from one heartbeat to the next; 0 for none.

    Attributes:
        key: the key of its records.
        due_at: when the newest heartbeat that has arrived was due, in seconds since 1970; 0 before the first.
        travel_s: the seconds from then until it had arrived.
    """

    def __init__(self, key: str, interval_s: int) -> None:
        self.key = key
        self.due_at = self.travel_s = 0.0
        self._interval_ms = interval_s * 1000
        self._first_ms = self._interval = -1

    @property
    def is_on(self) -> bool:
        """Whether heartbeats are sent at all."""
        return self._interval_ms > 0

    def is_due(self, now_ms: int) -> bool:
        """Return whether the next heartbeat is to be sent: the first at once, then one per interval. `now_ms` is in ms since 1970."""
        # Not a time since the last one: a clock that steps back must not stop the heartbeats until it has caught up.
        return self.is_on and (self._first_ms < 0 or self._interval_of(now_ms) != self._interval)

    def _interval_of(self, now_ms: int) -> int:
        """Return the number of the interval at `now_ms`. Intervals begin with the first heartbeat, so delays do not add up."""
        return (now_ms - self._first_ms) // self._interval_ms

    def send(self, encoder: HeartbeatEncoder, now: datetime) -> ProducerRecord:
        """Return the timer of a new heartbeat. `now` is the clock of the batch, UTC."""
        now_ms = round(now.timestamp() * 1000)
        if self._first_ms < 0:
            self._first_ms = now_ms
        self._interval = self._interval_of(now_ms)
        return encoder.timer(self.key, now + DELAY, now)

    def receive(self, due_at: datetime, now: datetime) -> None:
        """Note a heartbeat that has arrived: its due time and the time of its arrival, both UTC. One that is too old is dropped."""
        if is_fresh(due_at, now):
            self.due_at = due_at.timestamp()
            self.travel_s = max(0.0, (now - due_at).total_seconds())


def heartbeat_gauges() -> OwnedGauges:
    """Return the gauges of each owned partition's heartbeat, for a mailer."""
    return OwnedGauges("mailer", _reading, metrics.HEARTBEAT_TIMESTAMP, metrics.HEARTBEAT_SECONDS)


def _reading(task: Task[Any]) -> Reading:
    heartbeat = task.context.heartbeat
    return {task.partition: (heartbeat.due_at, heartbeat.travel_s)} if heartbeat.is_on else {}
