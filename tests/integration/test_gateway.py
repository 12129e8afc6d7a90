"""The gateway as a process: links over HTTP, Kafka that goes away, stops, kills, a successor, and two gateways with one name."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from confluent_kafka.admin import AdminClient

from streams.mail.tokens import LinkKeys
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.committed import read_all
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.codec import CODEC
from tests.harness.kafka_proxy import KafkaProxy
from tests.harness.probe import probe
from tests.harness.stack import wait_until

SECRET = "5d6ad4a0c4b1f2e79a3c8d5e"
KEYS = LinkKeys("shop", SECRET.encode())
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
SHOP = "https://shop.example/p/1"


@dataclass
class Running:
    """A gateway behind a proxy to the broker.

    Attributes:
        process: the gateway; each test starts it.
        proxy: between the gateway and the broker.
        name: the prefix of the send ids of this test, by which its records are found.
    """

    process: Process
    proxy: KafkaProxy
    kafka: EmbeddedKafka
    name: str

    def start(self) -> None:
        """Start the gateway, and wait until it publishes directly."""
        self.process.start()
        self.process.await_ready()
        wait_until(lambda: is_direct(self), "it is direct")

    def settings(self) -> dict[str, str]:
        """Return the librdkafka settings of the broker itself."""
        return {"bootstrap.servers": self.kafka.bootstrap}

    def engagement(self) -> list[dict[str, Any]]:
        """Return the decoded engagement of this test."""
        records = read_all(self.settings(), [topics.ENGAGEMENT])[topics.ENGAGEMENT]
        decoded = [CODEC.decode("engagement", record.value()) for record in records]
        return [record for record in decoded if (record["send_id"] or "").startswith(self.name)]

    def lines(self) -> list[str]:
        """Return the events of its log, all lines of which are JSON."""
        return [json.loads(line)["event"] for line in self.process.log_file.read_text().splitlines()]


@pytest.fixture
def running(kafka: EmbeddedKafka, tmp_path: Path) -> Iterator[Running]:
    """A gateway that is not started yet, with Kafka behind a proxy."""
    with KafkaProxy(kafka.port) as proxy:
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": proxy.bootstrap,
            "TAKK_STATE_DIR": str(tmp_path / "state"),
            "TAKK_APP_ID": tmp_path.name[:60],
            "TAKK_MAIL_SECRET": SECRET,
            "TAKK_PARTITIONS": "3",  # as in all modules with this broker
            "TAKK_GATEWAY_REQUESTS_PER_MINUTE": "1000000",
        }
        process = Process("gateway", env, tmp_path / "gateway.log")
        try:
            yield Running(process, proxy, kafka, tmp_path.name)
        finally:
            process.kill()


async def follow(session: aiohttp.ClientSession, url: str, number: int, name: str) -> str:
    """Follow a link, open a pixel, or unsubscribe; return the send id once the request is answered with success."""
    send_id = f"{name}-{number}"
    use = ("c", "o", "u")[number % 3]
    target = {"c": SHOP, "o": "", "u": "marketing"}[use]
    token = KEYS.seal(use, f"c-{number % 7}", send_id, target, datetime.now(UTC))  # type: ignore[arg-type]  # one of three
    body = {"List-Unsubscribe": "One-Click"} if use == "u" else None
    method = session.post if use == "u" else session.get
    async with method(f"{url}/{use}/{token}", data=body, allow_redirects=False) as answer:
        assert answer.status == (302 if use == "c" else 200), (answer.status, await answer.text())
        await answer.read()
    return send_id


async def load(running: Running, is_over: asyncio.Event, sent: list[asyncio.Task[str]]) -> list[str]:
    """Add requests to `sent` until the event is set; return the send ids. Each request must succeed."""
    async with aiohttp.ClientSession(headers=BROWSER) as session, asyncio.TaskGroup() as requests:
        while not is_over.is_set():
            request = follow(session, running.process.public_url, len(sent), running.name)
            sent.append(requests.create_task(request))
            await asyncio.sleep(0.02)
    return [request.result() for request in sent]


async def sent_more(tasks: list[asyncio.Task[str]], requests: asyncio.Task[list[str]]) -> None:
    """Wait until 50 more requests are sent, or one has failed."""
    before = len(tasks)
    while len(tasks) < before + 50 and not requests.done():  # noqa: ASYNC110 - the list has no event for it
        await asyncio.sleep(0.01)


def send(running: Running, count: int, start: int = 0) -> list[str]:
    """Send some requests, and return their send ids."""

    async def run() -> list[str]:
        async with aiohttp.ClientSession(headers=BROWSER) as session:
            numbers = range(start, start + count)
            requests = [follow(session, running.process.public_url, number, running.name) for number in numbers]
            return await asyncio.gather(*requests)

    return asyncio.run(run())


def is_direct(running: Running) -> bool:
    """Return whether the gateway publishes directly, with an empty spool."""
    metrics = running.process.metrics()
    return metrics.get("takk_gateway_spooling") == 0 and metrics["takk_gateway_spool_records"] == 0


def test_links_of_an_email(running: Running) -> None:
    """The gateway creates its topics, requests become records on them, it is ready only with Kafka, and it stops cleanly."""
    running.start()
    existing = AdminClient(running.settings()).list_topics(timeout=10).topics
    assert {topics.ENGAGEMENT, topics.CUSTOMER_PAGES, topics.REVIEWS} <= existing.keys()
    sent = send(running, 9)
    found = running.engagement()
    assert sorted(record["send_id"] for record in found) == sorted(sent)
    assert Counter(record["kind"] for record in found) == {"clicked": 3, "opened": 3, "unsubscribed": 3}
    assert {record["agent"] for record in found if record["kind"] != "unsubscribed"} == {"human"}
    series = running.process.series()
    assert series['takk_gateway_requests_total{route="click",status="3xx"}'] == 3
    assert series['takk_gateway_records_total{topic="email-engagement"}'] == 9
    assert not [name for name in series if name.startswith(("takk_mails_total", "takk_lag_records", "takk_records_in"))]
    assert running.process.stop() == 0
    assert running.lines()[-1] == "gateway stopped"
    log = running.process.log_file.read_text()
    assert not [secret for secret in (SHOP, "c-1", *sent) if secret in log]


def test_kafka_is_away_under_load(running: Running) -> None:
    """While Kafka is away for some seconds under load, every request is answered, and each then has its record."""
    running.start()

    async def run() -> list[str]:
        is_over = asyncio.Event()
        tasks: list[asyncio.Task[str]] = []
        requests = asyncio.create_task(load(running, is_over, tasks))
        await sent_more(tasks, requests)
        running.proxy.stop()
        await asyncio.to_thread(
            wait_until, lambda: running.process.metrics().get("takk_gateway_spool_records", 0) > 100, "it spools"
        )
        assert probe(running.process, "/readyz")[0] == 200
        running.proxy.start()
        await asyncio.to_thread(wait_until, lambda: is_direct(running), "the spool is empty")
        await sent_more(tasks, requests)
        is_over.set()
        return await requests

    sent = asyncio.run(run())
    found = running.engagement()
    assert {record["send_id"] for record in found} == set(sent)
    ids = {(record["send_id"], record["event_id"]) for record in found}
    assert len(ids) == len(sent), "a request has one event id, however often its record was written"


@pytest.mark.campaign
def test_a_restart_while_kafka_is_away(running: Running) -> None:
    """A gateway that is stopped or killed while Kafka is away leaves its spool to the next one, which is ready without Kafka."""
    running.start()
    running.proxy.stop()
    sent = send(running, 6)
    assert running.process.stop() == 0
    running.process.start()
    wait_until(lambda: probe(running.process, "/readyz")[0] == 200, "it is ready without Kafka")
    sent += send(running, 6, start=6)
    running.process.signal(signal.SIGKILL)
    wait_until(lambda: not running.process.is_alive, "it is dead")
    running.process.start()
    wait_until(lambda: probe(running.process, "/readyz")[0] == 200, "it is ready without Kafka")
    assert running.process.metrics()["takk_gateway_spool_records"] == 12
    running.proxy.start()
    wait_until(lambda: is_direct(running), "the spool is empty")
    assert {record["send_id"] for record in running.engagement()} == set(sent)


def test_a_first_start_without_kafka(running: Running) -> None:
    """A gateway whose topics do not exist yet takes requests, and publishes them once Kafka answers."""
    running.proxy.stop()
    running.process.start()
    wait_until(lambda: probe(running.process, "/readyz")[0] == 200, "it is ready without Kafka")
    sent = send(running, 3)
    running.proxy.start()
    wait_until(lambda: is_direct(running), "the spool is empty")
    assert {record["send_id"] for record in running.engagement()} == set(sent)


def test_two_gateways_with_one_name(running: Running, tmp_path: Path) -> None:
    """The second gateway with the name and the disk of the first waits for the spool, says so, and takes over when the first ends."""
    running.process.start()
    running.process.await_ready()
    second = Process("gateway", running.process.settings, tmp_path / "second.log")
    second.start()
    try:
        wait_until(lambda: probe(second, "/readyz")[1].startswith("waiting for the spool"), "it waits")
        assert probe(second, "/readyz")[0] == 503
        assert running.process.stop() == 0
        second.await_ready()
        assert second.stop() == 0
    finally:
        second.kill()


def test_a_port_in_use(running: Running, tmp_path: Path) -> None:
    """A gateway whose port is in use ends with a message that names the setting."""
    running.process.start()
    running.process.await_ready()
    env = {**running.process.settings, "TAKK_GROUP_INSTANCE_ID": "other"}
    second = Process("gateway", env, tmp_path / "second.log")
    second.settings["TAKK_GATEWAY_PORT"] = running.process.settings["TAKK_GATEWAY_PORT"]
    second.start()
    wait_until(lambda: not second.is_alive, "it has ended")
    assert second.exit_code == 1
    assert "set TAKK_GATEWAY_PORT" in second.log_file.read_text()
