"""Topics on a real broker: they are created once with the expected configuration, and a mismatch is an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.agents import clock_check
from streams.agents.clock_check import check_clock
from streams.agents.installation import check_installation
from streams.agents.limits_check import check_limits
from streams.runtime.kafka import broker_clock
from streams.runtime.kafka.broker_clock import seconds_ahead
from streams.runtime.kafka.cluster import Cluster as KafkaCluster
from streams.runtime.kafka.topic_admin import TopicMismatch, TopicSpec, ensure_topics, record_limits
from streams.settings import load_settings
from streams.tools.cli.main import main
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.operations import doctor
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import TOPICS, changelog_spec, create_topics


@dataclass(frozen=True)
class Cluster:
    """The settings that `create_topics` needs."""

    bootstrap: str
    partitions: int = 3
    replication: int = 1
    topic_retention: str = ""

    def kafka(self) -> dict[str, str]:
        """Return the librdkafka settings of the broker."""
        return {"bootstrap.servers": self.bootstrap}


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker of this module, which has no topics at first."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.bootstrap


@pytest.fixture
def admin(bootstrap: str) -> Any:
    """A client that reads from the broker without the code under test."""
    return AdminClient({"bootstrap.servers": bootstrap})


def _config(admin: Any, topic: str) -> dict[str, str]:
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in future.result().items()}


def test_topics_are_created_once_with_their_configuration(bootstrap: str, admin: Any) -> None:
    """Each topic and a changelog get their partitions, cleanup and retention; a second call creates nothing."""
    cluster = Cluster(bootstrap)
    changelog = "takk-flows-customers-changelog"
    created = create_topics(cluster, [changelog])
    assert created == sorted([*(spec.name for spec in TOPICS), changelog])
    assert create_topics(cluster, [changelog]) == []
    metadata = admin.list_topics(timeout=10).topics
    for spec in (*TOPICS, changelog_spec(changelog)):
        assert len(metadata[spec.name].partitions) == (spec.partitions or 3)
        config = _config(admin, spec.name)
        assert {name: config[name] for name in spec.settings()} == spec.settings()
    assert _config(admin, changelog)["delete.retention.ms"] == "86400000"


def test_all_mismatched_topics_are_named_and_none_is_created(bootstrap: str, admin: Any) -> None:
    """One error names all topics with wrong partitions or cleanup, or for small records only, each with its fix; a missing topic is not created."""
    for future in admin.create_topics(
        [
            NewTopic("few", 1, 1),
            NewTopic("kept", 3, 1, config={"cleanup.policy": "compact"}),
            NewTopic("small", 3, 1, config={"max.message.bytes": "1000000"}),
        ]
    ).values():
        future.result()
    specs = [
        TopicSpec(name=name, schema="order", key="customer_id", retention_ms=1000)
        for name in ("few", "kept", "small", "new")
    ]
    with pytest.raises(TopicMismatch) as error:
        ensure_topics({"bootstrap.servers": bootstrap}, specs, partitions=3, replication=1)
    few, kept, small = error.value.problems
    assert few.startswith("topic few has 1 partitions and must have 3: set TAKK_PARTITIONS=1")
    assert kept.startswith("topic kept has cleanup.policy=compact and must have delete: set it with")
    assert small.startswith("topic small has max.message.bytes=1000000 and must accept 1000012: set it with")
    assert record_limits({"bootstrap.servers": bootstrap}, ["few", "small"]) == {"few": 1_048_588, "small": 1_000_000}
    assert "new" not in admin.list_topics(timeout=10).topics


def test_commands_name_missing_services(bootstrap: str, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """Commands name a missing changelog and a registry that does not answer, each with the setting to check, without its password."""
    create_topics(Cluster(bootstrap))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
    monkeypatch.setenv("TAKK_APP_ID", "never-ran")
    result = CliRunner().invoke(main, ["why", "c1"])
    assert (result.exit_code, "unknown topic never-ran-flows-customers-changelog" in result.output) == (1, True)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://me:hunter2@127.0.0.1:{unused_tcp_port}")
    for arguments in (["why", "c1"], ["simulate", "--from", "topic"], ["worker"]):
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, "check SCHEMA_REGISTRY_URL" in result.output, "hunter2" in result.output) == (
            1,
            True,
            False,
        )


def test_topics_keyed_by_customer_have_equal_partitions() -> None:
    """Only topics that every process reads in full have their own number of partitions; cleanup and retention are as listed."""
    assert [spec.name for spec in TOPICS if spec.partitions is not None] == [
        topics.PRODUCTS, topics.CRASH_NOTES, topics.PUBLISHED_TEMPLATES,
    ]  # fmt: skip
    assert {spec.name for spec in TOPICS if spec.cleanup == "compact"} == {
        topics.CUSTOMERS,
        topics.PRODUCTS,
        topics.POPULARITY,
        topics.CRASH_NOTES,
        topics.SUPPRESSIONS,
        topics.CUSTOMER_PAGES,
        topics.PUBLISHED_TEMPLATES,
    }
    # Codes must be kept until a flow first uses their pool, which may be at any time.
    assert [spec.name for spec in TOPICS if spec.cleanup == "delete" and not spec.retention_ms] == [topics.CODES]


def test_the_clock_is_compared_with_that_of_the_broker(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that differs by more than five minutes ends the start in words; less, or a topic without the broker's time, does not."""
    cluster = Cluster(bootstrap)
    create_topics(cluster)
    encoder = Encoder(open_codec())

    def ahead(shift_s: float, topic: str = topics.CLOCK_PROBES) -> float | None:
        probe = encoder.clock_probe("here", datetime.now(UTC))._replace(topic=topic)
        return seconds_ahead(cluster.kafka(), probe, lambda: real_time() + shift_s)

    real_time = time.time
    assert ahead(0.0) == 0.0
    assert ahead(3600.0) == pytest.approx(3600, abs=30)
    assert ahead(-3600.0) == pytest.approx(-3600, abs=30)
    assert ahead(0.0, topics.HEARTBEATS) is None
    for shift_s, words in ((250.0, ""), (400.0, "s ahead of the broker's"), (-86_400.0, "s behind the broker's")):
        monkeypatch.setattr(time, "time", lambda shift_s=shift_s: real_time() + shift_s)
        with pytest.raises(SystemExit, match=words) if words else nullcontext():
            check_clock(cluster.kafka(), encoder)
        settings = load_settings(kafka_bootstrap_servers=bootstrap)
        if words:
            with pytest.raises(doctor.CheckFailed, match=f"{words}.* NTP"):
                doctor.clock(settings)
        else:
            assert doctor.clock(settings).endswith("s ahead of the broker's")
    monkeypatch.undo()
    assert doctor.clock(settings) == "as the broker's"


def test_settings_are_compared_with_the_limits_of_the_broker(bootstrap: str) -> None:
    """A session that the broker does not allow ends the start; one that it allows does not. The broker of tests allows 1 to 1800 seconds."""
    cluster = KafkaCluster({"bootstrap.servers": bootstrap})
    check_limits(cluster, 1.0)
    for session_s in (0.5, 3600.0):
        with pytest.raises(SystemExit, match=r"TAKK_SESSION_TIMEOUT_S=.* 1 to 1800 seconds"):
            check_limits(cluster, session_s)
    assert cluster.transactional_id_expiration_s() == 7 * 86_400


def test_an_app_id_belongs_to_one_installation(bootstrap: str) -> None:
    """The first start writes its installation; another one is refused until it takes over, and then the first one is refused."""

    def check(installation: str | None, app_id: str = "shop", is_taken_over: bool = False) -> None:
        settings = load_settings(kafka_bootstrap_servers=bootstrap, app_id=app_id, installation=installation)
        check_installation(settings, is_taken_over)

    check("production")
    check("production")
    check(None)
    check("trial", app_id="other")
    with pytest.raises(SystemExit, match=r"the installation 'production' uses TAKK_APP_ID=shop.*--take-over"):
        check("trial")
    check("trial", is_taken_over=True)
    check("trial")
    with pytest.raises(SystemExit, match="the installation 'trial' uses TAKK_APP_ID=shop"):
        check("production")


def test_a_broker_that_is_away_is_an_error_of_the_clock_check(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start waits for a broker that went away; an error that does not pass, such as a missing permission, is only logged."""
    monkeypatch.setattr(broker_clock, "TIMEOUT_S", 0.2)
    encoder = Encoder(open_codec())
    with pytest.raises(KafkaException):
        check_clock({"bootstrap.servers": f"127.0.0.1:{unused_tcp_port}", "log_level": 0}, encoder)

    def refuse(*arguments: object) -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    monkeypatch.setattr(clock_check, "seconds_ahead", refuse)
    with structlog.testing.capture_logs() as lines:
        check_clock({}, encoder)
    assert [line["event"] for line in lines] == ["cannot compare the clock with the broker's"]
