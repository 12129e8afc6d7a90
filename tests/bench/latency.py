"""Job `latency`: from an order produced to its confirmation accepted by a mail server, at a steady rate of orders."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

from streams.tools.local.processes import Process
from streams.wire import topics
from streams.wire.codec import open_codec
from tests.bench.context import BENCH_DIR, Context, Result, median
from tests.bench.mailer import mailer_env
from tests.bench.pipeline import order_facts, worker_env
from tests.bench.sink import read_journal, small_sink

#: Orders a second.
RATES = (500, 1_000)
#: Seconds of orders; those of the first five warm up caches and connections and are not counted.
SECONDS = 30
WARM_UP_S = 5
#: Seconds until the last mail must have come.
TIMEOUT_S = 60


def run(context: Context) -> list[Result]:
    """One worker, one mailer, the bench's sink; orders encoded beforehand, every one by a customer of its own."""
    return [_row(context, rate) for rate in RATES]


def _row(context: Context, rate: int) -> Result:
    codec = open_codec()
    orders = []
    for number, (_, record) in enumerate(order_facts(rate * SECONDS)):
        name = f"l{number}"
        own = {**record, "order_id": f"L{number}", "customer_id": name, "email": f"{name}@post.example"}
        orders.append((name, codec.encode("order", own)))
    rates, p50s, p99s = [], [], []
    for number in range(context.runs):
        reached, p50, p99 = _once(context, orders, rate)
        rates.append(reached)
        p50s.append(p50)
        p99s.append(p99)
        context.log(
            f"latency {number + 1}/{context.runs}: {reached:,.0f} orders/s, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
        )
    figures = {"p50_ms": round(statistics.median(p50s) * 1000), "p99_ms": round(statistics.median(p99s) * 1000)}
    return Result("latency", "takk", median(rates), "exactly once", len(orders), [round(r, 1) for r in rates], figures)


def _once(context: Context, orders: list[tuple[str, bytes]], rate: int) -> tuple[float, float, float]:
    """Orders produced a second, and seconds at the 50th and the 99th percentile, of one run.

    Raises:
        RuntimeError: a confirmation is missing.
    """
    context.reset_topics()  # the orders of the run before would be this worker's too
    run_id = context.new_run_id("latency")
    journal = context.state / f"{run_id}.txt"
    with small_sink(journal) as port:
        worker = Process("worker", worker_env(context, run_id), BENCH_DIR / f"{run_id}-worker.log")
        mailer = Process("mailer", mailer_env(context, run_id, port), BENCH_DIR / f"{run_id}-mailer.log")
        try:
            for process in (worker, mailer):
                process.start()
            for process in (worker, mailer):
                process.await_ready()
            produced = _produce(context, orders, rate)
            accepted = _await_all(journal, len(orders))
        finally:
            for process in (worker, mailer):
                process.stop()
    shutil.rmtree(context.state / run_id, ignore_errors=True)
    warm = produced[orders[0][0]] + WARM_UP_S
    waits = [accepted[f"{name}@post.example"] - at for name, at in produced.items() if at >= warm]
    cuts = statistics.quantiles(waits, n=100)
    first, last = produced[orders[0][0]], produced[orders[-1][0]]
    return (len(orders) - 1) / (last - first), cuts[49], cuts[98]


def _produce(context: Context, orders: list[tuple[str, bytes]], rate: int) -> dict[str, float]:
    """Produce `rate` a second; when each order was handed over (Unix time), by customer."""
    producer = context.producer(linger_ms=0)
    produced: dict[str, float] = {}
    begin = time.time()
    for number, (name, value) in enumerate(orders):
        ahead = begin + number / rate - time.time()
        if ahead > 0:
            time.sleep(ahead)
        producer.produce(topics.ORDERS, value, name)
        produced[name] = time.time()
        producer.poll(0)
    producer.flush()
    return produced


def _await_all(journal: Path, count: int) -> dict[str, float]:
    """When the first mail of each recipient was accepted, once all `count` have one."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(found := read_journal(journal)) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count - len(found)} of {count} confirmations did not come: {journal}")
        time.sleep(1)
    return {recipient: times[0] for recipient, times in found.items()}
