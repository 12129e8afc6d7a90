"""`takk doctor`: checks everything that a worker and a mailer need to start, and suggests fixes."""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from streams.agents.brand_check import placeholder_problem, reaches_customers
from streams.agents.limits_check import limit_problems
from streams.core.values.text import counted
from streams.definitions.loader import brand_problems, load_flows
from streams.definitions.problems import FlowFileError
from streams.endpoints import is_loopback, split_urls
from streams.runtime.avro.registry import connect
from streams.runtime.clock import MAX_STEP_S
from streams.runtime.kafka.availability import KafkaUnavailable, count_brokers
from streams.runtime.kafka.broker_clock import seconds_ahead
from streams.runtime.kafka.cluster import Cluster
from streams.runtime.kafka.topic_admin import TopicMismatch
from streams.settings import Settings
from streams.tools.operations.publication import NotPublished, describe_version
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder

#: Seconds to wait for an answer of the broker, the registry or the mail server.
TIMEOUT_S = 5.0
#: Free space in MB below which a worker may fill the disk while it restores or compacts its tables.
MIN_FREE_MB = 1024


class CheckResult(Struct, frozen=True, kw_only=True):
    """The result of one check.

    Attributes:
        name: the name of the check.
        ok: whether it passed.
        message: what was found; if the check failed, also what to do.
    """

    name: str
    ok: bool
    message: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'failed':<6}  {self.name:<9}  {self.message}"


class CheckFailed(Exception):
    """A check failed. The message says what is wrong and what to do."""


def run_checks(settings: Settings) -> Iterator[CheckResult]:
    """Run every check and yield its result. No check changes anything, except that the one of the clock writes a record that nobody reads."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("broker", broker),
        ("replicas", replicas),
        ("limits", limits),
        ("topics", existing_topics),
        ("clock", clock),
        ("smtp", smtp),
        ("sender", sender),
        ("templates", templates),
        ("published", published),
        ("brand", brand),
        ("disk", disk),
    ]
    if settings.schema_registry_url:
        checks.insert(4, ("registry", registry))
    is_reachable = True
    for name, check in checks:
        if name in ("replicas", "limits", "topics", "clock", "published") and not is_reachable:
            yield CheckResult(name=name, ok=False, message="skipped: the broker is not reachable")
            continue
        try:
            yield CheckResult(name=name, ok=True, message=check(settings))
        except CheckFailed as error:
            is_reachable = is_reachable and name != "broker"
            yield CheckResult(name=name, ok=False, message=str(error))


def broker(settings: Settings) -> str:
    """Check that the cluster answers with these credentials."""
    return f"{counted(_brokers(settings), 'broker')} at {settings.kafka_bootstrap_servers}"


def replicas(settings: Settings) -> str:
    """Check that there are enough brokers for the replicas of a topic. With fewer, no topic can be created; existing topics keep working."""
    count = _brokers(settings)
    if count < settings.replication:
        raise CheckFailed(
            f"{counted(count, 'broker')}, but TAKK_REPLICATION={settings.replication}: lower it, or add brokers"
        )
    return f"{counted(settings.replication, 'replica')} of each partition"


def limits(settings: Settings) -> str:
    """Check that the brokers allow the session of TAKK_SESSION_TIMEOUT_S, and Takk's transactions."""
    try:
        problems = list(limit_problems(Cluster(settings.kafka()).broker_settings(), settings.session_timeout_s))
    except KafkaException as error:
        raise CheckFailed(
            f"cannot read the settings of the brokers: {error.args[0].str()}. Takk needs the permission DescribeConfigs on the cluster"
        ) from error
    if problems:
        raise CheckFailed("; ".join(problems))
    return "the brokers allow the session and the transactions"


def _brokers(settings: Settings) -> int:
    try:
        return count_brokers(settings.kafka(), TIMEOUT_S)
    except KafkaUnavailable as error:
        raise CheckFailed(
            f"no answer from {settings.kafka_bootstrap_servers} with {settings.kafka_security_protocol}: {error}. Check KAFKA_BOOTSTRAP_SERVERS, "
            "KAFKA_SECURITY_PROTOCOL, the credentials and the firewall. `takk kafka start` starts a broker on this machine"
        ) from error


def existing_topics(settings: Settings) -> str:
    """Check that all topics exist with the expected configuration."""
    try:
        present = AdminClient(settings.kafka()).list_topics(timeout=TIMEOUT_S).topics
        missing = [spec.name for spec in topics.TOPICS if spec.name not in present]
        if missing:
            raise CheckFailed(f"missing topics: {', '.join(missing)}. Create them with `takk topics create`")
        topics.create_topics(settings)  # no topic is missing, so this only compares
    except TopicMismatch as mismatch:
        raise CheckFailed("; ".join(mismatch.problems)) from mismatch
    except KafkaException as error:
        raise CheckFailed(
            f"cannot read the topic configuration: {error.args[0].str()}. Takk needs the permissions Describe and "
            "DescribeConfigs on its topics"
        ) from error
    return f"{len(topics.TOPICS)} topics with {counted(settings.partitions, 'partition')} each"


def clock(settings: Settings) -> str:
    """Check that the clock of this machine differs from the broker's by no more than a worker accepts."""
    name = topics.CLOCK_PROBES
    try:
        if name not in AdminClient(settings.kafka()).list_topics(timeout=TIMEOUT_S).topics:
            raise CheckFailed(f"skipped: the topic {name} is missing")
        probe = Encoder(open_codec()).clock_probe(socket.gethostname(), datetime.now(UTC))
        ahead_s = seconds_ahead(settings.kafka(), probe)
    except KafkaException as error:
        raise CheckFailed(
            f"cannot compare the clock with the broker's: {error.args[0].str()}. Takk needs the permission Write on the topic {name}"
        ) from error
    if ahead_s is None:
        raise CheckFailed(f"set message.timestamp.type=LogAppendTime on the topic {name}")
    difference = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the broker's"
    if abs(ahead_s) > MAX_STEP_S:
        raise CheckFailed(
            f"{difference}; no worker starts with more than {MAX_STEP_S:.0f} s. Synchronize both clocks, for example with NTP"
        )
    return difference if abs(ahead_s) >= 0.05 else "as the broker's"


def registry(settings: Settings) -> str:
    """Check that the schema registry answers."""
    url = str(settings.registry_address)
    where = split_urls(url)[0].hostname or "?"
    from confluent_kafka.schema_registry import SchemaRegistryError  # late: the import is slow

    try:
        subjects = connect(url, settings.registry_login, TIMEOUT_S).get_subjects()
    except SchemaRegistryError as error:
        raise CheckFailed(
            f"{where} answers {error.http_status_code}: check the user and the password in SCHEMA_REGISTRY_URL"
        ) from error
    # The client does not wrap the errors of its HTTP library. All of them mean the same here.
    except Exception as error:
        raise CheckFailed(f"no answer from {where} ({type(error).__name__}): check SCHEMA_REGISTRY_URL") from error
    return f"{len(subjects)} subjects at {where}"


def smtp(settings: Settings) -> str:
    """Check that the mail server accepts a connection and the login. Nothing is sent."""
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
        raise CheckFailed(
            f"TLS with {where} failed: {error.reason or error}. Use SMTP_TLS=starttls with port 587, or tls with port 465; the certificate "
            "must be valid for SMTP_HOST"
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise CheckFailed(f"{where} does not support SMTP_TLS={settings.smtp_tls} or the login: {error}") from error
    except smtplib.SMTPAuthenticationError as error:
        raise CheckFailed(
            f"{where} rejects the login ({error.smtp_code}): check SMTP_USERNAME and SMTP_PASSWORD(_FILE)"
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise CheckFailed(
            f"no mail server answers at {where}: {error}. Check SMTP_HOST, SMTP_PORT, SMTP_TLS and the firewall"
        ) from error
    if code != 250:
        raise CheckFailed(f"{where} answers {code}: it does not accept emails from this machine now")
    return f"{where} accepts connections" + ("" if settings.smtp_tls == "none" else f" over {settings.smtp_tls}")


def _connect(settings: Settings, context: ssl.SSLContext) -> smtplib.SMTP:
    if settings.smtp_tls == "tls":
        return smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S)


def sender(settings: Settings) -> str:
    """Check the sender and the links of the emails."""
    if settings.mail_secret is None:
        raise CheckFailed(
            "TAKK_MAIL_SECRET(_FILE) is not set, so the links of the emails cannot be signed. Create one with `openssl rand -hex 32`"
        )
    is_local = is_loopback(settings.smtp_host)
    if is_loopback(settings.mail_domain) and not is_local:
        raise CheckFailed(
            "TAKK_MAIL_FROM is not set, so emails would come from localhost. Set it, e.g. to `My Shop <hello@shop.example>`"
        )
    if not is_local and (
        is_loopback(urlsplit(settings.mail_base_url).hostname) or not settings.mail_base_url.startswith("https://")
    ):
        raise CheckFailed(
            "TAKK_MAIL_BASE_URL must be an https:// address that recipients can reach, because unsubscribe links start with it"
        )
    return f"emails come from {settings.mail_domain}, links lead to {settings.mail_base_url}"


def templates(settings: Settings) -> str:
    """Check that the flows contain no errors."""
    try:
        flows = load_flows(settings.templates_dir)
    except FlowFileError as error:
        raise CheckFailed(
            f"{counted(len(error.errors), 'error')}, see `takk flows check`; the first: {error.errors[0]}"
        ) from error
    return f"{counted(len(flows), 'flow')} in {settings.templates_dir}"


def published(settings: Settings) -> str:
    """Check that the templates folder is the published version, if one was published."""
    try:
        return describe_version(settings)
    except NotPublished as error:
        raise CheckFailed(str(error)) from error


def brand(settings: Settings) -> str:
    """Check that the brand contains no errors, and that emails to customers name the shop's company."""
    problems = brand_problems(settings.templates_dir)
    if errors := [problem for problem in problems if problem.level == "error"]:
        raise CheckFailed(f"{counted(len(errors), 'error')}, see `takk flows check`; the first: {errors[0]}")
    if placeholder := placeholder_problem(settings.templates_dir):
        if reaches_customers(settings):
            raise CheckFailed(placeholder)
        return f"only for a trial: {placeholder}"
    return f"{counted(len(problems), 'warning')}, see `takk flows check`" if problems else "no problems"


def disk(settings: Settings) -> str:
    """Check that the state directory is writable and has enough space."""
    directory = _existing(settings.state_dir)
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise CheckFailed(
            f"{directory} is not writable ({error.strerror}): set TAKK_STATE_DIR, or change its permissions"
        ) from error
    free_mb = shutil.disk_usage(directory).free >> 20
    if free_mb < MIN_FREE_MB:
        raise CheckFailed(
            f"{free_mb} MB free in {directory}, at least {MIN_FREE_MB} MB needed: free space, or set TAKK_STATE_DIR"
        )
    return f"{free_mb} MB free in {directory}"


def _existing(path: Path) -> Path:
    """Return `path`, or its nearest parent that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
