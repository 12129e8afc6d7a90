"""Publishing with a spool on a real broker that goes away, for a moment or for longer than the producer repeats its records."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams.gateway.producers import open_producer
from streams.gateway.publishing import SpoolingPublisher
from streams.gateway.spool import Spool
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.committed import read_all
from tests.harness.kafka_proxy import KafkaProxy

DELIVERY_TIMEOUT_S, ACK_TIMEOUT_S = 3.0, 1.0
KEYS = 5
PATIENCE_S = 120.0


async def load(publisher: SpoolingPublisher, topic: str, is_over: asyncio.Event) -> int:
    """Publish records of some keys until the event is set; return their number. Every publish must succeed."""
    number = 0
    async with asyncio.TaskGroup() as requests:
        while not is_over.is_set():
            record = ProducerRecord(topic, b"key-%d" % (number % KEYS), b"%d" % number, [("ce_id", b"%d" % number)])
            requests.create_task(publisher.publish([record]))
            number += 1
            await asyncio.sleep(0.002)
    return number


async def until_direct(publisher: SpoolingPublisher) -> None:
    """Wait until the publisher is direct."""
    async with asyncio.timeout(PATIENCE_S):
        while publisher.is_spooling:  # noqa: ASYNC110 - the publisher has no event for it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("away_s", [0.0, 0.5, 2.0, 7.0])
def test_an_outage_under_load(kafka: EmbeddedKafka, topic: str, tmp_path: Path, away_s: float) -> None:
    """After an outage shorter or longer than the timeouts, all records are on the topic, those of each key in their order."""

    async def run(proxy: KafkaProxy) -> int:
        spool = Spool(tmp_path, 64 << 20)
        publisher = SpoolingPublisher(
            partial(open_producer, {"bootstrap.servers": proxy.bootstrap}, DELIVERY_TIMEOUT_S),
            spool,
            ack_timeout_s=ACK_TIMEOUT_S,
            delivery_timeout_s=DELIVERY_TIMEOUT_S,
        )
        publisher.start()
        publisher.connect()
        await until_direct(publisher)
        is_over = asyncio.Event()
        requests = asyncio.create_task(load(publisher, topic, is_over))
        await asyncio.sleep(0.3)
        proxy.stop()
        await asyncio.sleep(away_s)
        proxy.start()
        await until_direct(publisher)
        await asyncio.sleep(0.3)
        is_over.set()
        sent = await requests
        await until_direct(publisher)
        await publisher.stop()
        assert spool.records == 0
        spool.close()
        return sent

    with KafkaProxy(kafka.port) as proxy:
        sent = asyncio.run(run(proxy))
    published: defaultdict[bytes, list[int]] = defaultdict(list)
    for record in read_all({"bootstrap.servers": kafka.bootstrap}, [topic])[topic]:
        published[record.key()].append(int(record.value()))
    assert sorted({number for numbers in published.values() for number in numbers}) == list(range(sent))
    for numbers in published.values():
        first = list(dict.fromkeys(numbers))
        last = list(dict.fromkeys(reversed(numbers)))
        assert first == sorted(first)
        assert last == sorted(last, reverse=True)


def test_a_topic_that_is_missing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Records of a topic that is created later wait in the spool, and are published then."""
    topic = f"gateway-{uuid4().hex[:8]}"

    async def run() -> None:
        spool = Spool(tmp_path, 1 << 20)
        publisher = SpoolingPublisher(
            partial(open_producer, {"bootstrap.servers": kafka.bootstrap}, DELIVERY_TIMEOUT_S),
            spool,
            ack_timeout_s=0.2,
            delivery_timeout_s=DELIVERY_TIMEOUT_S,
        )
        publisher.start()
        publisher.connect()
        await until_direct(publisher)
        await publisher.publish([ProducerRecord(topic, b"k", b"v", [])])
        assert publisher.is_spooling
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        await asyncio.to_thread(admin.create_topics([NewTopic(topic, 1)])[topic].result)
        await until_direct(publisher)
        await publisher.stop()
        spool.close()

    asyncio.run(run())
    assert {record.value() for record in read_all({"bootstrap.servers": kafka.bootstrap}, [topic])[topic]} == {b"v"}
