"""Settings: read from the environment and from files; invalid ones are reported by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.values.addresses import address_key
from streams.endpoints import rates_by_domain
from streams.mail.links import Sender
from streams.mail.mime import compose
from streams.mail.rendering.renderer import RenderedEmail
from streams.settings import Settings, SettingsError, env_name, load_settings, seconds
from tests.harness.commands import KEYS, NOW, command

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


def test_reward_codes_have_a_secret_of_their_own() -> None:
    """The secret of rewards signs codes, so that workers need no other. Without it the secret of emails does, as in earlier versions."""
    by_mail = load_settings(mail_secret=SECRET).reward_key
    assert by_mail.hex() == hashlib.blake2b(SECRET.encode(), person=b"takk-rewards").hexdigest()
    assert load_settings(reward_secret=SECRET).reward_key == by_mail
    other = "f3a9c17be02d4468"
    assert (
        load_settings(reward_secret=other, mail_secret=SECRET).reward_key == load_settings(mail_secret=other).reward_key
    )
    assert load_settings().reward_key == b""
    assert other in load_settings(reward_secret=other).secret_values()
    with pytest.raises(SettingsError, match="TAKK_REWARD_SECRET: too short"):
        load_settings(reward_secret="tooshort")


def test_addresses_have_a_secret_of_their_own() -> None:
    """The key of the hashes of addresses comes from its own secret, which is never replaced; without it there is no key."""
    assert load_settings(mail_secret=SECRET, reward_secret=SECRET).address_key == b""
    settings = load_settings(address_secret=SECRET, transactional_per_address=3)
    assert settings.address_key == address_key(SECRET.encode())
    assert settings.address_options() == {"address_key": settings.address_key, "transactional_per_address": 3}
    assert SECRET in settings.secret_values()
    with pytest.raises(SettingsError, match="TAKK_ADDRESS_SECRET: too easy"):
        load_settings(address_secret="0" * 40)


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the representation of the settings nor an error contains a secret."""
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "https://user:hunter2hunter2@registry")
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
        ({"smtp_host": "mail.example"}, "SMTP_TLS=none sends the emails unencrypted: set SMTP_TLS=starttls"),
        ({"schema_registry_url": "http://registry:8081"}, "SCHEMA_REGISTRY_URL sends schemas unencrypted"),
        (
            {"schema_registry_url": "https://a,http://u:p@b"},
            "SCHEMA_REGISTRY_URL sends the registry's password unencrypted",
        ),
        (
            {
                "kafka_security_protocol": "SASL_PLAINTEXT",
                "kafka_sasl_username": "u",
                "kafka_sasl_password": "p",
                "kafka_bootstrap_servers": "localhost:9092,kafka:9092",
            },
            "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT sends",
        ),
        ({"mail_from": "nobody"}, "TAKK_MAIL_FROM"),
        ({"mail_from": "a@b.example\nBcc: c@d.example"}, "TAKK_MAIL_FROM"),
    ],
)
def test_contradictions(given: dict[str, Any], message: str) -> None:
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


OPEN: dict[str, Any] = {
    "smtp_host": "mailpit",
    "schema_registry_url": "http://u:hunter2hunter2@registry:8081",
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_username": "u",
    "kafka_sasl_password": "p",
    "kafka_bootstrap_servers": "kafka:9092",
}


def test_connections_without_encryption_must_be_allowed() -> None:
    """With TAKK_ALLOW_INSECURE they are allowed, and each is named for the log, without a password."""
    lines = load_settings(**OPEN, allow_insecure=True).insecure_connections()
    assert [line.split("=")[0].split(" ")[0] for line in lines] == [
        "KAFKA_SECURITY_PROTOCOL",
        "SCHEMA_REGISTRY_URL",
        "SMTP_TLS",
    ]
    assert "hunter2" not in str(lines)
    with pytest.raises(SettingsError) as refused:
        load_settings(**OPEN)
    assert str(refused.value).count("TAKK_ALLOW_INSECURE=true") == 3
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    """A server on this machine is allowed without encryption: nothing leaves the machine."""
    url = f"http://u:p@[{host}]:8081" if ":" in host else f"http://u:p@{host}:8081"
    servers = f"[{host}]:9092" if ":" in host else f"{host}:9092"
    settings = load_settings(
        **OPEN | {"smtp_host": host, "schema_registry_url": url, "kafka_bootstrap_servers": servers}
    )
    assert settings.insecure_connections() == []


HOSTILE = ["a b", "a\r\nX: y", "a\nb", "a\0b", "a\x1bb", " a", "a ", "a\u2028b", "a\tb"]
TEXTS = [
    "kafka_bootstrap_servers", "schema_registry_url", "mail_base_url", "smtp_host", "web_host", "state_dir", "templates_dir", "app_id",
    "group_instance_id", "smtp_username", "kafka_sasl_username", "kafka_ssl_ca_file", "mail_from", "shop_locale",
]  # fmt: skip


#: A path, a user and a display name may contain a blank.
WITH_BLANKS = {
    "state_dir",
    "templates_dir",
    "kafka_ssl_ca_file",
    "smtp_username",
    "kafka_sasl_username",
    "mail_from",
    "shop_locale",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in TEXTS for value in HOSTILE if value != "a b" or name not in WITH_BLANKS],
)
def test_control_characters_and_blanks(name: str, value: str) -> None:
    """No setting contains a control character, or blanks around it; addresses contain no blank at all."""
    prefix = {"mail_base_url": "https://h/", "schema_registry_url": "https://h/", "mail_from": "a@b.example"}.get(
        name, ""
    )
    given = value + prefix if value == " a" else prefix + value
    with pytest.raises(SettingsError) as refused:
        load_settings(**{name: given})
    assert env_name(name) in str(refused.value)
    assert not any(character in str(refused.value).replace("\n", "") for character in "\r\0\x1b\u2028\t")


@pytest.mark.parametrize(
    "url",
    [
        "", "m.example", "ftp://m.example", "https://", "https://m.example:0", "https://m.example:99999", "https://m.example:x",
        "https://m.example:", "https://u:p@m.example", "https://m.example?a=b", "https://m.example/#a", "https://m.example/a b",
        "https://m.example/%zz", "https://m.example/<a>", 'https://m.example/"', "https://m..example", "https://-m.example",
        "https://[::1", "https://mailøxample", "https:m.example", "javascript:alert(1)", "https://m.example/\r\nX: y", "https://a_*b",
        "//m.example", "https://m.example\\@evil.example",
    ],
)  # fmt: skip
def test_invalid_urls_of_links(url: str) -> None:
    """An address that links cannot start with is rejected by the name of its variable."""
    with pytest.raises(SettingsError, match="TAKK_MAIL_BASE_URL"):
        load_settings(mail_base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://m.example",
        "http://localhost:8080/",
        "https://m.example:8443/a/b%20c",
        "https://[2001:db8::1]/x",
        "https://xn--mail-0ra.dk",
    ],
)
def test_valid_urls_of_links(url: str) -> None:
    """Ordinary addresses are taken as they are."""
    assert load_settings(mail_base_url=url).mail_base_url == url


@pytest.mark.parametrize(
    "servers",
    [
        "a:1,b",
        "kafka_1:9092",
        "[2001:db8::1]:9092",
        "10.0.0.1:9092, 10.0.0.2:9092",
        "b-1.msk.eu-west-1.amazonaws.com:9098",
    ],
)
def test_addresses_of_brokers(servers: str) -> None:
    """Names and addresses of brokers, with and without a port."""
    assert load_settings(kafka_bootstrap_servers=servers).kafka_bootstrap_servers == servers.replace(" ", "")


@pytest.mark.parametrize(
    "servers", [",", "a:0", "a:70000", "PLAINTEXT://a:1", "a:1,,b:1", "a:1;b:1", "a b:1", "2001:db8::1:9092", "u@a:1"]
)
def test_invalid_addresses_of_brokers(servers: str) -> None:
    """A list that librdkafka and Faust would read differently is rejected."""
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP_SERVERS: not a valid address of a broker"):
        load_settings(kafka_bootstrap_servers=servers)


@pytest.mark.parametrize(
    "url",
    [
        "http:u:hunter2hunter2@registry",
        "https://u:hunter2hunter2@",
        "https://u:hunter2hunter2@a b",
        "x://u:hunter2hunter2@h",
    ],
)
def test_an_invalid_registry_is_reported_without_its_password(url: str) -> None:
    """The address of the registry may contain a password, so an error does not show it."""
    with pytest.raises(SettingsError, match="SCHEMA_REGISTRY_URL") as refused:
        load_settings(schema_registry_url=url)
    assert "hunter2" not in str(refused.value)


def test_the_login_of_the_registry() -> None:
    """User and password are taken out of the address, decoded, also of several addresses."""
    settings = load_settings(schema_registry_url="https://me:a%2Fb@r1:8081/x,https://me:a%2Fb@r2")
    assert (settings.registry_address, settings.registry_login) == ("https://r1:8081/x,https://r2", "me:a/b")
    assert {"me:a/b", "a/b"} <= set(settings.secret_values())


@pytest.mark.parametrize(
    "secret", [" " * 16, "a" * 40, "ab" * 20, "passwordpassword", "abcdefghijklmnopqrstuvwxyz", "1111222233334444"]
)
def test_secrets_that_are_easy_to_guess(secret: str) -> None:
    """Blanks, repetitions and sequences are rejected, however long they are."""
    with pytest.raises(SettingsError, match="TAKK_MAIL_SECRET: too easy to guess"):
        load_settings(mail_secret=secret)


@given(st.binary(min_size=8, max_size=64))
@example(b"\xb7\x02&\x91$D|\xc7J>\xf5")
def test_random_secrets_are_strong(raw: bytes) -> None:
    """The output of `openssl rand -hex` is accepted, from 16 digits on."""
    generated = hashlib.sha256(raw).hexdigest()
    for length in (16, 32, 64):
        assert load_settings(mail_secret=generated[:length]).mail_secret is not None


def test_old_secrets() -> None:
    """Links that were made with an earlier secret remain valid while it is listed."""
    after = load_settings(mail_secret="f3a9c17be02d4468", mail_old_secrets=f"another-old-secret-of-ours\n{SECRET}\n")
    assert after.link_secrets() == (b"f3a9c17be02d4468", b"another-old-secret-of-ours", SECRET.encode())
    assert SECRET in after.secret_values()
    assert SECRET not in repr(after)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("Shop <hej@smørrebrød.dk>", "Shop <hej@xn--smrrebrd-64af.dk>"),
        ("Bøger & Kød <hej@xn--smrrebrd-64af.dk>", "Bøger & Kød <hej@xn--smrrebrd-64af.dk>"),
        ("hej@SMØRREBRØD.dk", "hej@xn--smrrebrd-64af.dk"),
        ("info@faß.de", "info@xn--fa-hia.de"),
        ("takk@localhost", "takk@localhost"),
    ],
)
def test_the_domain_of_the_sender_is_ascii(written: str, sent: str) -> None:
    """A domain with other letters is read as it is written in an email and in SMTP."""
    settings = load_settings(mail_from=written)
    assert settings.mail_from == sent
    assert settings.mail_domain.isascii()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("Shop <jørg@shop.example>", "before the @"),
        ("Shop <a@b@c>", "TAKK_MAIL_FROM"),
        ("a@x.example, b@x.example", "not a valid sender"),
        ("Shop <hej@-shop.example>", "not a valid domain"),
        ("Shop <hej@shop..example>", "not a valid domain"),
        ("Shop <hej@" + "ø" * 70 + ".dk>", "cannot be used"),
        ("Shop <.hej@shop.example>", "before the @"),
        (f"Shop <{'a' * 65}@shop.example>", "before the @"),
        ("Shop", "not a valid sender"),
    ],
)
def test_an_impossible_sender_is_refused(written: str, problem: str) -> None:
    """A sender that no email can have is refused when the settings are read, in words."""
    with pytest.raises(SettingsError, match=problem) as refused:
        load_settings(mail_from=written)
    assert "TAKK_MAIL_FROM" in str(refused.value)


@given(st.text(max_size=80))
def test_any_sender_is_refused_or_can_be_sent(text: str) -> None:
    """Whatever the sender is, settings that are accepted make an email that can be encoded."""
    try:
        settings = load_settings(mail_from=f"Shop <hej@{text}>")
    except SettingsError:
        return
    sender = Sender.parse(settings.mail_from, settings.mail_domain, settings.mail_base_url, KEYS)
    assert compose(sender, command(), RenderedEmail("s", "h", "t"), sender.links(command()), NOW).startswith(b"From: ")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mail.shop.example", "mail.shop.example"),
        ("Smørrebrød.dk", "xn--smrrebrd-64af.dk"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        (None, None),
    ],
)
def test_helo_name(text: str | None, name: str | None) -> None:
    """The name in EHLO is a domain in ASCII or an address literal."""
    assert load_settings(smtp_helo_name=text).smtp_helo_name == name


@pytest.mark.parametrize(
    "text", ["two words", "a..b", "-a.example", "mail.example\r\nMAIL", "[192.0.2]", "a@b.example", "ø" * 80]
)
def test_invalid_helo_name(text: str) -> None:
    """Other names are rejected: they could add commands, or every server would refuse them."""
    with pytest.raises(SettingsError, match="SMTP_HELO_NAME"):
        load_settings(smtp_helo_name=text)


def test_rates_by_domain() -> None:
    """Rates per domain are read with blanks, capitals and other letters; an empty text has none."""
    assert rates_by_domain("gmail.com=14, Outlook.com = 0.5 ,smørrebrød.dk=2,") == {
        "gmail.com": 14.0, "outlook.com": 0.5, "xn--smrrebrd-64af.dk": 2.0
    }  # fmt: skip
    assert rates_by_domain("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "gmail.com",
        "gmail.com=",
        "gmail.com=0",
        "gmail.com=-1",
        "=3",
        "gmail.com=nan",
        "a.com=1e9",
        "a b=1",
        "a.com=1,A.com=2",
        "a.com=1;b.com=2",
    ],
)
def test_invalid_rates(text: str) -> None:
    """A rate that would never or always hold, and a domain that is there twice, are rejected with the entry."""
    with pytest.raises(SettingsError, match="SMTP_MAX_PER_SECOND_PER_DOMAIN: not a valid rate"):
        load_settings(smtp_max_per_second_per_domain=text)
