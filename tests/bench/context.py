"""Shared by the benchmark jobs: the broker, a folder, topics, runners with their RESULT lines, and the table of results."""

from __future__ import annotations

import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import orjson
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.settings import load_settings
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.fixed_flows import FLOWS, templates_with

BENCH_DIR = Path(".takk/bench")
#: Seconds between two readings of a process's metrics. Each reading takes the process some 8 ms, which Prometheus uses every 15 s.
SCRAPE_S = 1.0
RESULT = re.compile(r"RESULT (\S+) (\d+) ([\d.]+) (\d+)")


@cache
def bench_templates(flows: frozenset[str] = FLOWS) -> Path:
    """Return a templates folder with the shipped flows of these names. With all flows, a new one would change every figure."""
    return templates_with(flows, Path(tempfile.mkdtemp(dir=BENCH_DIR)) / "templates").resolve()


@dataclass
class Result:
    """A row of the table: `records_per_s` is the median of `runs`, and `figures` are further measurements by name."""

    job: str
    runner: str
    records_per_s: float
    guarantee: str
    records: int
    runs: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


class Context:
    """The environment of the jobs: a broker, the sizes from the command line, and a folder for state.

    Args:
        kafka: running.
        records: of the job `engine`.
        runs: per runner.
        timers: of the job `timers`.
    """

    def __init__(self, kafka: EmbeddedKafka, records: int, runs: int, timers: int) -> None:
        self.kafka = kafka
        self.records = records
        self.runs = runs
        self.timers = timers
        self.state = BENCH_DIR / "state"
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        self.admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        self._count = 0

    def log(self, text: str) -> None:
        """Print a progress line to stderr."""
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    def new_run_id(self, runner: str) -> str:
        """Return a unique name for a run."""
        self._count += 1
        return f"{runner}-{self._count}-{int(time.time())}"

    def create_topics(self, *topics: str, partitions: int = 4, **config: str) -> None:
        """Create topics with the given topic configuration."""
        futures = self.admin.create_topics([NewTopic(t, partitions, 1, config=config) for t in topics])
        for future in futures.values():
            future.result()

    def reset_topics(self) -> None:
        """Create Takk's topics, or empty them, so that a job does not read the records of an earlier one."""
        settings = load_settings(kafka_bootstrap_servers=self.kafka.bootstrap)
        created = topics.create_topics(settings)
        # Compacted topics cannot be emptied; no job writes to one.
        old = [spec.name for spec in topics.TOPICS if spec.name not in created and spec.cleanup == "delete"]
        existing = self.admin.list_topics(timeout=10).topics
        ends = [TopicPartition(name, number, OFFSET_END) for name in old for number in existing[name].partitions]
        if ends:
            for future in self.admin.delete_records(ends).values():
                future.result()

    def producer(self, linger_ms: int = 50) -> Producer:
        """Return a producer with the same partitioner as Takk's own."""
        return Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def order_topic(self, records: int) -> str:
        """Return the topic with the input of the reference job: `records` JSON orders of `records` / 5 customers."""
        topic = f"orders-{records}"
        if topic in self.admin.list_topics(timeout=10).topics:
            return topic
        self.log(f"producing {records:,} orders")
        self.create_topics(topic)
        producer = Producer(
            {"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
        )
        rng = random.Random(1)
        for i in range(records):
            customer = f"c{rng.randrange(max(1, records // 5))}"
            order = {
                "order_id": f"o{i}", "customer_id": customer, "email": f"{customer}@example.com", "country": "DK", "currency": "DKK",
                "total": rng.randrange(10_000) / 100, "placed_at": "2026-11-22T08:00:00Z",
                "items": [{"sku": f"s{rng.randrange(1000)}", "qty": 1, "price": 12.5, "category": "shoes"} for _ in range(2)],
            }  # fmt: skip
            producer.produce(topic, orjson.dumps(order), customer)
            if i % 10_000 == 0:
                producer.poll(0)
        producer.flush()
        return topic

    def run_to_result(self, command: list[str], timeout_s: float = 900.0) -> tuple[int, float]:
        """Run a runner, and return the records and the seconds of its RESULT line.

        Raises:
            RuntimeError: the runner printed no RESULT line. The message ends with its output.
            subprocess.TimeoutExpired: it did not end within `timeout_s` seconds.
        """
        process = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        output = process.stdout + process.stderr
        result = RESULT.search(output)
        if result is None:
            raise RuntimeError(f"{command[:4]} printed no result:\n{output[-2000:]}")
        return int(result[2]), float(result[3])


def steady_rate(process: Process, count: int, done: Callable[[dict[str, float]], float]) -> tuple[float, float]:
    """Let a worker or mailer process all items. Return the items per second between 10 % and 95 %, and the CPU µs per item.

    Args:
        process: not started; it is stopped afterwards.
        count: number of items.
        done: returns the number of finished items, given the metrics of the process.
    """
    process.start()
    try:
        process.await_ready()
        marks: list[tuple[float, float, float]] = []
        while not marks or marks[-1][1] < count:
            series = process.series()
            marks.append((time.time(), done(series), series.get("process_cpu_seconds_total", 0.0)))
            time.sleep(SCRAPE_S)
    finally:
        process.stop()
    inner = [mark for mark in marks if 0.1 * count <= mark[1] <= 0.95 * count]
    (first, low, cpu_low), (last, high, cpu_high) = inner[0], inner[-1]
    return (high - low) / (last - first), (cpu_high - cpu_low) / (high - low) * 1e6


def median(rates: list[float]) -> float:
    """Return the median, rounded to one decimal."""
    return round(statistics.median(rates), 1)


def write_results(results: list[Result]) -> None:
    """Print the table and write results.json, which keeps earlier results of other jobs."""
    path = BENCH_DIR / "results.json"
    jobs = {result.job for result in results}
    earlier = [row for row in json.loads(path.read_text()) if row["job"] not in jobs] if path.exists() else []
    path.write_text(json.dumps(earlier + [asdict(result) for result in results], indent=2) + "\n")
    print(f"\n{'job':<10} {'runner':<14} {'records/s':>10}  {'guarantee':<14} {'records':>10}  more")
    for row in results:
        more = "  ".join(f"{name}={value:g}" for name, value in row.figures.items())
        print(
            f"{row.job:<10} {row.runner:<14} {row.records_per_s:>10,.0f}  {row.guarantee:<14} {row.records:>10,}  {more}"
        )
    print(f"\nwritten to {path}")
