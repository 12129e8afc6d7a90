"""The example consumer of `attributed-engagement` on a real broker: aborted transactions and repeated records do not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer

from deploy.neighbours.revenue import CONSUMER, TOPIC, Revenue, Schemas, consume
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire import topics
from tests.harness.agents import CODEC
from tests.harness.records import attributed_order


def read_all(servers: dict[str, Any], topic: str, path: Path, count: int) -> Revenue:
    """Run the consumer until it has read `count` records."""
    consumer, schemas, revenue = Consumer({**CONSUMER, **servers}), Schemas("attributed_engagement"), Revenue(str(path))
    consumer.subscribe([topic])
    while count > 0:
        count -= consume(consumer, schemas, revenue, 0.2)
    consumer.close()
    return revenue


def test_committed_records_count_once(kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    """Committed orders count once although they were written twice, and aborted ones do not count, also after a restart."""
    assert TOPIC == topics.ATTRIBUTED
    servers = {"bootstrap.servers": kafka.bootstrap}
    producer = Producer({**servers, "transactional.id": "flows", "partitioner": "murmur2_random"})
    producer.init_transactions(30)

    def write(*numbers: int, is_committed: bool = True) -> None:
        producer.begin_transaction()
        for number in numbers:
            producer.produce(topic, CODEC.encode("attributed_engagement", attributed_order(number)), f"c-{number}")
        producer.flush(30)
        producer.commit_transaction(30) if is_committed else producer.abort_transaction(30)

    write(1, 2, 3)
    write(4, 5, is_committed=False)
    write(3, 6)
    path = tmp_path / "revenue"
    assert read_all(servers, topic, path, 5).totals() == [("review", "DKK", 4, 40_000)]
    write(1, 7)
    assert read_all(servers, topic, path, 2).totals() == [("review", "DKK", 5, 50_000)]
