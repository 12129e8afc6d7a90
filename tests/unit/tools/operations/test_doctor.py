"""The doctor: each check, well and not, and that its words say what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException

from streams.settings import Settings, load_settings
from streams.tools.cli.main import main
from streams.tools.operations import dead_letters, doctor
from streams.wire import topics
from streams.wire.codec import open_codec

SECRET = "a-secret-that-is-long-enough"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**given: Any) -> Settings:
        nowhere = f"127.0.0.1:{closed_port()}"
        return load_settings(**{"kafka_bootstrap_servers": nowhere, "state_dir": tmp_path / "state", **given})

    return make


@pytest.fixture
def mail_server() -> Iterator[Controller]:
    """A mail server that knows one password, and takes it without TLS."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    controller = Controller(
        object(), hostname="127.0.0.1", port=closed_port(), authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    yield controller
    controller.stop()


def trouble(check: Callable[[Settings], str], settings: Settings) -> str:
    with pytest.raises(doctor.Trouble) as caught:
        check(settings)
    return str(caught.value)


def test_broker_is_not_there(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker: said with address and variable, and the topics are not asked for."""
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.5)
    findings = {finding.name: finding for finding in doctor.examine(settings(smtp_port=closed_port()))}
    assert not findings["broker"].is_well
    assert "KAFKA_BOOTSTRAP_SERVERS" in findings["broker"].words
    assert "the broker comes first" in findings["topics"].words
    assert list(findings) == ["broker", "replicas", "topics", "smtp", "sender", "templates", "disk"]


def test_broker_settings_that_the_client_refuses(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A file of authorities that is not there: said, with the variables to look at."""
    words = trouble(
        doctor.broker, settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=str(tmp_path / "gone.pem"))
    )
    assert "ssl.ca.location" in words
    assert "KAFKA_SECURITY_PROTOCOL" in words


def test_registry_is_looked_at_when_there_is_one(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that does not answer is said without the password in its address."""
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.5)
    words = trouble(doctor.registry, settings(schema_registry_url=f"http://me:hunter2@127.0.0.1:{closed_port()}"))
    assert "SCHEMA_REGISTRY_URL" in words
    assert "hunter2" not in words


def test_mail_server(settings: Callable[..., Settings], mail_server: Controller) -> None:
    """A mail server that lets us in, with and without a login."""
    at = {"smtp_host": "127.0.0.1", "smtp_port": mail_server.port}
    assert "lets us in" in doctor.smtp(settings(**at))
    assert "lets us in" in doctor.smtp(settings(**at, smtp_username="u", smtp_password="right"))


def test_mail_server_refuses(settings: Callable[..., Settings], mail_server: Controller) -> None:
    """A wrong password, missing TLS and a closed port are each said with what to change."""
    at = {"smtp_host": "127.0.0.1", "smtp_port": mail_server.port}
    wrong = trouble(doctor.smtp, settings(**at, smtp_username="u", smtp_password="wrong"))
    assert "SMTP_PASSWORD" in wrong
    assert "SMTP_TLS=starttls" in trouble(doctor.smtp, settings(**at, smtp_tls="starttls"))
    assert "SMTP_HOST" in trouble(doctor.smtp, settings(smtp_host="127.0.0.1", smtp_port=closed_port()))


def test_sender(settings: Callable[..., Settings]) -> None:
    """Links want a secret; a real mail server wants a sender and links that recipients can reach."""
    assert "TAKK_MAIL_SECRET" in trouble(doctor.sender, settings())
    assert "localhost" in doctor.sender(settings(mail_secret=SECRET))
    real = {"mail_secret": SECRET, "smtp_host": "mail.example"}
    assert "TAKK_MAIL_FROM" in trouble(doctor.sender, settings(**real))
    real["mail_from"] = "Shop <hello@shop.example>"
    assert "TAKK_MAIL_BASE_URL" in trouble(doctor.sender, settings(**real))
    assert "shop.example" in doctor.sender(settings(**real, mail_base_url="https://mail.shop.example"))


def test_templates(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A folder without flows is said with the command that says more."""
    assert "takk flows check" in trouble(doctor.templates, settings(templates_dir=tmp_path))


def test_disk(settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder above one that is not there yet counts; too little room is said."""
    assert str(tmp_path) in doctor.disk(settings())
    monkeypatch.setattr(doctor, "ROOM_MB", 1 << 40)
    assert "TAKK_STATE_DIR" in trouble(doctor.disk, settings())


def test_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """`takk doctor` prints a line for each check and ends with 1 when one is wrong."""
    found = [
        doctor.Finding(name="broker", is_well=True, words="1 broker"),
        doctor.Finding(name="smtp", is_well=False, words="do this"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda settings: iter(found))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert done.output == "ok     broker     1 broker\nwrong  smtp       do this\n"


def letter(offset: int, reason: str = "not_avro", topic: str = topics.ORDERS) -> dead_letters.DeadLetter:
    record = {
        "topic": topic,
        "partition": 1,
        "offset": offset,
        "key": b"c\xff",
        "value": b"\x00raw",
        "headers": [{"name": "ce_id", "value": b"1"}],
        "reason": reason,
        "detail": "",
        "stage": "flows",
        "failed_at": 0,
    }
    codec = open_codec()
    return dead_letters.decode(codec, codec.encode("dead_letter", record))


def test_dead_letters_are_chosen() -> None:
    """By id, reason and topic; nothing given means all."""
    letters = [letter(1), letter(2, "bad_time"), letter(3, topic=topics.SHIPMENTS)]
    assert [found.offset for found in dead_letters.select(letters)] == [1, 2, 3]
    assert [found.offset for found in dead_letters.select(letters, ids=["orders/1/2"])] == [2]
    assert [found.offset for found in dead_letters.select(letters, reason="not_avro", topic="orders")] == [1]


class Publisher:
    """A stand-in for a producer whose queue holds two records, and whose cluster refuses what is in `refused`."""

    def __init__(self, refused: Any = None) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.waiting: list[Any] = []
        self.refused = refused

    def produce(self, topic: str, value: bytes, key: bytes, headers: Any, on_delivery: Any) -> None:
        if len(self.waiting) == 2:
            raise BufferError
        self.sent.append((topic, key, value, headers))
        self.waiting.append(on_delivery)

    def poll(self, seconds: float) -> None:
        if seconds:
            self.flush(seconds)

    def flush(self, seconds: float) -> int:
        while self.waiting:
            self.waiting.pop()(self.refused, None)
        return 0


def test_replay_is_byte_for_byte(settings: Callable[..., Settings]) -> None:
    """Key, value and headers go back unchanged, also when the producer's queue is full."""
    publisher = Publisher()
    assert dead_letters.replay(settings(), [letter(n) for n in range(5)], producer=publisher) == 5
    assert publisher.sent == [("orders", b"c\xff", b"\x00raw", [("ce_id", b"1")])] * 5


def test_replay_that_is_refused(settings: Callable[..., Settings]) -> None:
    """A record that the cluster does not take is an error, never counted as done."""
    with pytest.raises(KafkaException):
        dead_letters.replay(settings(), [letter(1)], producer=Publisher(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)))
