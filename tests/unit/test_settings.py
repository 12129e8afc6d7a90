"""Settings: from the environment, from files, and what is said about wrong ones."""

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


def test_starts_without_any() -> None:
    """An empty environment gives a broker on this machine and real days."""
    settings = load_settings()
    assert settings.kafka() == {"bootstrap.servers": "localhost:9092", "client.id": "takk"}
    assert (settings.partitions, settings.batch_max_records, settings.day_scale) == (4, 4000, 1.0)


def test_names_that_people_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka and SMTP have the usual names, the rest the prefix; an empty variable counts as not set."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    monkeypatch.setenv("SMTP_PORT", "2525")
    monkeypatch.setenv("TAKK_PARTITIONS", "8")
    monkeypatch.setenv("SMTP_USERNAME", "")
    settings = load_settings()
    assert (settings.smtp_port, settings.partitions, settings.smtp_username) == (2525, 8, None)
    assert settings.faust_brokers() == "kafka://a:1;kafka://b:2"


@pytest.mark.parametrize(
    ("text", "length"), [("1s", 1), ("250ms", 0.25), ("90m", 5400), ("12h", 43200), ("1d", 86400), ("2", 2)]
)
def test_lengths_of_time(text: str, length: float) -> None:
    """A length of time has a unit, or is in seconds."""
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "0s", "-1s", "soon", "1 year", "1s1s"])
def test_no_length_of_time(text: str) -> None:
    """What is no length of time is refused."""
    with pytest.raises(ValueError, match="length of time"):
        seconds(text)


def test_a_folder_of_schemas_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told with its variable, before anything looks for a schema in it."""
    monkeypatch.setenv("TAKK_SCHEMAS_DIR", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="TAKK_SCHEMAS_DIR"):
        load_settings()


@pytest.mark.parametrize("name", ["Mars", "Europe", "../x", "europe copenhagen"])
def test_a_time_zone_that_there_is_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is refused at once, not at the first customer of whom no zone and no country is known."""
    monkeypatch.setenv("TAKK_SHOP_TIME_ZONE", name)
    with pytest.raises(SettingsError, match="TAKK_SHOP_TIME_ZONE: a time zone such as Europe/Copenhagen"):
        load_settings()


def test_a_day_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """DAY=1s makes waits 86,400 times shorter."""
    monkeypatch.setenv("DAY", "1s")
    assert load_settings().day_scale == pytest.approx(1 / 86400)


def test_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """<NAME>_FILE names a file with the secret; the line's end is not part of it."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("TAKK_MAIL_SECRET_FILE", str(tmp_path / "secret"))
    secret = load_settings().mail_secret
    assert secret is not None
    assert secret.get_secret_value() == SECRET


def test_secret_given_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret and a file for it at once is a mistake."""
    monkeypatch.setenv("TAKK_MAIL_SECRET", SECRET)
    monkeypatch.setenv("TAKK_MAIL_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match="both set"):
        load_settings()


def test_secret_file_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that is not there is named by its variable."""
    monkeypatch.setenv("SMTP_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="SMTP_PASSWORD_FILE"):
        load_settings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings in words nor an error about a secret shows it."""
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "http://user:hunter2hunter2@registry")
    settings = load_settings(mail_secret=SECRET)
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)
    monkeypatch.setenv("TAKK_MAIL_SECRET", "tooshort")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "tooshort" not in str(caught.value)
    assert "TAKK_MAIL_SECRET: at least 16 characters" in str(caught.value)


def test_every_mistake_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wrong variables are named at once."""
    monkeypatch.setenv("SMTP_PORT", "mail")
    monkeypatch.setenv("DAY", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["DAY", "SMTP_PORT"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        ({"kafka_sasl_username": "u"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"kafka_ssl_key_file": "key"}, "belong together"),
        ({"smtp_username": "u"}, "belong together"),
        ({"smtp_username": "u", "smtp_password": "p", "smtp_host": "mail.example"}, "in the clear"),
        ({"mail_from": "nobody"}, "TAKK_MAIL_FROM"),
        ({"mail_from": "a@b.example\nBcc: c@d.example"}, "TAKK_MAIL_FROM"),
    ],
)
def test_what_does_not_fit_together(given: dict[str, str], complaint: str) -> None:
    """Settings that contradict each other are refused, with the variable to change."""
    with pytest.raises(SettingsError, match=complaint):
        load_settings(**given)


def test_kafka_with_password_and_tls() -> None:
    """librdkafka gets mechanism, login and certificate authority."""
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


def test_faust_gets_the_same_login() -> None:
    """Membership uses the same login as the data."""
    credentials = load_settings(
        kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_username="u", kafka_sasl_password="p"
    ).faust_credentials()
    assert (credentials.username, credentials.password) == ("u", "p")
    assert load_settings().faust_credentials() is None
