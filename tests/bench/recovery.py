"""Job `recovery`: seconds from kill -9 of a worker with 200,000 customers on disk until it has processed a new order."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams.settings import load_settings
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.bench.context import BENCH_DIR, Context, Result, median
from tests.bench.pipeline import orders_read, placed_orders, produce_orders, worker_env

CUSTOMERS = 200_000


def run(context: Context) -> list[Result]:
    """Fill the state, then kill and restart the worker `context.runs` times. The disk is kept."""
    topics.create_topics(load_settings(kafka_bootstrap_servers=context.kafka.bootstrap))
    run_id = context.new_run_id("recovery")
    process = Process("worker", worker_env(context, run_id), BENCH_DIR / f"{run_id}.log")
    _, template = next(iter(placed_orders(1)))

    def order_of(number: int) -> tuple[bytes, dict[str, Any]]:
        customer = f"{run_id}-{number}"
        return customer.encode(), {
            **template,
            "customer_id": customer,
            "order_id": f"o-{customer}",
            "placed_at": datetime.now(UTC),
        }

    try:
        process.start()
        process.await_ready()
        before = orders_read(process.series())
        context.log(f"filling the state with {CUSTOMERS:,} customers")
        produce_orders(context, (order_of(n) for n in range(CUSTOMERS)))
        while orders_read(process.series()) - before < CUSTOMERS:
            time.sleep(0.2)
        seconds = []
        for number in range(context.runs):
            consumer = Consumer(
                {
                    "bootstrap.servers": context.kafka.bootstrap,
                    "group.id": "bench-recovery",
                    "isolation.level": "read_committed",
                }
            )
            ends = [
                TopicPartition(
                    topics.COMMANDS, p, consumer.get_watermark_offsets(TopicPartition(topics.COMMANDS, p))[1]
                )
                for p in range(4)
            ]
            consumer.assign(ends)
            killed = time.time()
            process.kill()
            process.start()
            key, record = order_of(CUSTOMERS + number)
            produce_orders(context, [(key, record)])
            while (message := consumer.poll(0.05)) is None or message.key() != key:
                pass
            seconds.append(time.time() - killed)
            consumer.close()
            process.await_ready()
            context.log(f"recovery {number + 1}/{context.runs}: {seconds[-1]:.1f} s")
    finally:
        process.stop()
    return [
        Result("recovery", "takk", 0.0, "exactly once", CUSTOMERS, [], {"seconds": round(median(seconds), 2), "slowest_s": round(max(seconds), 2)})
    ]  # fmt: skip
