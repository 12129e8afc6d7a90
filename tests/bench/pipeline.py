"""Job `pipeline`: Avro orders through a worker with all live flows to commands and timers, and the time of each part of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Producer

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.definitions.loader import load_ruleset
from streams.tools.local.processes import Process
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.bench.context import BENCH_DIR, Context, Result, bench_templates, median, steady_rate
from tests.harness.fixed_flows import FLOWS

ORDERS = 150_000
SAMPLE = 20_000


def worker_env(context: Context, run_id: str, flows: frozenset[str] = FLOWS) -> dict[str, str]:
    """Return the settings of a worker with its own group and state, and with some of the shipped flows; the topics are shared."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": context.kafka.bootstrap,
        "TAKK_APP_ID": run_id,
        "TAKK_STATE_DIR": str(context.state / run_id),
        "TAKK_GROUP_INSTANCE_ID": run_id,
        "TAKK_TEMPLATES_DIR": str(bench_templates(flows)),
        "TAKK_MAIL_SECRET": "5d6ad4a0c4b1f2e79a3c8d5e",
    }


def placed_orders(count: int) -> Iterable[tuple[bytes, dict[str, Any]]]:
    """Yield key and record of `count` orders that the simulated shop placed."""
    count_so_far = 0
    for event in Shop(11, 1000.0, 86_400.0).records(datetime.now(UTC), count / 500):
        if event.topic == topics.ORDERS and event.record["kind"] == "placed":
            yield event.key, event.record
            count_so_far += 1
            if count_so_far == count:
                return


def produce_orders(context: Context, orders: Iterable[tuple[bytes, dict[str, Any]]]) -> int:
    """Write orders to the topic `orders`, and return their number."""
    codec = open_codec()
    producer = context.producer()
    count = 0
    for key, record in orders:
        producer.produce(topics.ORDERS, codec.encode("order", record), key)
        producer.poll(0)
        count += 1
    producer.flush()
    return count


def orders_read(series: dict[str, float]) -> float:
    """Return the number of orders that a worker has read and committed, from its metrics."""
    return series.get(f'takk_records_in_total{{stage="flows",topic="{topics.ORDERS}"}}', 0.0)


def run(context: Context) -> list[Result]:
    """Measure the rate between 10 % and 95 % of the orders, then the time of each part of the work."""
    context.reset_topics()
    context.log(f"producing {ORDERS:,} Avro orders")
    count = produce_orders(context, placed_orders(ORDERS))
    rates, cpu = [], []
    for number in range(context.runs):
        run_id = context.new_run_id("pipeline")
        process = Process("worker", worker_env(context, run_id), BENCH_DIR / f"{run_id}.log")
        rate, cpu_us = steady_rate(process, count, orders_read)
        rates.append(rate)
        cpu.append(cpu_us)
        context.log(f"pipeline {number + 1}/{context.runs}: {rates[-1]:,.0f} orders/s")
    figures = {"worker_cpu_s_per_million": round(median(cpu)), **breakdown(context)}
    return [Result("pipeline", "takk", median(rates), "exactly once", count, [round(r, 1) for r in rates], figures)]


def breakdown(context: Context) -> dict[str, float]:
    """Return the µs per order of each part of the work, for `SAMPLE` orders in this process."""
    codec = open_codec()
    decoder, encoder, ruleset = Decoder(codec), Encoder(codec), load_ruleset(bench_templates())
    raw = [(key, codec.encode("order", record)) for key, record in placed_orders(SAMPLE)]
    now = datetime.now(UTC)
    now_ms = int(now.timestamp() * 1000)
    figures: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        figures[name] = round((time.perf_counter() - started) / len(raw) * 1e6, 1)
        return result

    events = timed("decode_us", lambda: [decoder.event(topics.ORDERS, key, value, now_ms) for key, value in raw])
    states: dict[bytes, Any] = {}
    effects: list[Any] = []

    def core() -> None:
        for (key, _), event in zip(raw, events, strict=True):
            state = states.get(key) or new_customer(key.decode())
            states[key], new_effects = advance(ruleset, state, event, now)
            effects.extend(new_effects)

    timed("core_us", core)
    outputs = timed("encode_us", lambda: [encoder.effects.encode(effect, now) for effect in effects])
    packed = [encode_customer(state) for state in states.values()]
    times = max(1, len(raw) // len(packed))
    timed("state_us", lambda: [decode_customer(encode_customer(s)) for _ in range(times) for s in states.values()])
    context.create_topics("bench-produce")
    producer = Producer({"bootstrap.servers": context.kafka.bootstrap, "queue.buffering.max.messages": 1_000_000})
    timed("produce_us", lambda: [producer.produce("bench-produce", v, k, headers=h) for _, k, v, h in outputs])
    timed("flush_us", producer.flush)
    figures["outputs_per_order"] = round(len(outputs) / len(raw), 2)
    return figures
