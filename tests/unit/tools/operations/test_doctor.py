"""The doctor: each check passes and fails, and a failed check suggests a fix."""

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
    """A mail server that accepts one password, also without TLS."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    controller = Controller(
        object(), hostname="127.0.0.1", port=closed_port(), authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    yield controller
    controller.stop()


def failure(check: Callable[[Settings], str], settings: Settings) -> str:
    with pytest.raises(doctor.CheckFailed) as caught:
        check(settings)
    return str(caught.value)


def test_broker_does_not_answer(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker, the message names the variable, and the checks of topics are skipped."""
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.5)
    results = {result.name: result for result in doctor.run_checks(settings(smtp_port=closed_port()))}
    assert not results["broker"].ok
    assert "KAFKA_BOOTSTRAP_SERVERS" in results["broker"].message
    assert "the broker is not reachable" in results["topics"].message
    assert "the broker is not reachable" in results["clock"].message
    assert list(results) == [
        "broker",
        "replicas",
        "limits",
        "topics",
        "clock",
        "smtp",
        "sender",
        "templates",
        "published",
        "brand",
        "disk",
    ]


def test_broker_settings_that_the_client_rejects(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A missing certificate file is reported with the variables to check."""
    message = failure(
        doctor.broker, settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=str(tmp_path / "gone.pem"))
    )
    assert "ssl.ca.location" in message
    assert "KAFKA_SECURITY_PROTOCOL" in message


def test_registry_does_not_answer(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that does not answer is reported without the password in its address."""
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.5)
    message = failure(doctor.registry, settings(schema_registry_url=f"http://me:hunter2@127.0.0.1:{closed_port()}"))
    assert "SCHEMA_REGISTRY_URL" in message
    assert "hunter2" not in message


def test_registries_do_not_answer(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several registries the first one is named."""
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.5)
    message = failure(doctor.registry, settings(schema_registry_url="https://127.0.0.1,https://localhost"))
    assert message.startswith("no answer from 127.0.0.1 (")


def test_mail_server(settings: Callable[..., Settings], mail_server: Controller) -> None:
    """A mail server that accepts the connection, with and without a login."""
    at = {"smtp_host": "127.0.0.1", "smtp_port": mail_server.port}
    assert "accepts connections" in doctor.smtp(settings(**at))
    assert "accepts connections" in doctor.smtp(settings(**at, smtp_username="u", smtp_password="right"))


def test_mail_server_rejects(settings: Callable[..., Settings], mail_server: Controller) -> None:
    """A wrong password, missing TLS and a closed port are each reported with the setting to change."""
    at = {"smtp_host": "127.0.0.1", "smtp_port": mail_server.port}
    wrong = failure(doctor.smtp, settings(**at, smtp_username="u", smtp_password="wrong"))
    assert "SMTP_PASSWORD" in wrong
    assert "SMTP_TLS=starttls" in failure(doctor.smtp, settings(**at, smtp_tls="starttls"))
    assert "SMTP_HOST" in failure(doctor.smtp, settings(smtp_host="127.0.0.1", smtp_port=closed_port()))


def test_sender(settings: Callable[..., Settings]) -> None:
    """Links need a secret; a remote mail server needs a sender and links that recipients can reach."""
    assert "TAKK_MAIL_SECRET" in failure(doctor.sender, settings())
    assert "localhost" in doctor.sender(settings(mail_secret=SECRET))
    remote = {"mail_secret": SECRET, "smtp_host": "mail.example", "smtp_tls": "starttls"}
    assert "TAKK_MAIL_FROM" in failure(doctor.sender, settings(**remote))
    remote["mail_from"] = "Shop <hello@shop.example>"
    assert "TAKK_MAIL_BASE_URL" in failure(doctor.sender, settings(**remote))
    assert "shop.example" in doctor.sender(settings(**remote, mail_base_url="https://mail.shop.example"))


def test_brand(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """The placeholders of Takk's brand fail the check once the links lead to customers; an invalid brand fails it, and no brand does not."""
    own = settings(mail_base_url="https://links.tea.example.com", templates_dir=tmp_path)
    assert doctor.brand(own) == "no problems"
    path = tmp_path / "shared" / "brand.yaml"
    path.parent.mkdir()
    path.write_text("name: Tea\nlegal: [Tea ApS, Skovvej 12]\ncolors: {accent: '#ffcc00'}\n")
    assert doctor.brand(own) == "1 warning, see `takk flows check`"
    path.write_text("name: Tea\nlegal: [Example Street 1]\n")
    assert "2:8: warning brand.W005" in failure(doctor.brand, own)
    assert "only for a trial" in doctor.brand(settings(templates_dir=tmp_path))
    path.write_text("nme: Tea\n")
    assert "brand.yaml:1:1: error yaml.E010" in failure(doctor.brand, own)


def test_templates(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A directory without flows is reported with the command that lists the errors."""
    assert "takk flows check" in failure(doctor.templates, settings(templates_dir=tmp_path))


def test_disk(settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest existing parent is checked; too little space is reported."""
    assert str(tmp_path) in doctor.disk(settings())
    monkeypatch.setattr(doctor, "MIN_FREE_MB", 1 << 40)
    assert "TAKK_STATE_DIR" in failure(doctor.disk, settings())


def test_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """`takk doctor` prints one line per check, and exits with 1 if one failed."""
    results = [
        doctor.CheckResult(name="broker", ok=True, message="1 broker"),
        doctor.CheckResult(name="smtp", ok=False, message="do this"),
    ]
    monkeypatch.setattr(doctor, "run_checks", lambda settings: iter(results))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert done.output == "ok      broker     1 broker\nfailed  smtp       do this\n"


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


def test_dead_letters_are_selected() -> None:
    """Letters are selected by id, reason and topic; without a criterion all are."""
    letters = [letter(1), letter(2, "bad_time"), letter(3, topic=topics.SHIPMENTS)]
    assert [selected.offset for selected in dead_letters.select(letters)] == [1, 2, 3]
    assert [selected.offset for selected in dead_letters.select(letters, ids=["orders/1/2"])] == [2]
    assert [selected.offset for selected in dead_letters.select(letters, reason="not_avro", topic="orders")] == [1]


class Publisher:
    """A fake producer whose queue holds two records; `error` is the cluster's answer to each of them."""

    def __init__(self, error: Any = None) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.waiting: list[Any] = []
        self.error = error

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
            self.waiting.pop()(self.error, None)
        return 0


def test_replay_is_byte_for_byte(settings: Callable[..., Settings]) -> None:
    """Key, value and headers are published unchanged, also when the producer's queue is full."""
    publisher = Publisher()
    assert dead_letters.replay(settings(), [letter(n) for n in range(5)], producer=publisher) == 5
    assert publisher.sent == [("orders", b"c\xff", b"\x00raw", [("ce_id", b"1")])] * 5


def test_replay_that_the_cluster_rejects(settings: Callable[..., Settings]) -> None:
    """A record that the cluster does not accept is an error, and is not counted."""
    with pytest.raises(KafkaException):
        dead_letters.replay(settings(), [letter(1)], producer=Publisher(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)))
