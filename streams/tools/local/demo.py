"""The demo: a whole world on this machine, watched for a while, then judged by the oracle."""

from __future__ import annotations

import asyncio
import heapq
import json
import secrets
import shutil
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.definitions.loader import load_ruleset
from streams.runtime.avro.codec import Codec, DecodeFailed
from streams.settings import Settings
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.oracle import Verdict, judge, read_all
from streams.tools.local.processes import Process
from streams.tools.local.shop.shop import Shop
from streams.tools.operations.customer_story import read_timeline
from streams.tools.operations.timeline_text import format_timeline
from streams.tools.simulation.history import TOPICS, write_file
from streams.wire import topics
from streams.wire.codec import open_codec

#: Where a demo leaves its summary, logs and state; each run begins anew.
DEMO_DIR = Path(".takk/demo")
#: Seconds without any new record after which the world is at rest.
QUIET_S = 3.0
#: Seconds to wait for that rest.
DRAIN_PATIENCE_S = 90.0
#: Timers due less than this before the stop may still have been on their way.
TIMER_GRACE_MS = 5_000


@dataclass
class Seen:
    """What the demo has seen on `email-events` so far."""

    mails: Counter[str] = field(default_factory=Counter)
    order_to_mail: list[float] = field(default_factory=list)
    customers: dict[str, str] = field(default_factory=dict)
    #: Somebody whose story is worth telling: the last who was asked for a review.
    customer: str | None = None


class Recipients:
    """Read `email-events` and do what recipients do with a mail that was sent, on a thread of their own."""

    def __init__(self, kafka: Mapping[str, str], codec: Codec, shop: Shop, seen: Seen) -> None:
        self._kafka = dict(kafka)
        self._codec = codec
        self._shop = shop
        self._seen = seen
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recipients")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; reactions that were not due yet are dropped."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = Consumer({**self._kafka, "group.id": "takk-demo-recipients", "isolation.level": "read_committed"})
        producer = Producer({**self._kafka, "partitioner": "murmur2_random", "linger.ms": 5})
        parts = consumer.list_topics(topics.EVENTS, timeout=30).topics[topics.EVENTS].partitions
        consumer.assign([TopicPartition(topics.EVENTS, number, 0) for number in parts])
        due: list[tuple[float, int, dict[str, Any]]] = []
        count = 0
        while not self._over.is_set():
            for message in consumer.consume(500, 0.05):
                if message.error() is None:
                    for delay, record in self._react(self._codec.decode("email_event", message.value())):
                        count += 1
                        heapq.heappush(due, (time.time() + delay, count, record))
            while due and due[0][0] <= time.time():
                record = heapq.heappop(due)[2]
                value = self._codec.encode("engagement", record)
                producer.produce(topics.ENGAGEMENT, value, record["customer_id"].encode())
            producer.poll(0)
        producer.flush(10)
        consumer.close()

    def _react(self, event: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
        if event["outcome"] != "sent":
            return []
        self._seen.mails[event["flow"]] += 1
        self._seen.customers[event["send_id"]] = event["customer_id"]
        if event["flow"] == "review" or self._seen.customer is None:
            self._seen.customer = event["customer_id"]
        if event["flow"] == "order-confirmation" and event["order_placed_at"]:
            self._seen.order_to_mail.append((event["occurred_at"] - event["order_placed_at"]).total_seconds())
        return self._shop.recipient_reaction(event["send_id"], event["customer_id"], event["occurred_at"])


def run(settings: Settings, *, seconds: float | None, rate: float, seed: int = 7) -> int:
    """Run the demo for `seconds` (None: until Ctrl-C) at `rate` orders a second; return the exit code: 1 if a mail was lost or doubled."""
    console = Console(stderr=False, highlight=False)
    shutil.rmtree(DEMO_DIR, ignore_errors=True)
    DEMO_DIR.mkdir(parents=True)
    started = time.monotonic()
    with ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka())
        inbox = stack.enter_context(Inbox(journal=DEMO_DIR / "inbox.jsonl"))
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(inbox.smtp_port),
            "TAKK_STATE_DIR": str(DEMO_DIR / "state"),
            "TAKK_MAIL_SECRET": secrets.token_urlsafe(32),
            "TAKK_GROUP_INSTANCE_ID": "demo",
            "DAY": str(settings.day_scale_seconds),
        }
        ours = settings.model_copy(update={"kafka_bootstrap_servers": kafka.bootstrap})
        topics.create_topics(ours)
        processes = [Process(role, env, DEMO_DIR / f"{role}.log") for role in ("worker", "mailer")]
        for process in processes:
            process.start()
            stack.callback(process.stop)
        for process in processes:
            process.await_ready()
        console.print(f"inbox    {inbox.web_url}   (the mails, to read)")
        console.print(f"metrics  {processes[0].metrics_url}   {processes[1].metrics_url}")
        console.print(
            f"ready after {time.monotonic() - started:.1f} s; a day of waiting lasts {settings.day_scale_seconds:g} s\n"
        )
        codec = open_codec(ours.schema_registry_url, schemas=ours.schemas_dir)
        shop = Shop(seed, rate, settings.day_scale_seconds)
        seen = Seen()
        recipients = Recipients(ours.kafka(), codec, shop, seen)
        recipients.start()
        stack.callback(recipients.stop)
        try:
            asyncio.run(_trade(shop, codec, ours, seconds, processes, seen, console))
        except KeyboardInterrupt:
            console.print("stopping ...")
        drained = _drain(ours, console)
        example = _example(ours, seen)
        recipients.stop()
        stopped_ms = int(time.time() * 1000)
        codes = [process.stop() for process in processes]
        summary = _judge(ours, codec, inbox, seen, stopped_ms, shop)
        summary |= {"drained": drained, "exit_codes": codes, "seconds": round(time.monotonic() - started, 1)}
    (DEMO_DIR / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _report(summary, console)
    console.print("\n".join(example), soft_wrap=True, markup=False, highlight=False)
    return 0 if summary["lost"] == summary["duplicates"] == 0 and not summary["problems"] else 1


async def _trade(
    shop: Shop,
    codec: Codec,
    settings: Settings,
    seconds: float | None,
    processes: list[Process],
    seen: Seen,
    console: Console,
) -> None:
    producer = Producer({**settings.kafka(), "partitioner": "murmur2_random", "linger.ms": 5})

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        producer.produce(topic, codec.encode(schema, record), key)
        producer.poll(0)

    async def show() -> None:
        began = time.monotonic()
        with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
            while True:
                await asyncio.sleep(1 if live else 5)
                measured = [await asyncio.to_thread(process.metrics) for process in processes]
                rows = _line(time.monotonic() - began, shop, seen, measured)
                if live:
                    live.update(_table(rows), refresh=True)
                else:
                    console.print("  ".join(f"{name}={value}" for name, value in rows.items()), soft_wrap=True)

    for fact in shop.catalogue(datetime.now(UTC)):
        produce(*fact)
    screen = asyncio.create_task(show())
    try:
        await shop.run(produce, seconds if seconds is not None else 365 * 86_400)
    finally:
        screen.cancel()
        producer.flush(10)


def _line(elapsed: float, shop: Shop, seen: Seen, measured: list[dict[str, float]]) -> dict[str, str]:
    def total(name: str) -> float:
        return sum(m.get(name, 0.0) for m in measured)

    late = total("takk_timer_lateness_seconds_sum") / max(1.0, total("takk_timer_lateness_seconds_count"))
    p50, p99 = _quantiles(seen.order_to_mail[-2000:])
    return {
        "seconds": f"{elapsed:.0f}",
        "orders": str(shop.placed),
        **{flow: str(count) for flow, count in sorted(seen.mails.items())},
        "opens": f"{total('takk_opens_total'):.0f}",
        "clicks": f"{total('takk_clicks_total'):.0f}",
        "lag": f"{total('takk_lag_records'):.0f}",
        "timers late": f"{late * 1000:.0f} ms",
        "order to mail p50": f"{p50 * 1000:.0f} ms",
        "p99": f"{p99 * 1000:.0f} ms",
    }


def _table(rows: Mapping[str, str]) -> Table:
    table = Table(title="Takk", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right", min_width=10)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _quantiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _drain(settings: Settings, console: Console) -> bool:
    """Wait until no topic has grown for `QUIET_S`; return whether that came about within `DRAIN_PATIENCE_S`."""
    console.print("the shop is closed; waiting until everything under way has arrived ...")
    consumer = Consumer({**settings.kafka(), "group.id": "takk-demo-drain"})
    deadline = time.monotonic() + DRAIN_PATIENCE_S
    found = consumer.list_topics(timeout=10).topics
    places = [TopicPartition(spec.name, number) for spec in topics.TOPICS for number in found[spec.name].partitions]
    last, since = -1, time.monotonic()
    try:
        while time.monotonic() < deadline:
            ends = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
            if ends != last:
                last, since = ends, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                return True
            time.sleep(0.25)
        return False
    finally:
        consumer.close()


def _judge(settings: Settings, codec: Codec, inbox: Inbox, seen: Seen, stopped_ms: int, shop: Shop) -> dict[str, Any]:
    records = read_all(settings.kafka(), topics.SCHEMA_OF)
    ruleset = load_ruleset(settings.templates_dir, day_scale=settings.day_scale)
    arrived = Counter(mail.send_id for mail in inbox.mails())
    verdict: Verdict = judge(records, ruleset, codec, arrived, settings.partitions, stopped_ms - TIMER_GRACE_MS)
    for topic in TOPICS:
        write_file(DEMO_DIR / "history" / f"{topic}.avro", topic, _decodable(codec, topic, records[topic]))
    dead = [codec.decode("dead_letter", record.value()) for record in records[topics.DEAD_LETTERS]]
    p50, p99 = _quantiles(seen.order_to_mail)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "orders": shop.placed,
        "mails": sum(arrived.values()),
        "mails_by_flow": dict(sorted(seen.mails.items())),
        "expected": len(verdict.sends),
        "lost": len(verdict.lost),
        "duplicates": len(verdict.duplicates),
        "unknown": len(verdict.unknown),
        "dead_letters": len(dead),
        "dead_letters_by_reason": dict(Counter(letter["reason"] for letter in dead)),
        "decisions": len(records[topics.DECISIONS]),
        "order_to_mail_p50_s": round(p50, 4),
        "order_to_mail_p99_s": round(p99, 4),
        "problems": verdict.problems,
        "day": f"{settings.day_scale_seconds:g}s",
    }


def _decodable(codec: Codec, topic: str, records: list[Any]) -> list[Any]:
    """The records that can be read; what is rubbish lies on dead-letters."""
    found = []
    for record in records:
        with suppress(DecodeFailed):
            found.append(codec.decode(topics.SCHEMA_OF[topic], record.value() or b""))
    return found


def _example(settings: Settings, seen: Seen) -> list[str]:
    """What `takk why` says of one customer."""
    if seen.customer is None:
        return []
    return [f"\ntakk why {seen.customer}", *format_timeline(read_timeline(settings, seen.customer))]


def _report(summary: Mapping[str, Any], console: Console) -> None:
    for problem in summary["problems"]:
        console.print(f"the oracle found: {problem}")
    flows = ", ".join(f"{flow} {count}" for flow, count in summary["mails_by_flow"].items())
    console.print(
        f"\norders={summary['orders']} mails={summary['mails']} ({flows}) lost={summary['lost']} duplicates={summary['duplicates']} "
        f"dead_letters={summary['dead_letters']} order_to_mail p50={summary['order_to_mail_p50_s'] * 1000:.0f}ms "
        f"p99={summary['order_to_mail_p99_s'] * 1000:.0f}ms"
    )
    console.print(
        f"more in {DEMO_DIR / 'summary.json'}; logs beside it, and the shop's history, to try other flows on:"
    )
    console.print(
        f"  DAY={summary['day']} takk simulate --flow review@off $(printf ' --from %s' {DEMO_DIR}/history/*.avro)",
        soft_wrap=True,
    )
