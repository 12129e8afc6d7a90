"""Settings: read from the environment and from files; invalid ones are reported by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.settings import Settings, SettingsError, env_name, load_settings, seconds

SECRET = "a-secret-that-is-long-enough"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)
        monkeypatch.delenv(f"{env_name(field)}_FILE", raising=False)


def test_defaults() -> None:
    """An empty environment gives a broker on this machine and days of 24 hours."""
    settings = load_settings()
    assert settings.kafka() == {"bootstrap.servers": "localhost:9092", "client.id": "takk"}
    assert (settings.partitions, settings.batch_max_records, settings.day_scale) == (4, 4000, 1.0)


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka and SMTP have their common names, other settings the prefix; an empty variable counts as not set."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    monkeypatch.setenv("SMTP_PORT", "2525")
    monkeypatch.setenv("TAKK_PARTITIONS", "8")
    monkeypatch.setenv("SMTP_USERNAME", "")
    settings = load_settings()
    assert (settings.smtp_port, settings.partitions, settings.smtp_username) == (2525, 8, None)
    assert settings.faust_brokers() == "kafka://a:1;kafka://b:2"


@pytest.mark.parametrize(
    ("text", "expected"), [("1s", 1), ("250ms", 0.25), ("90m", 5400), ("12h", 43200), ("1d", 86400), ("2", 2)]
)
def test_durations(text: str, expected: float) -> None:
    """A duration has a unit, or is in seconds."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0s", "-1s", "soon", "1 year", "1s1s"])
def test_invalid_durations(text: str) -> None:
    """An invalid duration is rejected."""
    with pytest.raises(ValueError, match="not a valid duration"):
        seconds(text)


def test_a_missing_schema_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing directory is reported by its variable and its path."""
    monkeypatch.setenv("TAKK_SCHEMAS_DIR", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match=rf"TAKK_SCHEMAS_DIR: '{tmp_path / 'gone'}' is not a directory"):
        load_settings()


@pytest.mark.parametrize("name", ["Mars", "Europe", "../x", "europe copenhagen"])
def test_an_unknown_time_zone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An unknown time zone is rejected at the start, not for the first customer without a time zone."""
    monkeypatch.setenv("TAKK_SHOP_TIME_ZONE", name)
    with pytest.raises(SettingsError, match="TAKK_SHOP_TIME_ZONE: unknown time zone"):
        load_settings()


def test_a_day_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """DAY=1s makes waits 86,400 times shorter."""
    monkeypatch.setenv("DAY", "1s")
    assert load_settings().day_scale == pytest.approx(1 / 86400)


def test_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """<NAME>_FILE is the path of a file that contains the secret; the end of the line is not part of it."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("TAKK_MAIL_SECRET_FILE", str(tmp_path / "secret"))
    secret = load_settings().mail_secret
    assert secret is not None
    assert secret.get_secret_value() == SECRET


def test_a_secret_that_is_set_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret and its file must not both be set."""
    monkeypatch.setenv("TAKK_MAIL_SECRET", SECRET)
    monkeypatch.setenv("TAKK_MAIL_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match="both set"):
        load_settings()


def test_a_missing_secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing file is reported by its variable."""
    monkeypatch.setenv("SMTP_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="SMTP_PASSWORD_FILE"):
        load_settings()


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the representation of the settings nor an error contains a secret."""
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "http://user:hunter2hunter2@registry")
    settings = load_settings(mail_secret=SECRET)
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)
    monkeypatch.setenv("TAKK_MAIL_SECRET", "tooshort")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "tooshort" not in str(caught.value)
    assert "TAKK_MAIL_SECRET: too short (use at least 16 characters" in str(caught.value)


def test_all_errors_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """All invalid variables are reported at once."""
    monkeypatch.setenv("SMTP_PORT", "mail")
    monkeypatch.setenv("DAY", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["DAY", "SMTP_PORT"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        ({"kafka_sasl_username": "u"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"kafka_ssl_key_file": "key"}, "set both or neither"),
        ({"smtp_username": "u"}, "set both or neither"),
        ({"smtp_username": "u", "smtp_password": "p", "smtp_host": "mail.example"}, "unencrypted"),
        ({"mail_from": "nobody"}, "TAKK_MAIL_FROM"),
        ({"mail_from": "a@b.example\nBcc: c@d.example"}, "TAKK_MAIL_FROM"),
    ],
)
def test_contradictions(given: dict[str, str], message: str) -> None:
    """Settings that contradict each other are rejected, with the variable to change."""
    with pytest.raises(SettingsError, match=message):
        load_settings(**given)


def test_kafka_with_password_and_tls() -> None:
    """librdkafka receives the mechanism, the login and the certificate authority."""
    config = load_settings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="u",
        kafka_sasl_password="p",
        kafka_ssl_ca_file="/ca.pem",
    ).kafka()
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("u", "p")
    assert config["ssl.ca.location"] == "/ca.pem"


def test_faust_uses_the_same_login() -> None:
    """The consumer group uses the same login as the other Kafka clients."""
    credentials = load_settings(
        kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_username="u", kafka_sasl_password="p"
    ).faust_credentials()
    assert (credentials.username, credentials.password) == ("u", "p")
    assert load_settings().faust_credentials() is None
