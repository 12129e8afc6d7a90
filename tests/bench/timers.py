"""Job `timers`: timers per second that the scheduler stores, and fires when all are due at once; and the lateness at a steady rate."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams.core.model.effects import ScheduleTimer
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from tests.bench.context import RESULT, Context, Result, median

#: Timers of the small rows, which the large rows are compared with.
FEW = 100_000
#: Distinct timers. The other timers are copies with other ids.
SAMPLES = 50_000
#: For the lateness: timers due per second, and for how many seconds.
DUE_PER_S, DUE_S = 10_000, 20
#: Seconds between the start of producing and the first due time, in which the scheduler joins its group and stores the timers.
LEAD_S = 40


def run(context: Context) -> list[Result]:
    """Measure `FEW` timers, then `context.timers`, each stored and fired `context.runs` times, and then the lateness."""
    few = _rates(context, FEW)
    many = _rates(context, context.timers)
    rows = []
    for name in ("stored", "fired"):
        rows.append(
            Result(f"timers-{name}", "takk", median(few[name]), "exactly once", FEW, [round(r, 1) for r in few[name]])
        )
        figures = {"times_the_small_rate": round(median(many[name]) / median(few[name]), 2)}
        if name == "fired":
            figures["peak_memory_mib"] = max(many["memory"])
        rates = [round(rate, 1) for rate in many[name]]
        rows.append(Result(f"timers-{name}", "takk", median(rates), "exactly once", context.timers, rates, figures))
    late = [_late(context) for _ in range(context.runs)]
    figures = {
        "p50_ms": round(statistics.median(p50 for p50, _ in late), 1),
        "p99_ms": round(statistics.median(p99 for _, p99 in late), 1),
    }
    return [*rows, Result("timers-late", "takk", float(DUE_PER_S), "exactly once", DUE_PER_S * DUE_S, [], figures)]


def _timers(count: int, dues: list[int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of `count` timers, which are due at the times of `dues` (ms since 1970) in turn."""
    encoder, rng, now = Encoder(open_codec()), random.Random(5), datetime.now(UTC)
    samples: list[tuple[bytes, bytes, bytes]] = []
    for number, due_ms in enumerate(dues):
        timer_id = f"{number:032x}"
        step = ScheduleTimer(
            timer_id=timer_id, customer_id=f"c{number % 60_000}", instance_id=f"{number:032x}", flow="review", step="1",
            due_at=datetime.fromtimestamp(due_ms / 1000, UTC),
        )  # fmt: skip
        _, key, value, _ = encoder.effects.encode(step, now)
        assert value is not None
        before, _, after = value.partition(timer_id.encode())
        samples.append((key, before, after))
    for number in range(count):
        key, before, after = samples[number % len(samples)]
        yield key, b"%b%032x%b" % (before, rng.getrandbits(128), after)


def _produce(context: Context, count: int, dues: list[int]) -> None:
    producer = context.producer()
    started = time.monotonic()
    for number, (key, value) in enumerate(_timers(count, dues)):
        while True:
            try:
                producer.produce(topics.DELAYS, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
            if time.monotonic() - started > 10:
                context.log(f"produced {number:,} of {count:,} timers")
                started = time.monotonic()
    producer.flush()


def _scheduler(context: Context, run_id: str, count: int, due_ms: int) -> list[str]:
    context.create_topics(f"{run_id}-timers-changelog", **{"cleanup.policy": "compact"})
    program = [sys.executable, "-m", "tests.bench.runners.scheduler"]
    return [*program, context.kafka.bootstrap, str(count), run_id, str(context.state), str(due_ms)]


def _rates(context: Context, count: int) -> dict[str, list[float]]:
    """Return the timers stored and fired per second, and the scheduler's peak memory in MiB, of each run.

    Raises:
        RuntimeError: the scheduler printed no result.
    """
    context.reset_topics()
    due_ms = int(time.time() * 1000) + 3 * 3_600_000
    rng = random.Random(7)
    context.log(f"producing {count:,} timers")
    _produce(context, count, [due_ms - rng.randrange(50_000) for _ in range(min(count, SAMPLES))])
    rates: dict[str, list[float]] = {"stored": [], "fired": [], "memory": []}
    for number in range(context.runs):
        command = _scheduler(context, context.new_run_id("timers"), count, due_ms)
        process = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        figures = {name: float(rate) for name, _, _, rate in RESULT.findall(process.stdout)}
        if set(figures) != set(rates):
            raise RuntimeError(f"the scheduler printed no result:\n{(process.stdout + process.stderr)[-2000:]}")
        for name, rate in figures.items():
            rates[name].append(rate)
        context.log(f"timers {count:,} {number + 1}/{context.runs}: {json.dumps(figures)}")
    return rates


def _late(context: Context) -> tuple[float, float]:
    """Return the 50th and 99th percentile of the ms between a timer's due time and its record on `flow-due`.

    Raises:
        RuntimeError: the scheduler exited.
    """
    context.reset_topics()
    count = DUE_PER_S * DUE_S
    first = int(time.time() * 1000) + LEAD_S * 1000
    reader = Consumer(
        {
            "bootstrap.servers": context.kafka.bootstrap,
            "group.id": context.new_run_id("late"),
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    ends = [TopicPartition(topics.DUE, part) for part in range(4)]
    for end in ends:
        end.offset = reader.get_watermark_offsets(end)[1]
    reader.assign(ends)
    _produce(context, count, [first + number * 1000 // DUE_PER_S for number in range(count)])
    # With a due time of 0 the scheduler uses the real clock. It waits for one timer more than there are, so it does not exit.
    scheduler = subprocess.Popen(
        _scheduler(context, context.new_run_id("late"), count + 1, 0),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    late: list[float] = []
    try:
        while len(late) < count:
            if scheduler.poll() is not None:
                raise RuntimeError(f"the scheduler exited with {scheduler.returncode}")
            messages: list[Any] = reader.consume(5000, 0.01)
            now_ms = time.time() * 1000
            late += [now_ms - timer_due(message.value())[1] for message in messages if message.error() is None]
    finally:
        scheduler.kill()
        scheduler.wait()
        reader.close()
    cuts = statistics.quantiles(late, n=100)
    context.log(f"timers due at {DUE_PER_S:,}/s: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms late")
    return cuts[49], cuts[98]
