"""Job `timers`: how many timers a second the scheduler stores, how many it fires when all are due, and how late those are that are due one
after the other."""

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

#: Timers of the small row, whose rates those of the large one are compared with.
FEW = 100_000
#: Distinct timers that are encoded; the others are the same under other ids.
SAMPLES = 50_000
#: Timers due a second, and for how long, in the measurement of lateness.
DUE_PER_S, DUE_S = 10_000, 20
#: Seconds from the first of them produced to the first due: the scheduler has joined and stored them by then.
LEAD_S = 40


def run(context: Context) -> list[Result]:
    """Few timers, then `context.timers`, each stored and fired `context.runs` times; then the lateness."""
    few = _rates(context, FEW)
    many = _rates(context, context.timers)
    rows = []
    for name in ("stored", "fired"):
        rows.append(
            Result(f"timers-{name}", "takk", median(few[name]), "exactly once", FEW, [round(r, 1) for r in few[name]])
        )
        figures = {"times_the_rate_of_few": round(median(many[name]) / median(few[name]), 2)}
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
    """Key and value of `count` timers, due at the times of `dues` (ms since 1970) by turns."""
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
    """Timers stored and fired a second, and the scheduler's peak memory in MiB, of each run.

    Raises:
        RuntimeError: the scheduler gave no result.
    """
    context.reset_topics()
    due_ms = int(time.time() * 1000) + 3 * 3_600_000
    rng = random.Random(7)
    context.log(f"producing {count:,} timers")
    _produce(context, count, [due_ms - rng.randrange(50_000) for _ in range(min(count, SAMPLES))])
    rates: dict[str, list[float]] = {"stored": [], "fired": [], "memory": []}
    for number in range(context.runs):
        command = _scheduler(context, context.new_run_id("timers"), count, due_ms)
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        found = {name: float(rate) for name, _, _, rate in RESULT.findall(done.stdout)}
        if set(found) != set(rates):
            raise RuntimeError(f"the scheduler gave no result:\n{(done.stdout + done.stderr)[-2000:]}")
        for name, rate in found.items():
            rates[name].append(rate)
        context.log(f"timers {count:,} {number + 1}/{context.runs}: {json.dumps(found)}")
    return rates


def _late(context: Context) -> tuple[float, float]:
    """Milliseconds, at the 50th and the 99th percentile, from a timer's due time until its record can be read on `flow-due`.

    Raises:
        RuntimeError: the scheduler ended.
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
    # The scheduler's clock is the real one, and it never counts enough to end by itself.
    scheduler = subprocess.Popen(
        _scheduler(context, context.new_run_id("late"), count + 1, 0),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    late: list[float] = []
    try:
        while len(late) < count:
            if scheduler.poll() is not None:
                raise RuntimeError(f"the scheduler ended with {scheduler.returncode}")
            messages: list[Any] = reader.consume(5000, 0.01)
            now_ms = time.time() * 1000
            late += [now_ms - timer_due(message.value())[1] for message in messages if message.error() is None]
    finally:
        scheduler.kill()
        scheduler.wait()
        reader.close()
    cuts = statistics.quantiles(late, n=100)
    context.log(f"timers due {DUE_PER_S:,} a second: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms late")
    return cuts[49], cuts[98]
