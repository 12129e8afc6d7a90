"""Prepared incidents for people who learn to be on call: `python -m tests.harness.incidents NAME`.

The stack is healthy for a minute. Then the incident begins, and lasts until Ctrl-C. The output does not name its cause: look at the
dashboards with `python -m tests.harness.dashboard_picture`, query the Prometheus whose address is printed, and follow the runbooks.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from aiosmtpd.smtp import Envelope
from confluent_kafka import Producer

from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from tests.harness import records
from tests.harness.observed_stack import open_observed_stack
from tests.harness.stack import ShopClosed, Stack

#: Seconds that one day of waiting takes, orders per second, seconds before the incident.
DAY_S, ORDERS_PER_S, HEALTHY_S = 60.0, 5.0, 60.0
#: Seconds between two scrapes, and until a scrape times out. A busy machine may not answer within one second.
SCRAPE_S = 5.0
#: Codes in the pool, so that it does not run empty.
CODES = 5_000
#: The slow mail server needs so many seconds per email, on all connections together.
SLOW_EMAIL_S = 1.0
#: Share of the orders that are invalid, and orders per second of one customer.
POISONED_SHARE, HOT_ORDERS_PER_S = 0.3, 500
#: A change of a record of the shop.
Change = Callable[[str, dict[str, Any]], dict[str, Any]]


class Trade:
    """The shop's records in real time, on a thread. `change` may replace each record before it is published."""

    def __init__(self, stack: Stack, day_s: float) -> None:
        self.change: Change = lambda topic, record: record
        self._stack = stack
        self._shop = Shop(3, ORDERS_PER_S, day_s)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shop")

    def __enter__(self) -> Trade:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        producer = Producer({**self._stack.settings.kafka(), "partitioner": "murmur2_random", "linger.ms": 5})

        def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
            producer.produce(topic, self._stack.codec.encode(schema, self.change(topic, record)), key)
            producer.poll(0)
            if self._is_over.is_set():
                raise ShopClosed

        for record in self._shop.catalogue(datetime.now(UTC)):
            produce(*record)
        with suppress(ShopClosed):
            asyncio.run(self._shop.run(produce, 86_400.0))
        producer.flush(10)


def fill_pool(stack: Stack) -> None:
    """Add enough codes for all customers."""
    expires = datetime.now(UTC) + timedelta(days=9)
    for number in range(CODES):
        stack.enqueue(topics.CODES, b"spring-10", records.discount_code(code=f"CODE-{number}", expires_at=expires))
    stack.produce(topics.CODES, b"spring-10", records.discount_code(code="LAST", expires_at=expires))


def slow_down_mail_server(stack: Stack, trade: Trade) -> None:
    """Let the mail server answer slowly."""

    def answer(envelope: Envelope) -> str | None:
        time.sleep(SLOW_EMAIL_S)
        return None

    stack.inbox.behaviour = answer


def heat_partition(stack: Stack, trade: Trade) -> None:
    """Publish orders of one customer faster than the stages of one partition can process them."""
    customer, count = "c-busy", itertools.count()

    def publish() -> None:
        producer = Producer({**stack.settings.kafka(), "partitioner": "murmur2_random", "linger.ms": 20})
        while True:
            due, now = time.monotonic() + 0.1, datetime.now(UTC)
            for number in itertools.islice(count, HOT_ORDERS_PER_S // 10):
                order = records.order(order_id=f"o-busy-{number}", customer_id=customer, placed_at=now, occurred_at=now)
                value = stack.codec.encode(topics.SCHEMA_OF[topics.ORDERS], order)
                producer.produce(topics.ORDERS, value, customer.encode())
            # Waits while the broker is slow, so that the queue of the producer does not overflow.
            producer.flush(10)
            time.sleep(max(0.0, due - time.monotonic()))

    threading.Thread(target=publish, name="orders", daemon=True).start()


def poison_orders(stack: Stack, trade: Trade) -> None:
    """Let the shop publish invalid orders, as after a faulty release."""
    count = itertools.count()

    def change(topic: str, record: dict[str, Any]) -> dict[str, Any]:
        is_poisoned = topic == topics.ORDERS and next(count) % 10 < 10 * POISONED_SHARE
        return {**record, "currency": "kr."} if is_poisoned else record

    trade.change = change


INCIDENTS: dict[str, Callable[[Stack, Trade], None]] = {
    "healthy": lambda stack, trade: None,
    "mail-server-slow": slow_down_mail_server,
    "hot-partition": heat_partition,
    "poisoned-input": poison_orders,
}


@click.command()
@click.argument("name", type=click.Choice(sorted(INCIDENTS)))
def main(name: str) -> None:
    """Run a stack with an incident until Ctrl-C, with a Prometheus that has the rules and alerts of deploy/."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell lets its background jobs ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="takk-") as folder:
        click.echo("starting (about 30 seconds) ...")
        with open_observed_stack(Path(folder), DAY_S, SCRAPE_S) as observed, Trade(observed.stack, DAY_S) as trade:
            fill_pool(observed.stack)
            click.echo(f"Prometheus: {observed.prometheus.url}")
            click.echo(f"settings of `takk` commands: {_settings(observed.stack)}")
            click.echo("Press Ctrl-C to stop.")
            with suppress(KeyboardInterrupt):
                time.sleep(HEALTHY_S)
                INCIDENTS[name](observed.stack, trade)
                while True:
                    time.sleep(1.0)
            observed.stack.inbox.behaviour = None
            click.echo("stopping ...")


def _settings(stack: Stack) -> str:
    names = ("KAFKA_BOOTSTRAP_SERVERS", "TAKK_TEMPLATES_DIR", "SMTP_HOST", "SMTP_PORT", "TAKK_MAIL_SECRET", "DAY")
    return " ".join(f"{name}={stack.env[name]}" for name in names)


if __name__ == "__main__":
    main()
