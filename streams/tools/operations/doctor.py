"""Looks at everything a worker needs before it starts, and says in words what is wrong and what to do."""

from __future__ import annotations

import shutil
import smtplib
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from streams.definitions.loader import load_flows
from streams.definitions.problems import FlowFileError
from streams.runtime.kafka.topic_admin import TopicMismatch
from streams.settings import LOOPBACK, Settings
from streams.wire import topics

PATIENCE_S = 5.0
#: Below this a worker that restores, or whose tables compact, may fill the disk.
ROOM_MB = 1024


class Finding(Struct, frozen=True, kw_only=True):
    """The outcome of one check: `words` say what was found and, unless `is_well`, what to do."""

    name: str
    is_well: bool
    words: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.is_well else 'wrong'}  {self.name:<9}  {self.words}"


class Trouble(Exception):
    """A check failed; the message says what is wrong and what to do."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Make every check, one after the other; none of them changes anything."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("broker", broker),
        ("replicas", replicas),
        ("topics", existing_topics),
        ("smtp", smtp),
        ("sender", sender),
        ("templates", templates),
        ("disk", disk),
    ]
    if settings.schema_registry_url:
        checks.insert(3, ("registry", registry))
    is_reachable = True
    for name, check in checks:
        if name in ("replicas", "topics") and not is_reachable:
            yield Finding(name=name, is_well=False, words="not looked at: the broker comes first")
            continue
        try:
            yield Finding(name=name, is_well=True, words=check(settings))
        except Trouble as trouble:
            is_reachable = is_reachable and name != "broker"
            yield Finding(name=name, is_well=False, words=str(trouble))


def broker(settings: Settings) -> str:
    """Whether the cluster answers with these credentials."""
    return f"{_brokers(settings)} broker(s) at {settings.kafka_bootstrap_servers}"


def replicas(settings: Settings) -> str:
    """Whether there are as many brokers as a topic is to have replicas: with fewer no topic can be made, though those that exist work on."""
    found = _brokers(settings)
    if found < settings.replication:
        raise Trouble(f"{found} broker(s), but TAKK_REPLICATION={settings.replication}: lower it or add brokers")
    return f"{settings.replication} of each partition"


def _brokers(settings: Settings) -> int:
    servers = settings.kafka_bootstrap_servers
    reasons: list[str] = []
    try:
        admin = AdminClient(
            {**settings.kafka(), "error_cb": lambda error: reasons.append(error.str()), "log_level": 0},
        )
        return len(admin.list_topics(timeout=PATIENCE_S).brokers)
    except KafkaException as error:
        reason = next((words for words in reasons if "brokers are down" not in words), error.args[0].str())
        raise Trouble(
            f"no answer from {servers} with {settings.kafka_security_protocol}: {reason}. Is KAFKA_BOOTSTRAP_SERVERS right, does the "
            "network let this machine in, do KAFKA_SECURITY_PROTOCOL and the password fit? (`takk kafka start` starts one here)"
        ) from error


def existing_topics(settings: Settings) -> str:
    """Whether all topics are there and are what they have to be."""
    try:
        present = AdminClient(settings.kafka()).list_topics(timeout=PATIENCE_S).topics
        missing = [spec.name for spec in topics.TOPICS if spec.name not in present]
        if missing:
            raise Trouble(f"missing: {', '.join(missing)}. Make them with `takk topics create`")
        topics.create_topics(settings)  # none is missing, so this compares and makes nothing
    except TopicMismatch as mismatch:
        raise Trouble("; ".join(mismatch.problems)) from mismatch
    except KafkaException as error:
        raise Trouble(
            f"the cluster does not say: {error.args[0].str()}. Takk needs the rights Describe and DescribeConfigs on its topics"
        ) from error
    return f"{len(topics.TOPICS)} topics, {settings.partitions} partitions each"


def registry(settings: Settings) -> str:
    """Whether the schema registry answers."""
    url = str(settings.schema_registry_url)
    where = urlsplit(url).hostname or "?"
    if not url.startswith(("http://", "https://")):
        raise Trouble("SCHEMA_REGISTRY_URL must start with http:// or https://")
    from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError  # late: slow to load

    try:
        client = SchemaRegistryClient({"url": url, "timeout": PATIENCE_S, "max.retries": 0})
        subjects = client.get_subjects()
    except SchemaRegistryError as error:
        raise Trouble(
            f"{where} answers {error.http_status_code}: are the name and password in SCHEMA_REGISTRY_URL right?"
        ) from error
    except Exception as error:  # the client lets its HTTP library's own errors through; all mean the same here
        raise Trouble(f"no answer from {where} ({type(error).__name__}): is SCHEMA_REGISTRY_URL right?") from error
    return f"{len(subjects)} subjects at {where}"


def smtp(settings: Settings) -> str:
    """Whether the mail server lets us in; sends nothing."""
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    context = ssl.create_default_context()
    try:
        with _connect(settings, context) as server:
            server.ehlo_or_helo_if_needed()
            if settings.smtp_tls == "starttls":
                server.starttls(context=context)
            if settings.smtp_username and settings.smtp_password is not None:
                server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
            code, _ = server.noop()
    except ssl.SSLError as error:
        raise Trouble(
            f"{where} and TLS: {error.reason or error}. SMTP_TLS=starttls goes with port 587, tls with 465; the certificate must be valid "
            "for SMTP_HOST"
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Trouble(
            f"{where} does not offer what SMTP_TLS={settings.smtp_tls} and the login ask for: {error}"
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise Trouble(
            f"{where} refuses the login ({error.smtp_code}): check SMTP_USERNAME and SMTP_PASSWORD(_FILE)"
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise Trouble(
            f"{where} does not answer as a mail server: {error}. Check SMTP_HOST, SMTP_PORT, SMTP_TLS and the firewall"
        ) from error
    if code != 250:
        raise Trouble(f"{where} answers {code}: it takes no mail from here now")
    return f"{where} lets us in" + ("" if settings.smtp_tls == "none" else f" over {settings.smtp_tls}")


def _connect(settings: Settings, context: ssl.SSLContext) -> smtplib.SMTP:
    if settings.smtp_tls == "tls":
        return smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=PATIENCE_S, context=context)
    return smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=PATIENCE_S)


def sender(settings: Settings) -> str:
    """Whether recipients can answer, and trust the links."""
    if settings.mail_secret is None:
        raise Trouble(
            "TAKK_MAIL_SECRET(_FILE) is not set: the links of the mails cannot be signed. Make one with `openssl rand -hex 32`"
        )
    is_local = settings.smtp_host in LOOPBACK
    if settings.mail_domain in LOOPBACK and not is_local:
        raise Trouble(
            "TAKK_MAIL_FROM is not set: mails would come from localhost. Give it as `My Shop <hello@shop.example>`"
        )
    if not is_local and (
        urlsplit(settings.mail_base_url).hostname in LOOPBACK or not settings.mail_base_url.startswith("https://")
    ):
        raise Trouble(
            "TAKK_MAIL_BASE_URL must be an https:// address that recipients can reach: unsubscribe links lead there"
        )
    return f"mails come from {settings.mail_domain}, links lead to {settings.mail_base_url}"


def templates(settings: Settings) -> str:
    """Whether the flows can be read."""
    try:
        flows = load_flows(settings.templates_dir)
    except FlowFileError as error:
        raise Trouble(
            f"{len(error.errors)} mistake(s), see `takk flows check`; the first: {error.errors[0]}"
        ) from error
    return f"{len(flows)} flows in {settings.templates_dir}"


def disk(settings: Settings) -> str:
    """Whether the state has room, and may be written."""
    home = _nearest(settings.state_dir)
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise Trouble(
            f"{home} cannot be written ({error.strerror}): set TAKK_STATE_DIR or give this user the right"
        ) from error
    free_mb = shutil.disk_usage(home).free >> 20
    if free_mb < ROOM_MB:
        raise Trouble(f"{free_mb} MB free at {home}, {ROOM_MB} MB wanted: make room or set TAKK_STATE_DIR")
    return f"{free_mb} MB free at {home}"


def _nearest(path: Path) -> Path:
    """`path`, or the folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
