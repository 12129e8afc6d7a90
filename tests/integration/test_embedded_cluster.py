"""The embedded cluster: with one dead broker it accepts writes and transactions, and it keeps every acknowledged record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, PartitionMetadata

from streams.tools.local.kafka.cluster import EmbeddedCluster
from tests.harness.stack import wait_until

ALL = {1, 2, 3}
TRANSACTIONS = "__transaction_state"
WRITER = "writer"


class Topic:
    """A topic with one partition and a replica on each of the three brokers, with the results of writes to it."""

    def __init__(self, cluster: EmbeddedCluster, name: str) -> None:
        self.name = name
        self.settings = {"bootstrap.servers": cluster.bootstrap, "log_level": 0}
        self.admin = AdminClient(self.settings)
        new = NewTopic(name, 1, 3, config={"min.insync.replicas": "2"})
        self.admin.create_topics([new])[name].result(30)
        self.acknowledged: list[bytes] = []
        self.failed: list[bytes] = []

    def producer(self, **more: str | int) -> Producer:
        """Return an idempotent producer that waits until all in-sync replicas have its records."""
        return Producer({**self.settings, "acks": "all", "enable.idempotence": True, "linger.ms": 0, **more})

    def write(self, producer: Producer, value: bytes) -> None:
        """Start to write a record; its result is added to `acknowledged` or `failed`."""
        producer.produce(
            self.name,
            value,
            on_delivery=lambda error, _: (self.failed if error else self.acknowledged).append(value),
        )

    def leader(self, topic: str = "", partition: int = 0) -> int:
        """Return the broker that leads a partition of this topic or another."""
        return int(self._metadata(topic or self.name)[partition].leader)

    def in_sync(self) -> set[int]:
        """Return the in-sync replicas; empty while the queried broker does not know the topic yet."""
        partitions = self._metadata(self.name)
        return set(partitions[0].isrs) if partitions else set()

    def _metadata(self, topic: str) -> dict[int, PartitionMetadata]:
        return dict(self.admin.list_topics(topic, timeout=20).topics[topic].partitions)

    def read(self) -> list[bytes]:
        """Return the values of all committed records."""
        consumer = Consumer(
            {**self.settings, "group.id": "x", "isolation.level": "read_committed", "enable.partition.eof": True}
        )
        consumer.assign([TopicPartition(self.name, 0, 0)])
        values: list[bytes] = []
        ends: list[bool] = []

        def is_read() -> bool:
            message = consumer.poll(0.5)
            if message is not None and not message.error():
                values.append(message.value())
            elif message is not None:
                ends.append(True)
            return bool(ends)

        try:
            wait_until(is_read, f"the end of {self.name}")
        finally:
            consumer.close()
        return values


pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """One cluster for all tests of this module."""
    with EmbeddedCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: EmbeddedCluster) -> EmbeddedCluster:
    """The cluster with all brokers alive; an earlier test may have killed one."""
    shared_cluster.start()
    return shared_cluster


@pytest.fixture
def topic(cluster: EmbeddedCluster, request: pytest.FixtureRequest) -> Topic:
    """A topic that only this test uses."""
    topic = Topic(cluster, request.node.name)
    wait_until(lambda: topic.in_sync() == ALL, "the new topic is on all brokers")
    return topic


def _transactions_partition(transactional_id: str) -> int:
    """Return the partition whose leader coordinates a transactional id: Java's string hash without the sign, modulo 10."""
    hashed = 0
    for character in transactional_id:
        hashed = (31 * hashed + ord(character)) & 0xFFFFFFFF
    return (hashed & 0x7FFFFFFF) % 10


def test_writes_continue_with_one_dead_broker(cluster: EmbeddedCluster, topic: Topic) -> None:
    """With the leader killed, records with acks=all are acknowledged; the broker restarts on its port, and no record is lost."""
    producer = topic.producer()
    topic.write(producer, b"before")
    assert producer.flush(30) == 0
    dead = topic.leader()
    port = cluster.brokers[dead - 1].port
    cluster.kill(dead)
    assert [cluster.is_alive(number) for number in sorted(ALL)] == [number != dead for number in sorted(ALL)]
    expected = [b"before", *(b"%d" % number for number in range(50))]
    for value in expected[1:]:
        topic.write(producer, value)
    assert producer.flush(60) == 0
    assert (topic.acknowledged, topic.failed) == (expected, [])
    wait_until(lambda: topic.in_sync() == ALL - {dead}, "the dead broker is not in sync")
    cluster.restart(dead)
    assert cluster.is_alive(dead)
    wait_until(lambda: topic.in_sync() == ALL, "the restarted broker is in sync")
    metadata = topic.admin.list_topics(timeout=20)
    assert metadata.brokers[dead].port == port
    assert topic.read() == expected


def test_a_transaction_commits_after_its_coordinator_is_killed(cluster: EmbeddedCluster, topic: Topic) -> None:
    """A transaction whose coordinator is killed between its two records commits, and both records exist once."""
    producer = topic.producer(**{"transactional.id": WRITER, "transaction.timeout.ms": 60_000})
    producer.init_transactions(60)
    producer.begin_transaction()
    topic.write(producer, b"before")
    assert producer.flush(30) == 0
    assert topic.read() == []
    cluster.kill(topic.leader(TRANSACTIONS, _transactions_partition(WRITER)))
    topic.write(producer, b"after")

    def is_committed() -> bool:
        try:
            producer.commit_transaction(10)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            return False
        return True

    wait_until(is_committed, "the transaction is committed")
    assert topic.read() == [b"before", b"after"]


def test_internal_topics_have_three_replicas(topic: Topic) -> None:
    """Kafka's internal topics have three replicas and need two in sync; a broker that lacks records never becomes leader."""
    producer = topic.producer(**{"transactional.id": WRITER})
    producer.init_transactions(60)
    consumer = Consumer({**topic.settings, "group.id": "grouped"})
    consumer.commit(offsets=[TopicPartition(topic.name, 0, 0)], asynchronous=False)
    consumer.close()
    for name in (TRANSACTIONS, "__consumer_offsets"):
        metadata = topic.admin.list_topics(name, timeout=20).topics[name]
        assert {len(partition.replicas) for partition in metadata.partitions.values()} == {3}, name
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        config = topic.admin.describe_configs([resource])[resource].result(30)
        assert config["min.insync.replicas"].value == "2", name
        assert config["unclean.leader.election.enable"].value == "false", name
