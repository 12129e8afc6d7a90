"""Topics on a real broker: made as they have to be, once, and not worked around when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.runtime.kafka.topic_admin import TopicMismatch, TopicSpec, ensure_topics
from streams.tools.cli.main import main
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire import topics
from streams.wire.topics import TOPICS, changelog_spec, create_topics


@dataclass(frozen=True)
class Cluster:
    """The settings that making topics asks for."""

    bootstrap: str
    partitions: int = 3
    replication: int = 1

    def kafka(self) -> dict[str, str]:
        """librdkafka settings of the broker."""
        return {"bootstrap.servers": self.bootstrap}


@pytest.fixture
def bootstrap(kafka: EmbeddedKafka) -> str:
    """Where the broker listens."""
    return kafka.bootstrap


@pytest.fixture
def admin(bootstrap: str) -> Any:
    """A client that looks at the broker without the code under test."""
    return AdminClient({"bootstrap.servers": bootstrap})


def _config(admin: Any, topic: str) -> dict[str, str]:
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in future.result().items()}


def test_topics_are_made_once_and_as_they_have_to_be(bootstrap: str, admin: Any) -> None:
    """Partitions, cleanup and retention of every topic and of a changelog; the second time nothing is left to do."""
    cluster = Cluster(bootstrap)
    changelog = "takk-flows-customers-changelog"
    made = create_topics(cluster, [changelog])
    assert made == sorted([*(spec.name for spec in TOPICS), changelog])
    assert create_topics(cluster, [changelog]) == []
    found = admin.list_topics(timeout=10).topics
    for spec in (*TOPICS, changelog_spec(changelog)):
        assert len(found[spec.name].partitions) == (spec.partitions or 3)
        config = _config(admin, spec.name)
        assert {name: config[name] for name in spec.settings()} == spec.settings()
    assert _config(admin, changelog)["delete.retention.ms"] == "86400000"


def test_mismatched_topics_are_all_named_and_nothing_is_made(bootstrap: str, admin: Any) -> None:
    """Wrong partitions and wrong cleanup are refused together, each with what to do; a missing topic stays missing."""
    for future in admin.create_topics(
        [NewTopic("few", 1, 1), NewTopic("kept", 3, 1, config={"cleanup.policy": "compact"})]
    ).values():
        future.result()
    specs = [
        TopicSpec(name=name, schema="order", key="customer_id", retention_ms=1000) for name in ("few", "kept", "new")
    ]
    with pytest.raises(TopicMismatch) as error:
        ensure_topics({"bootstrap.servers": bootstrap}, specs, partitions=3, replication=1)
    few, kept = error.value.problems
    assert few.startswith("topic few has 1 partitions and must have 3: set TAKK_PARTITIONS=1")
    assert kept.startswith("topic kept has cleanup.policy=compact and must have delete: set it with")
    assert "new" not in admin.list_topics(timeout=10).topics


def test_commands_name_what_is_not_there(bootstrap: str, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """The changelog of a worker that never ran, and a registry that does not answer: named, with what to do."""
    create_topics(Cluster(bootstrap))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
    monkeypatch.setenv("TAKK_APP_ID", "never-ran")
    done = CliRunner().invoke(main, ["why", "c1"])
    assert (done.exit_code, "unknown topic never-ran-flows-customers-changelog" in done.output) == (1, True)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://me:hunter2@127.0.0.1:{unused_tcp_port}")
    for words in (["why", "c1"], ["simulate", "--from", "topic"], ["worker"]):
        done = CliRunner().invoke(main, words)
        assert (done.exit_code, "check SCHEMA_REGISTRY_URL" in done.output, "hunter2" in done.output) == (
            1,
            True,
            False,
        )


def test_every_topic_of_a_customer_has_as_many_partitions_as_the_others() -> None:
    """Only the catalogue, which is read whole, has a number of its own; names and schemas are all there."""
    assert [spec.name for spec in TOPICS if spec.partitions is not None] == [topics.PRODUCTS]
    assert {spec.name for spec in TOPICS if spec.cleanup == "compact"} == {
        topics.CUSTOMERS,
        topics.PRODUCTS,
        topics.POPULARITY,
    }
    # Codes lie there until a flow first takes from their pool, whenever that is.
    assert [spec.name for spec in TOPICS if spec.cleanup == "delete" and not spec.retention_ms] == [topics.CODES]
