"""The oracle of walks over the stored customers: each walk gives each customer one timer at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from streams.core.triggers.walk_plans import STEPS
from streams.runtime.avro.codec import Codec
from streams.tools.local.verdict import Verdict
from streams.wire import topics


def is_of_walk(timer: Mapping[str, Any]) -> bool:
    """Return whether a walk scheduled a timer."""
    return str(timer["step"]).partition(" ")[0] in STEPS


def walk_timers(records: Mapping[str, list[Any]], codec: Codec) -> Counter[tuple[str, str, str]]:
    """Return how many timers of walks were written for each flow, its moment and customer.

    Args:
        records: the records of every topic.
        codec: decodes them.
    """
    timers = [codec.decode("timer", record.value()) for record in records[topics.DELAYS] if record.value() is not None]
    return Counter((timer["flow"], timer["step"], timer["customer_id"]) for timer in timers if is_of_walk(timer))


def check_walks(records: Mapping[str, list[Any]], codec: Codec, verdict: Verdict) -> None:
    """Check that no walk gave a customer two timers.

    Args:
        records: the records of every topic.
        codec: decodes them.
        verdict: receives the problems.
    """
    timers = walk_timers(records, codec)
    verdict.add_problem("timers that a walk scheduled twice", [key for key, count in timers.items() if count > 1])
