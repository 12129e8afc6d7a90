"""The global table of customer pages on a real broker: new records, tombstones, a restart, and a topic that was created again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from streams.core.model.customer_page import CustomerPage
from streams.gateway.customer_pages import CustomerPageTable
from streams.runtime.kafka.topic_admin import TopicSpec, ensure_topics
from streams.runtime.state.store import Memory
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.codec import CODEC
from tests.harness.kafka_faults import delete_topic
from tests.harness.stack import wait_until

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PARTITIONS = 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker of its own, since the topic is deleted."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


def create(broker: EmbeddedKafka) -> None:
    """Create the topic."""
    spec = TopicSpec(name=topics.CUSTOMER_PAGES, schema="customer_page", key="customer_id", cleanup="compact")
    ensure_topics({"bootstrap.servers": broker.bootstrap}, [spec], PARTITIONS, 1)


def write(broker: EmbeddedKafka, customer_id: str, first_name: str | None) -> None:
    """Write the page of a customer; without a name, a tombstone."""
    record = {"customer_id": customer_id, "first_name": first_name, "updated_at": NOW}
    value = None if first_name is None else CODEC.encode("customer_page", record)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random"})
    producer.produce(topics.CUSTOMER_PAGES, value, customer_id.encode())
    assert producer.flush(30) == 0


@contextmanager
def table_of(broker: EmbeddedKafka, folder: Path) -> Iterator[CustomerPageTable]:
    """Return a running table that has read the topic."""
    table = CustomerPageTable(folder, PARTITIONS, Decoder(CODEC), Memory(16))
    table.start({"bootstrap.servers": broker.bootstrap}, "test-customer-pages")
    try:
        wait_until(lambda: table.is_ready, "the table has read the topic")
        yield table
    finally:
        table.stop()


def test_pages(broker: EmbeddedKafka, tmp_path: Path) -> None:
    """The table has the newest page of each customer, follows the topic, and survives restarts and a topic that is created again."""
    create(broker)
    for number in range(20):
        write(broker, f"c-{number}", "Anna")
    with table_of(broker, tmp_path) as table:
        assert table.get("c-7") == CustomerPage(customer_id="c-7", first_name="Anna", updated_at=NOW)
        assert table.get("somebody") is None
        write(broker, "c-7", "Bo")
        wait_until(lambda: (page := table.get("c-7")) is not None and page.first_name == "Bo", "the news arrives")
        write(broker, "c-8", None)
        wait_until(lambda: table.get("c-8") is None, "the tombstone arrives")
    write(broker, "c-9", "Cy")
    with table_of(broker, tmp_path) as table:
        names = {number: page.first_name for number in range(20) if (page := table.get(f"c-{number}"))}
        assert names == {number: "Anna" for number in range(20) if number != 8} | {7: "Bo", 9: "Cy"}
    delete_topic(AdminClient({"bootstrap.servers": broker.bootstrap}), topics.CUSTOMER_PAGES)
    create(broker)
    write(broker, "c-1", "Dea")
    with table_of(broker, tmp_path) as table:
        assert table.get("c-7") is None
        page = table.get("c-1")
        assert page is not None
        assert page.first_name == "Dea"
