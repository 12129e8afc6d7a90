"""kill -9 in mid-run: whatever is killed, the inbox, the outputs and the state are what a recomputation from the input says."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from streams import topics
from streams.flow_files import load_world
from streams.local.inbox import Inbox
from streams.local.kafka import EmbeddedKafka
from streams.local.oracle import judge, read_all
from streams.local.shop import Shop
from streams.local.world import Process
from streams.runtime.avro import Codec
from streams.runtime.store import Memory, PartitionStore
from streams.settings import Settings, load_settings
from streams.wire import open_codec

DAY_S = 1.0
SECONDS = 20.0


class Town:
    """A worker, a mailer, an inbox and a shop that can be killed and judged."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, inbox: Inbox) -> None:
        self.folder = folder
        self.inbox = inbox
        self.settings: Settings = load_settings(
            kafka_bootstrap_servers=kafka.bootstrap, day_scale_seconds=DAY_S, state_dir=folder / "state"
        )
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(inbox.smtp_port),
            "TAKK_STATE_DIR": str(folder / "state"),
            "TAKK_MAIL_SECRET": "x" * 40,
            "TAKK_GROUP_INSTANCE_ID": "town",
            "DAY": f"{DAY_S}s",
        }
        self.codec: Codec = open_codec()
        self.worker = Process("worker", env, folder / "worker.log")
        self.mailer = Process("mailer", env, folder / "mailer.log")
        topics.create_topics(self.settings)

    def open(self) -> None:
        for process in (self.worker, self.mailer):
            process.start()
        for process in (self.worker, self.mailer):
            process.await_ready()

    def trade(self, seconds: float, rate: float, poison: float = 0.0, seed: int = 3) -> threading.Thread:
        """Produce the shop's facts in real time on a thread, with a share of records that are rubbish."""
        producer = Producer({**self.settings.kafka(), "partitioner": "murmur2_random", "linger.ms": 5})
        lots = random.Random(seed)
        shop = Shop(seed, rate, DAY_S)

        def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
            producer.produce(topic, self.codec.encode(schema, record), key)
            if lots.random() < poison:
                producer.produce(topic, lots.randbytes(30), key)
            producer.poll(0)

        def run() -> None:
            import asyncio

            asyncio.run(shop.run(produce, seconds))
            producer.flush(30)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def rest(self, quiet_s: float = 3.0, patience_s: float = 90.0) -> None:
        """Wait until no topic has grown for `quiet_s`."""
        from confluent_kafka import Consumer

        consumer = Consumer({**self.settings.kafka(), "group.id": "crash-rest"})
        names = consumer.list_topics(timeout=10).topics
        places = [TopicPartition(s.name, n) for s in topics.TOPICS for n in names[s.name].partitions]
        deadline, last, since = time.monotonic() + patience_s, -1, time.monotonic()
        while time.monotonic() - since < quiet_s:
            assert time.monotonic() < deadline, "the world did not come to rest"
            ends = sum(consumer.get_watermark_offsets(p, timeout=10)[1] for p in places)
            if ends != last:
                last, since = ends, time.monotonic()
            time.sleep(0.1)
        consumer.close()

    def judge(self) -> Any:
        """Stop the workers and compare all there is with a recomputation; the changelog and the disk must hold the same state."""
        stopped = int(time.time() * 1000)
        for process in (self.worker, self.mailer):
            process.stop()
        changelog = f"{self.settings.app_id}-flows-customers-changelog"
        records = read_all(self.settings.kafka(), [*topics.SCHEMA_OF, changelog])
        world = load_world(self.settings.templates_dir, day_scale=self.settings.day_scale)
        arrived = Counter(mail.send_id for mail in self.inbox.mails())
        verdict = judge(records, world, self.codec, arrived, self.settings.partitions, stopped - 5_000)
        verdict.dead = [self.codec.decode("dead_letter", r.value()) for r in records[topics.DEAD_LETTERS]]
        logged = {r.key(): r.value() for r in records[changelog]}
        logged = {key: value for key, value in logged.items() if value is not None}
        assert logged == verdict.states, "the changelog is not what the input makes"
        on_disk: dict[bytes, bytes] = {}
        for folder in sorted((self.folder / "state" / "flows").rglob("customers/*")):
            store = PartitionStore(folder, Memory(32))
            on_disk.update(store.items())
            store.close()
        assert on_disk == verdict.states, "the disk is not what the input makes"
        return verdict


@pytest.fixture
def town(tmp_path: Path) -> Any:
    with EmbeddedKafka() as kafka, Inbox(journal=tmp_path / "inbox.jsonl") as inbox:
        town = Town(tmp_path, kafka, inbox)
        town.open()
        yield town
        for process in (town.worker, town.mailer):
            process.kill()


def test_worker_and_mailer_killed(town: Town) -> None:
    """Flows worker and mailer are killed in turn under load, disk kept: nothing lost; at most the counted unknown sends doubled."""
    shop = town.trade(SECONDS, 40.0, poison=0.02)
    kills = 0
    while shop.is_alive():
        for process in (town.worker, town.mailer):
            mails = town.inbox.accepted
            deadline = time.monotonic() + 15
            while town.inbox.accepted < mails + 30 and time.monotonic() < deadline and shop.is_alive():
                time.sleep(0.01)
            process.kill()
            kills += 1
            process.start()
            process.await_ready()
    shop.join()
    town.rest()
    verdict = town.judge()
    assert kills >= 2
    assert verdict.problems == []
    assert verdict.lost == []
    assert len(verdict.sends) > 300
    assert {letter["reason"] for letter in verdict.dead} <= {"not_avro", "unknown_schema", "truncated"}
    assert verdict.dead
    # A mail may come twice only where the ledger found it in flight after its data had begun, and each such one is reported.
    doubled = [send for send in verdict.duplicates if send in verdict.sends]
    assert verdict.duplicates == doubled
    assert len(doubled) <= 8 * kills
