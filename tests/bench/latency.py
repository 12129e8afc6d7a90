"""Job `latency`: seconds from a produced order to its accepted confirmation, at a steady rate of orders."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path
from typing import TypeAlias

from streams.tools.local.processes import Process
from streams.wire import topics
from streams.wire.codec import open_codec
from tests.bench.context import BENCH_DIR, Context, Result, median
from tests.bench.mailer import mailer_env
from tests.bench.pipeline import placed_orders, worker_env
from tests.bench.sink import read_journal, small_sink
from tests.harness.fixed_flows import CARE, TRANSACTIONAL

#: Orders per second.
RATES = (500, 1_000)
#: Seconds of orders. Orders of the first seconds warm up caches and connections, and are not counted.
SECONDS = 30
WARM_UP_S = 5
#: Orders before them, whose confirmations are waited for. A broker that has just started takes three times the CPU time.
FIRST_ORDERS = 3_000
#: The live flows: those that an order starts in most shops.
FLOWS = TRANSACTIONAL | CARE
#: Seconds to wait for the last email.
TIMEOUT_S = 60

#: A customer, and their order as a record.
Order: TypeAlias = tuple[str, bytes]


def run(context: Context) -> list[Result]:
    """Measure one worker and one mailer with the benchmark's sink, with orders of distinct customers that are encoded beforehand."""
    return [_row(context, rate) for rate in RATES]


def _row(context: Context, rate: int) -> Result:
    orders = _orders(FIRST_ORDERS + rate * SECONDS)
    rates, p50s, p99s = [], [], []
    for number in range(context.runs):
        actual_rate, p50, p99 = _once(context, orders[:FIRST_ORDERS], orders[FIRST_ORDERS:], rate)
        rates.append(actual_rate)
        p50s.append(p50)
        p99s.append(p99)
        context.log(
            f"latency {number + 1}/{context.runs}: {actual_rate:,.0f} orders/s, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
        )
    figures = {"p50_ms": round(statistics.median(p50s) * 1000), "p99_ms": round(statistics.median(p99s) * 1000)}
    return Result(
        "latency", "takk", median(rates), "exactly once", rate * SECONDS, [round(r, 1) for r in rates], figures
    )


def _orders(count: int) -> list[Order]:
    """Return `count` orders of different customers."""
    codec, orders = open_codec(), []
    for number, (_, record) in enumerate(placed_orders(count)):
        name = f"l{number}"
        order = {**record, "order_id": f"L{number}", "customer_id": name, "email": f"{name}@post.example"}
        orders.append((name, codec.encode("order", order)))
    return orders


def _once(context: Context, first: list[Order], orders: list[Order], rate: int) -> tuple[float, float, float]:
    """Return the orders produced per second, and the 50th and 99th percentile of the latency in seconds, of one run.

    Raises:
        RuntimeError: a confirmation is missing.
    """
    context.reset_topics()  # otherwise this worker would also read the orders of the run before
    run_id = context.new_run_id("latency")
    journal = context.state / f"{run_id}.txt"
    with small_sink(journal) as port:
        worker = Process("worker", worker_env(context, run_id, FLOWS), BENCH_DIR / f"{run_id}-worker.log")
        mailer = Process("mailer", mailer_env(context, run_id, port, FLOWS), BENCH_DIR / f"{run_id}-mailer.log")
        try:
            for process in (worker, mailer):
                process.start()
            for process in (worker, mailer):
                process.await_ready()
            _produce(context, first, rate)
            _await_all(journal, len(first))
            produced = _produce(context, orders, rate)
            accepted = _await_all(journal, len(first) + len(orders))
        finally:
            for process in (worker, mailer):
                process.stop()
    shutil.rmtree(context.state / run_id, ignore_errors=True)
    warm = produced[orders[0][0]] + WARM_UP_S
    waits = [accepted[f"{name}@post.example"] - at for name, at in produced.items() if at >= warm]
    cuts = statistics.quantiles(waits, n=100)
    duration_s = produced[orders[-1][0]] - produced[orders[0][0]]
    return (len(orders) - 1) / duration_s, cuts[49], cuts[98]


def _produce(context: Context, orders: list[Order], rate: int) -> dict[str, float]:
    """Produce `rate` orders per second. Return the Unix time at which each was produced, by customer."""
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
    """Wait until all `count` recipients have an email, and return the Unix time at which the first of each was accepted."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(accepted := read_journal(journal)) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count - len(accepted)} of {count} confirmations are missing: {journal}")
        time.sleep(1)
    return {recipient: times[0] for recipient, times in accepted.items()}
