"""Settings: everything that differs between installations, typed, read from the environment.

Kafka, the schema registry and SMTP use their common names (`KAFKA_BOOTSTRAP_SERVERS`, `SMTP_HOST`, ...), all others `TAKK_<NAME>`.
A secret may be given as `<NAME>_FILE`: the path of a file that contains it (Docker and Kubernetes secrets).

`make docs` generates deploy/SETTINGS.md from the fields and from the `#:` comment above each.
"""

from __future__ import annotations

import os
import re
import ssl
from decimal import Decimal
from email.utils import parseaddr
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.addresses import addresses_of
from streams.core.rules.ruleset import Shop
from streams.core.rules.sending_rules import TRANSACTIONAL_PER_ADDRESS
from streams.core.values.addresses import address_key, guest_key
from streams.core.values.local_time import zone
from streams.core.values.tokens import MIN_BITS, estimated_bits
from streams.endpoints import (
    bucket_of,
    check_helo_name,
    check_host,
    check_mailbox,
    check_servers,
    check_text,
    check_url,
    check_urls,
    host_of,
    is_loopback,
    networks_of,
    origins_of,
    rates_by_domain,
    split_urls,
    without_login,
)
from streams.runtime.kafka.retention import days_by_topic

PREFIX = "TAKK_"
_PACKAGE = Path(__file__).resolve().parent
#: The directory that contains templates/ and schemas/, wherever the program is started: the source tree, or in an installation from a
#: wheel the folder `share` of the package.
PROJECT_ROOT = _PACKAGE / "share" if (_PACKAGE / "share").is_dir() else _PACKAGE.parent
DAY_S = 86_400.0
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY_S}
#: Fields that may also be read from the file `<NAME>_FILE`. The registry's address may contain a password.
FROM_FILE = (
    "kafka_sasl_password", "kafka_ssl_key_password", "schema_registry_url", "smtp_password", "mail_secret", "mail_old_secrets",
    "reward_secret", "address_secret",
)  # fmt: skip


class SettingsError(ValueError):
    """Invalid settings. The message has one line for each: the variable, and what would be valid."""


def seconds(text: str | float) -> float:
    """Return a duration such as `1s`, `90m`, `1d` or plain seconds, in seconds.

    Raises:
        ValueError: the text is not a duration, or not positive.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?\s*", str(text))
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"not a valid duration: {str(text)!r} (use for example 1s, 90m, 12h or 1d)")
    return float(match[1]) * UNITS_S[match[2] or "s"]


def env_name(field: str) -> str:
    """Return the environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"{PREFIX}{field.upper()}"


class _SecretFiles(PydanticBaseSettingsSource):
    """The source that reads the files named by `<NAME>_FILE`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name not in FROM_FILE:
            return None, field_name, False
        name = env_name(field_name)
        path = os.environ.get(f"{name}_FILE")
        if not path:
            return None, field_name, False
        if os.environ.get(name):
            raise SettingsError(f"{name} and {name}_FILE are both set: remove one of them")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE: cannot read the file: {error}") from error

    def __call__(self) -> dict[str, Any]:
        values = (
            (name, self.get_field_value(field, name)[0]) for name, field in self.settings_cls.model_fields.items()
        )
        return {name: value for name, value in values if value is not None}


def _env(name: str, default: Any = None, **more: Any) -> Any:
    """Return a field that is set by exactly `name`, without the prefix."""
    return Field(default, validation_alias=name, **more)


class Settings(BaseSettings):
    """All settings. Build them with `load_settings`; tests may pass field names as arguments."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # the input may be a secret
    )

    # Kafka
    #: Addresses of the brokers, separated by commas.
    kafka_bootstrap_servers: str = _env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    #: How to connect to the brokers.
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _env(
        "KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"
    )
    #: Login mechanism of the `SASL` protocols.
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _env("KAFKA_SASL_MECHANISM", "PLAIN")
    #: User of the `SASL` protocols.
    kafka_sasl_username: str | None = _env("KAFKA_SASL_USERNAME")
    #: Password of that user.
    kafka_sasl_password: SecretStr | None = _env("KAFKA_SASL_PASSWORD")
    #: Certificate authorities of the brokers, as a PEM file. Default: those of the system.
    kafka_ssl_ca_file: Path | None = _env("KAFKA_SSL_CA_FILE")
    #: Client certificate, as a PEM file.
    kafka_ssl_certificate_file: Path | None = _env("KAFKA_SSL_CERTIFICATE_FILE")
    #: Private key of the client certificate, as a PEM file.
    kafka_ssl_key_file: Path | None = _env("KAFKA_SSL_KEY_FILE")
    #: Password of the private key.
    kafka_ssl_key_password: SecretStr | None = _env("KAFKA_SSL_KEY_PASSWORD")
    #: Address of the schema registry. Without it, records use Avro's single-object encoding.
    schema_registry_url: str | None = _env("SCHEMA_REGISTRY_URL", repr=False)

    #: Allow connections without encryption to other machines: `SASL_PLAINTEXT`, an `http` registry, and SMTP with `SMTP_TLS=none`. Only for
    #: networks that nobody else uses. Each start logs them.
    allow_insecure: bool = False

    # Topics and membership
    #: Prefix of consumer groups and changelog topics. A new value starts with empty state.
    app_id: str = Field("takk", pattern=r"^[A-Za-z0-9._-]+$")
    #: Name of the installation, the same for all its processes. A process does not start if another installation uses its app id on the
    #: cluster. Default: nothing is compared.
    installation: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    #: Partitions of every topic. They cannot be changed later.
    partitions: int = Field(4, ge=1, le=10_000)
    #: Replicas of every partition of every topic.
    replication: int = Field(1, ge=1, le=32)
    #: Days that new topics keep their records, such as `orders=400,flow-decisions=30`. Default: those of RETENTION.md. Dead letters are never
    #: kept longer than the shortest of the topics that they come from.
    topic_retention: str = ""
    #: Name of this process in its consumer group, unique and the same after a restart (KIP-345). A restart then takes seconds.
    group_instance_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,249}$")
    #: Seconds without a heartbeat before a process loses its partitions. The brokers limit it; each start compares it with their limits.
    session_timeout_s: float = Field(45.0, ge=1)
    #: Workers that keep a warm copy of each partition's state (fewer in a smaller group).
    standby_replicas: int = _env("STANDBY_REPLICAS", 1, ge=0, le=5)

    # State and batches
    #: Directory of the state. Use a disk that the process keeps across restarts.
    state_dir: Path = Path(".takk/state")
    #: Memory for all tables of a process together, in MiB.
    memory_mb: int = Field(256, ge=16)
    #: Largest number of records in one transaction.
    batch_max_records: int = Field(4000, ge=1)
    #: Largest number of bytes in one transaction.
    batch_max_bytes: int = Field(8 << 20, ge=1024)
    #: Largest number of timers fired in one transaction.
    sweep_limit: int = Field(5000, ge=1)
    #: Largest number of customers that campaigns and backfills look at per second, on each partition.
    walk_rate: int = Field(500, ge=1, le=100_000)
    #: Seconds from one heartbeat of a partition to the next. It passes through all stages, for `takk_heartbeat_seconds`. 0: none.
    heartbeat_s: int = Field(15, ge=0, le=3600)

    # Flows and the shop
    #: Directory of flows, messages, segments and rules.
    templates_dir: Path = PROJECT_ROOT / "templates"
    #: Directory of the Avro schemas.
    schemas_dir: DirectoryPath = PROJECT_ROOT / "schemas"
    #: Country (ISO 3166-1) that applies if the customer's is unknown.
    shop_country: str = Field("DK", pattern=r"^[A-Z]{2}$")
    #: Time zone that applies if the customer's is unknown.
    shop_time_zone: str = "Europe/Copenhagen"
    #: Locale that applies if the customer's is unknown.
    shop_locale: str = "da"
    #: Currency (ISO 4217) of the shop.
    shop_currency: str = Field("DKK", pattern=r"^[A-Z]{3}$")
    #: Spend from which a customer is a VIP, in the shop's currency.
    vip_spend: Decimal = Field(Decimal(10_000), ge=0)
    #: Days after a click in which an order is attributed to the email.
    attribution_days: int = Field(3, ge=0, le=365)
    #: Addresses that get the emails of test orders (`is_test`), such as `ann@shop.example,bo@shop.example`. Nobody else gets them.
    test_recipients: str = ""
    #: Whether the flows agent keeps `customer-pages` up to date: what the pages of the gateway show of each customer. Without a gateway,
    #: turn it off. Turned on again, a customer's page appears with their next order or other change.
    gateway_pages: bool = True
    #: How long one day of waiting takes. Shorten it for demos and tests: with `1s`, an email due in two days arrives after 2 seconds.
    day_scale_seconds: Annotated[float, BeforeValidator(seconds)] = _env("DAY", DAY_S, le=DAY_S)

    # Mail
    #: Mail server.
    smtp_host: str = _env("SMTP_HOST", "localhost")
    #: Port of the mail server.
    smtp_port: int = _env("SMTP_PORT", 25, ge=1, le=65535)
    #: User at the mail server. Needs TLS, unless the server is on this machine.
    smtp_username: str | None = _env("SMTP_USERNAME")
    #: Password of that user.
    smtp_password: SecretStr | None = _env("SMTP_PASSWORD")
    #: Encryption of the connection: `starttls` (usually port 587) or `tls` (usually port 465).
    smtp_tls: Literal["none", "starttls", "tls"] = _env("SMTP_TLS", "none")
    #: Connections to the mail server per mailer. Up to half as many more are opened while the server does not answer emails that it has.
    smtp_connections: int = _env("SMTP_CONNECTIONS", 4, ge=1, le=200)
    #: Seconds to wait for an answer of the mail server that has no timeout of its own below: to EHLO, STARTTLS and the login.
    smtp_timeout_s: float = _env("SMTP_TIMEOUT_S", 30.0, gt=0)
    #: Seconds to wait for the greeting of a new connection (RFC 5321 4.5.3.2).
    smtp_greeting_timeout_s: float = _env("SMTP_GREETING_TIMEOUT_S", 300.0, gt=0)
    #: Seconds to wait for the answer to `MAIL`, and for the answer to `RCPT` (RFC 5321 4.5.3.2).
    smtp_envelope_timeout_s: float = _env("SMTP_ENVELOPE_TIMEOUT_S", 300.0, gt=0)
    #: Seconds to wait for the answer to `DATA` (RFC 5321 4.5.3.2).
    smtp_data_timeout_s: float = _env("SMTP_DATA_TIMEOUT_S", 120.0, gt=0)
    #: Seconds to wait for the answer to the whole email (RFC 5321 4.5.3.2). After a shorter time the server may still accept it, and a
    #: second copy may follow.
    smtp_dot_timeout_s: float = _env("SMTP_DOT_TIMEOUT_S", 600.0, gt=0)
    #: Seconds that a mailer which stops or gives back a partition waits for the answers to emails that are on the wire. Give its process 15
    #: seconds more to end. An email without an answer is in doubt.
    smtp_stop_timeout_s: float = _env("SMTP_STOP_TIMEOUT_S", 60.0, gt=0, le=3600)
    #: Name of this host in `EHLO`, which some servers look up. Default: the domain of the sender.
    smtp_helo_name: str | None = _env("SMTP_HELO_NAME")
    #: Emails per second, per mailer. Default: no limit.
    smtp_max_per_second: float | None = _env("SMTP_MAX_PER_SECOND", gt=0, le=1_000_000)
    #: Emails per second to the recipients of a domain, per mailer, such as `gmail.com=14,outlook.com=5`. Default: no limits.
    smtp_max_per_second_per_domain: str = _env("SMTP_MAX_PER_SECOND_PER_DOMAIN", "")
    #: Sender of the emails: `Name <address>` or an address.
    mail_from: str = "Takk <takk@localhost>"
    #: Address that the links of the emails start with.
    mail_base_url: str = "http://localhost:8080"
    #: Id of the shop in the links of the emails. A link of another shop is not valid. Never change it: links in emails that were sent
    #: would stop working.
    shop_id: str = Field("shop", min_length=1, max_length=100)
    #: Processes beside a mailer that render its emails; 0: the mailer renders them itself. Default: 2 on a machine with four processors or
    #: more, 1 with two or three, and 0 with one.
    mail_renderers: int | None = Field(None, ge=0, le=64)
    #: Seals the links; the mailer requires it. At least 16 characters: `openssl rand -hex 32`.
    mail_secret: SecretStr | None = Field(None)
    #: Earlier values of `TAKK_MAIL_SECRET`, separated by blanks or lines. Links in emails that were sent remain valid with them.
    mail_old_secrets: SecretStr | None = Field(None)
    #: Signs the codes of rewards; workers whose flows give them require it. At least 16 characters. Default: `TAKK_MAIL_SECRET`.
    reward_secret: SecretStr | None = Field(None)
    #: Key of the hashes by which workers and mailers know an email address across customer ids; the same for all of them. At least 16
    #: characters. Never change it: refusals are stored under these hashes. Default: consent and caps hold for each customer id only.
    address_secret: SecretStr | None = Field(None)
    #: Transactional emails that one address gets per day, whichever customer ids use it. Needs `TAKK_ADDRESS_SECRET`.
    transactional_per_address: int = Field(TRANSACTIONAL_PER_ADDRESS, ge=1, le=200)

    # Gateway
    #: Address on which the gateway takes the requests of customers. Set it to `0.0.0.0` in a container.
    gateway_host: str = "127.0.0.1"
    #: Port of that address. 0 chooses a free one.
    gateway_port: int = Field(8000, ge=0, le=65535)
    #: Addresses or networks of the proxies in front of the gateway, such as `10.0.0.0/8,192.0.2.7`. Their `X-Forwarded-For` is believed.
    gateway_trusted_proxies: str = ""
    #: Requests per minute from one address (IPv4, or network of IPv6). Opens, clicks, unsubscriptions and the API count only while they are invalid.
    gateway_requests_per_minute: int = Field(120, ge=1, le=1_000_000)
    #: Size of the spool, in MiB: the records that a gateway keeps on its disk while Kafka is away. Past it, it answers 503.
    gateway_spool_mb: int = Field(256, ge=1, le=1 << 20)
    #: Directory of the photos that customers upload. Default: the folder `uploads` in the gateway's state.
    gateway_uploads_dir: Path | None = None
    #: Bucket of these photos instead of a directory, such as `s3://bucket/uploads`. Access is set up as for every program that uses boto3: with
    #: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_DEFAULT_REGION`, and `AWS_ENDPOINT_URL_S3` for a store other than that of AWS.
    gateway_uploads_bucket: str = ""
    #: File with the hashes of the API keys: `takk api-key create` prints its lines. Without it, the JSON API accepts no key.
    gateway_api_keys_file: Path | None = None
    #: Requests of one API key per minute.
    gateway_api_requests_per_minute: int = Field(6000, ge=1, le=1_000_000)
    #: Origins of the shop's pages that may send browsing with the site script, such as `https://shop.example,https://www.shop.example`.
    gateway_site_origins: str = ""

    # Metrics, health and logs
    #: Address that `/metrics`, `/livez` and `/readyz` listen on. Set it to `0.0.0.0` in a container.
    web_host: str = "127.0.0.1"
    #: Port of these endpoints. 0 chooses a free one.
    web_port: int = Field(8080, ge=0, le=65535)
    #: Least severe level that is logged.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: `json` for machines, `console` for people.
    log_format: Literal["json", "console"] = "json"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: arguments, then the environment, then the files it names."""
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @field_validator("mail_from")
    @classmethod
    def _has_address(cls, value: str) -> str:
        return check_mailbox(value)

    @field_validator("test_recipients")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        return ",".join(addresses_of(value))

    @field_validator("gateway_site_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        return ",".join(origins_of(value))

    @field_validator("gateway_uploads_bucket")
    @classmethod
    def _is_bucket(cls, value: str) -> str:
        if value:
            bucket_of(value)
        return value

    @field_validator("smtp_helo_name")
    @classmethod
    def _is_helo_name(cls, value: str | None) -> str | None:
        return None if value is None else check_helo_name(value)

    @field_validator("smtp_max_per_second_per_domain")
    @classmethod
    def _are_rates(cls, value: str) -> str:
        rates_by_domain(value)
        return value

    @field_validator("topic_retention")
    @classmethod
    def _are_days(cls, value: str) -> str:
        days_by_topic(value)
        return value

    @field_validator("gateway_trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_of(value)
        return value

    @field_validator("shop_time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if zone(value) is None:
            raise ValueError(f"unknown time zone {value!r} (use for example Europe/Copenhagen)")
        return value

    @field_validator("*")
    @classmethod
    def _is_one_line(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name != "mail_old_secrets":  # these may be on several lines
            if isinstance(value, SecretStr):
                check_text(value.get_secret_value(), is_secret=True)
            elif isinstance(value, str | Path):
                check_text(str(value))
        return value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        return check_servers(value)

    @field_validator("schema_registry_url")
    @classmethod
    def _are_urls(cls, value: str | None) -> str | None:
        return None if value is None else check_urls(value)

    @field_validator("smtp_host", "web_host", "gateway_host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        return check_host(value)

    @field_validator("mail_base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return check_url(value)

    @field_validator("mail_secret", "reward_secret", "address_secret")
    @classmethod
    def _is_strong(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            if len(text) < 16:
                raise ValueError("too short (use at least 16 characters, for example from `openssl rand -hex 32`)")
            if estimated_bits(text) < MIN_BITS:
                raise ValueError("too easy to guess (use random characters, for example from `openssl rand -hex 32`)")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.kafka_security_protocol.startswith("SASL"):
            if not self.kafka_sasl_username or self.kafka_sasl_password is None:
                raise ValueError(
                    f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD(_FILE)"
                )
        elif self.kafka_sasl_username:
            raise ValueError("KAFKA_SASL_USERNAME needs KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SASL_PLAINTEXT)")
        if bool(self.kafka_ssl_certificate_file) != bool(self.kafka_ssl_key_file):
            raise ValueError("KAFKA_SSL_CERTIFICATE_FILE and KAFKA_SSL_KEY_FILE: set both or neither")
        if bool(self.smtp_username) != (self.smtp_password is not None):
            raise ValueError("SMTP_USERNAME and SMTP_PASSWORD(_FILE): set both or neither")
        if self.gateway_uploads_bucket and self.gateway_uploads_dir is not None:
            raise ValueError("TAKK_GATEWAY_UPLOADS_DIR and TAKK_GATEWAY_UPLOADS_BUCKET: set one of them")
        if not self.allow_insecure and (insecure := self.insecure_connections()):
            raise ValueError(
                "\n".join(
                    f"{line}, or TAKK_ALLOW_INSECURE=true on a network that nobody else uses" for line in insecure
                )
            )
        return self

    def insecure_connections(self) -> list[str]:
        """Return a line for each connection to another machine that is not encrypted: what it sends, and what to set instead."""
        found = []
        hosts = [host_of(server) for server in self.kafka_bootstrap_servers.split(",")]
        if self.kafka_security_protocol == "SASL_PLAINTEXT" and not all(map(is_loopback, hosts)):
            found.append(
                "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT sends the Kafka password unencrypted: set KAFKA_SECURITY_PROTOCOL=SASL_SSL"
            )
        registries = split_urls(self.schema_registry_url) if self.schema_registry_url else []
        if any(url.scheme == "http" and not is_loopback(url.hostname) for url in registries):
            what = "the registry's password" if self.registry_login else "schemas"
            found.append(f"SCHEMA_REGISTRY_URL sends {what} unencrypted: set an address with https://")
        if self.smtp_tls == "none" and not is_loopback(self.smtp_host):
            what = "the SMTP password and the emails" if self.smtp_username else "the emails"
            found.append(f"SMTP_TLS=none sends {what} unencrypted: set SMTP_TLS=starttls (port 587) or tls (port 465)")
        return found

    def link_secrets(self) -> tuple[bytes, ...]:
        """Return the secret that seals the links of emails, then the earlier ones.

        Raises:
            SettingsError: `mail_secret` is not set.
        """
        if self.mail_secret is None:
            raise SettingsError("TAKK_MAIL_SECRET(_FILE) is not set")
        return (self.mail_secret.get_secret_value().encode(), *(old.encode() for old in self._old_secrets()))

    def _old_secrets(self) -> list[str]:
        return self.mail_old_secrets.get_secret_value().split() if self.mail_old_secrets else []

    @property
    def day_scale(self) -> float:
        """The factor that scales all waits of flows; 1.0 in production."""
        return self.day_scale_seconds / DAY_S

    @property
    def mail_domain(self) -> str:
        """The domain of the sender's address, used in Message-IDs."""
        return parseaddr(self.mail_from)[1].rpartition("@")[2]

    @property
    def reader_group_id(self) -> str:
        """The consumer group of commands that only read topics; it never commits an offset."""
        return f"{self.app_id}-look"

    def ruleset_options(self) -> dict[str, Any]:
        """Return the arguments of `load_ruleset` besides the directory."""
        return {
            "shop": Shop(
                country=self.shop_country,
                time_zone=self.shop_time_zone,
                locale=self.shop_locale,
                currency=self.shop_currency,
            ),
            "vip_spend": self.vip_spend,
            "attribution_days": self.attribution_days,
            "day_scale": self.day_scale,
            "reward_key": self.reward_key,
            **self.address_options(),
            "shows_pages": self.gateway_pages,
            "test_recipients": tuple([each.lower() for each in addresses_of(self.test_recipients)]),
        }

    def address_options(self) -> dict[str, Any]:
        """Return the arguments of `load_ruleset` about email addresses."""
        return {"address_key": self.address_key, "transactional_per_address": self.transactional_per_address}

    @property
    def address_key(self) -> bytes:
        """The key of the hashes of addresses, derived from `address_secret`; empty without it."""
        secret = self.address_secret
        return b"" if secret is None else address_key(secret.get_secret_value().encode())

    @property
    def reward_key(self) -> bytes:
        """The key that signs reward codes, derived from `reward_secret`, or from `mail_secret` as in earlier versions; empty without both."""
        secret = self.reward_secret or self.mail_secret
        if secret is None:
            return b""
        return blake2b(secret.get_secret_value().encode(), person=b"takk-rewards").digest()

    def secret_values(self) -> tuple[str, ...]:
        """Return the values that no log line and no error may contain."""
        fields = (getattr(self, name) for name in type(self).model_fields)
        values = [value.get_secret_value() for value in fields if isinstance(value, SecretStr)]
        values += self._old_secrets()
        if login := self.registry_login:
            values += [login, login.partition(":")[2]]
        return tuple(value for value in values if value)

    @property
    def guest_key(self) -> bytes:
        """The key of the ids of guests, derived from `address_secret`; empty without it."""
        secret = self.address_secret
        return b"" if secret is None else guest_key(secret.get_secret_value().encode())

    @property
    def registry_address(self) -> str | None:
        """The address of the schema registry, without user and password: HTTP clients log the address of each request."""
        return None if self.schema_registry_url is None else without_login(self.schema_registry_url)[0]

    @property
    def registry_login(self) -> str | None:
        """`user:password` of the schema registry, or None."""
        return None if self.schema_registry_url is None else without_login(self.schema_registry_url)[1]

    def kafka(self) -> dict[str, str]:
        """Return the connection to the cluster as librdkafka properties, for consumers, producers and the admin client."""
        config = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "client.id": self.group_instance_id or self.app_id,
        }
        if self.kafka_security_protocol != "PLAINTEXT":
            config["security.protocol"] = self.kafka_security_protocol
        if self.kafka_sasl_username and self.kafka_sasl_password is not None:
            config["sasl.mechanism"] = self.kafka_sasl_mechanism
            config["sasl.username"] = self.kafka_sasl_username
            config["sasl.password"] = self.kafka_sasl_password.get_secret_value()
        if self.kafka_security_protocol.endswith("SSL"):
            files = {
                "ssl.ca.location": self.kafka_ssl_ca_file,
                "ssl.certificate.location": self.kafka_ssl_certificate_file,
                "ssl.key.location": self.kafka_ssl_key_file,
            }
            config |= {name: str(path) for name, path in files.items() if path}
            if self.kafka_ssl_key_password is not None:
                config["ssl.key.password"] = self.kafka_ssl_key_password.get_secret_value()
        return config

    def faust_brokers(self) -> str:
        """Return the cluster's address in Faust's format: `kafka://host:9092;kafka://...`."""
        return ";".join(f"kafka://{server.strip()}" for server in self.kafka_bootstrap_servers.split(","))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context for Kafka clients other than librdkafka; None if the protocol does not use TLS.

        Raises:
            OSError: a certificate or key file cannot be read (ssl.SSLError is one).
        """
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.kafka_ssl_ca_file)
        if self.kafka_ssl_certificate_file and self.kafka_ssl_key_file:
            password = self.kafka_ssl_key_password.get_secret_value() if self.kafka_ssl_key_password else None
            context.load_cert_chain(self.kafka_ssl_certificate_file, self.kafka_ssl_key_file, password)
        return context

    def faust_credentials(self) -> Any:
        """Return Faust's `broker_credentials`, or None if the cluster needs neither login nor TLS.

        Raises:
            OSError: a certificate or key file cannot be read.
        """
        context = self.ssl_context()
        if self.kafka_security_protocol.startswith("SASL") and self.kafka_sasl_password is not None:
            from faust.auth import SASLCredentials  # late: `takk --help` must not import Faust

            return SASLCredentials(
                username=self.kafka_sasl_username,
                password=self.kafka_sasl_password.get_secret_value(),
                mechanism=self.kafka_sasl_mechanism,
                ssl_context=context,
            )
        if context is None:
            return None
        from faust.auth import SSLCredentials  # late, as above

        return SSLCredentials(context=context)


def load_settings(**overrides: Any) -> Settings:
    """Return the settings from the environment, with `overrides` by field name.

    Raises:
        SettingsError: settings are invalid; the message names each variable and what would be valid.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_message(dict(problem)) for problem in error.errors())) from None


def _message(problem: dict[str, Any]) -> str:
    text = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return text
    field = str(problem["loc"][0])
    name = env_name(field) if field in Settings.model_fields else field
    if problem["type"] == "path_not_directory":
        text = f"{str(problem['input'])!r} is not a directory"
    return f"{name}: {text}"
