"""The erasures of the last 30 days, so that commands that publish old records again leave erased customers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from streams.core.values.local_time import utc_from_ms
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import Settings
from streams.wire import topics


def read_erasures(settings: Settings, on_progress: Callable[[int, int], None]) -> dict[str, datetime]:
    """Return when each customer was last erased, UTC, by customer id.

    Raises:
        KafkaException: the cluster is not reachable, or a topic is missing.
        TimeoutError: the broker does not answer.
    """
    return erasures_of(
        read_to_the_end(
            settings.kafka(), [topics.DELAYS], group_id=settings.reader_group_id, on_progress=on_progress
        )
    )  # fmt: skip


def erasures_of(messages: Iterable[Any]) -> dict[str, datetime]:
    """Return the erasures that messages of `flow-delays` show: with each, the flows agent cancels the timers of the customer."""
    found: dict[str, datetime] = {}
    for message in messages:
        if message.value() is None and message.key():
            found[message.key().decode("utf-8", "replace")] = utc_from_ms(message.timestamp()[1])
    return found
