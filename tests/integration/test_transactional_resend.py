"""`takk resend` on a real broker: a refused email is sent again, and only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from msgspec.structs import replace

from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.smtp.answers import Refused
from streams.runtime.kafka.topic_reader import read_to_the_end
from streams.settings import load_settings
from streams.tools.cli.main import main
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, Agent, Output
from tests.harness.effects import SEND
from tests.harness.records import AT_MS
from tests.harness.simulated_mail_server import Server, agent_of, outcomes

AT = utc_from_ms(AT_MS)


class Shop:
    """A mailer that reads its commands from the broker, and writes its reports there."""

    def __init__(self, kafka: EmbeddedKafka, agent: Agent) -> None:
        self.kafka = {"bootstrap.servers": kafka.bootstrap}
        self._agent = agent
        self._read = 0

    def produce(self, records: list[Output]) -> None:
        """Write records."""
        producer = Producer(self.kafka)
        for topic, key, value in records:
            producer.produce(topic, value, key)
        assert producer.flush(30) == 0

    def deliver(self) -> list[Output]:
        """Let the mailer execute the commands that are new on the broker. Return its reports."""
        commands = list(read_to_the_end(self.kafka, (topics.COMMANDS,), group_id="mailer"))
        new = [(topics.COMMANDS, m.key(), m.value()) for m in commands][self._read :]
        self._read = len(commands)
        reports = self._agent.run(new, at_ms=AT_MS)
        self.produce([report for report in reports if report[0] == topics.EVENTS])
        return reports


def takk(*arguments: str) -> str:
    """Run a command that succeeds, and return its output."""
    done: Any = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_a_refused_email_is_sent_again_once(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The email arrives once. The same command again finds nothing, and only an email that is named is sent another time."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("TAKK_PARTITIONS", "3")
    topics.create_topics(load_settings())
    server = Server()
    server.answers["a@post.example"] = [Refused(550, "550 5.1.1 no such user")]
    shop = Shop(kafka, agent_of(tmp_path, server))
    sends = [replace(SEND, send_id=name, to_address=f"{name}@post.example", purpose="order", order_id=name) for name in "ab"]  # fmt: skip
    shop.produce([Encoder(CODEC).effects.encode(send, AT)[:3] for send in sends])
    assert {send_id: events[-1][0] for send_id, events in outcomes(shop.deliver()).items()} == {"a": "refused", "b": "sent"}  # fmt: skip
    hour = ("resend", "--since", f"{AT:%Y-%m-%dT%H:%M}", "--yes")
    assert "1 email would be sent again" in takk(*hour, "--dry-run")
    assert shop.deliver() == []
    assert "1 email commanded again" in takk(*hour)
    assert "0 emails would be sent again" in takk(*hour)  # on its way
    assert list(outcomes(shop.deliver())) == ["a-again-1"]
    assert "0 emails would be sent again" in takk(*hour)
    assert "1 email would be sent again" in takk("resend", "--order", "a", "--dry-run")
    assert server.accepted == ["b@post.example", "a@post.example"]
    takk("resend", "--send", "a", "--yes")
    assert list(outcomes(shop.deliver())) == ["a-again-2"]
    assert server.accepted == ["b@post.example", "a@post.example", "a@post.example"]
