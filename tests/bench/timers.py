"""Job `timers`: how many timers a second the scheduler stores, and how many it fires when all are due."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime

from streams.core.effects import ScheduleStep
from streams.wire import Wire, open_codec
from tests.bench.context import RESULT, Context, Result, median

TIMERS = 300_000


def run(context: Context) -> list[Result]:
    """Produce the timers once, then let a new scheduler store and fire them, `context.runs` times."""
    context.open_topics()
    due_ms = int(time.time() * 1000) + 3_600_000
    wire, lots, now = Wire(open_codec()), random.Random(5), datetime.now(UTC)
    producer = context.producer()
    context.say(f"producing {TIMERS:,} timers")
    for i in range(TIMERS):
        due = datetime.fromtimestamp((due_ms - lots.randrange(50_000)) / 1000, UTC)
        step = ScheduleStep(
            timer_id=f"{lots.getrandbits(128):032x}", customer_id=f"c{i % 60_000}", instance_id=f"{i:032x}", flow="review", step="1", due_at=due
        )  # fmt: skip
        topic, key, value, headers = wire.output(step, now)
        producer.produce(topic, value, key, headers=headers)
        producer.poll(0)
    producer.flush()
    rates: dict[str, list[float]] = {"stored": [], "fired": []}
    for number in range(context.runs):
        run_id = context.name("timers")
        context.create(f"{run_id}-timers-changelog", **{"cleanup.policy": "compact"})
        command = [sys.executable, "-m", "tests.bench.runners.scheduler", context.kafka.bootstrap, str(TIMERS), run_id]
        done = subprocess.run(
            [*command, str(context.state), str(due_ms)], capture_output=True, text=True, timeout=600, check=False
        )
        found = {name: int(rate) for name, _, _, rate in RESULT.findall(done.stdout)}
        if set(found) != set(rates):
            raise RuntimeError(f"the scheduler gave no result:\n{(done.stdout + done.stderr)[-2000:]}")
        for name, rate in found.items():
            rates[name].append(rate)
        context.say(f"timers {number + 1}/{context.runs}: {found}")
    return [
        Result(f"timers-{name}", "takk", median(values), "exactly once", TIMERS, values)
        for name, values in rates.items()
    ]
