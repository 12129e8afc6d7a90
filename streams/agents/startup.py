"""The start of a process, before it joins its group: checks that need Kafka, which are repeated while Kafka is away."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException

from streams.agents.clock_check import check_clock
from streams.agents.crash_log import isolate
from streams.agents.installation import check_installation
from streams.agents.instrumentation import Instrumentation
from streams.agents.limits_check import check_limits
from streams.observability import metrics
from streams.runtime.avro.codec import Codec
from streams.runtime.errors import NameInUse, RegistryUnavailable
from streams.runtime.kafka.availability import KafkaUnavailable
from streams.runtime.kafka.retry import is_away
from streams.runtime.kafka.topic_admin import TopicMismatch, record_limits
from streams.settings import Settings
from streams.wire import topics

if TYPE_CHECKING:
    from streams.runtime.app import App  # it imports Faust, which the gateway does not need

log = structlog.get_logger(__name__)

#: Seconds between two attempts. An attempt without an answer takes some seconds itself.
PAUSE_S = 1.0
#: Seconds between two lines of the log while Kafka is away: at first, and at most. They double with each line.
FIRST_LINE_S, LAST_LINE_S = 5.0, 300.0
HINT = "the process goes on when Kafka answers. Check KAFKA_BOOTSTRAP_SERVERS and KAFKA_SECURITY_PROTOCOL, the brokers and the firewall; "
HINT += "`takk doctor` checks the configuration"
REGISTRY_HINT = (
    "the process goes on when the registry answers. Check SCHEMA_REGISTRY_URL; `takk doctor` checks the configuration"
)
NAME_HINT = "give each process its own TAKK_GROUP_INSTANCE_ID. This process goes on when the name is free: after a process has stopped, that takes "
NAME_HINT += "TAKK_SESSION_TIMEOUT_S"


class Startup:
    """Waits for Kafka, and takes the steps of a start.

    Args:
        servers: the addresses of the brokers.
        ask: raises KafkaUnavailable while the cluster does not answer. It is called before the first step, and after each failed one.
        clock: a monotonic clock, in seconds.
        sleep: waits for some seconds.

    Attributes:
        state: what the process waits for, for people; empty once all steps are taken.
        is_kafka_away: whether the process waits for Kafka.
    """

    def __init__(
        self,
        servers: str,
        ask: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._servers = servers
        self._ask = ask
        self._clock = clock
        self._sleep = sleep
        self._event = ""
        self._since: float | None = None
        self._next_line_at = 0.0
        self._line_pause_s = FIRST_LINE_S
        self._has_answered = False
        self.state = "starting"
        self.is_kafka_away = False

    async def take(self, steps: Iterable[Callable[[], None]]) -> None:
        """Take the steps in threads, one after the other. A step is repeated while it has to wait: for Kafka, the schema registry or a name.

        Raises:
            SystemExit: waiting cannot help; the message says why.
        """
        for step in steps:
            while not await self._succeeds(step):
                await self._sleep(PAUSE_S)
        self.state = ""

    async def _succeeds(self, step: Callable[[], None]) -> bool:
        try:
            if not self._has_answered:
                await asyncio.to_thread(self._ask)
            self._has_answered = False
            await asyncio.to_thread(step)
        except KafkaUnavailable as error:
            if error.is_permanent:
                sys.exit(
                    f"cannot start: Kafka at {self._servers} cannot be used: {error}. Check KAFKA_BOOTSTRAP_SERVERS, "
                    "KAFKA_SECURITY_PROTOCOL, the credentials and the certificates. `takk doctor` checks the configuration"
                )
            self._note_silence(str(error))
        except (KafkaException, TimeoutError) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            if not is_away(error):
                sys.exit(f"cannot start: Kafka at {self._servers}: {reason}. `takk doctor` checks the configuration")
            self._note_silence(reason)
        except NameInUse as error:
            self._note_wait("waiting for a name", "waiting for the name in the group", str(error), NAME_HINT)
        except RegistryUnavailable as error:
            metrics.REGISTRY_UNAVAILABLE.set(1)
            event = "waiting for the schema registry"
            self._note_wait(event, event, str(error), REGISTRY_HINT)
        else:
            self._note_success()
            return True
        return False

    def _note_silence(self, reason: str) -> None:
        self._note_wait("waiting for Kafka", f"waiting for Kafka at {self._servers}", reason, HINT)
        self.is_kafka_away = True

    def _note_wait(self, event: str, state: str, reason: str, hint: str) -> None:
        now = self._clock()
        if self._since is None or event != self._event:
            self._event = event
            self._since = self._next_line_at = now
            self._line_pause_s = FIRST_LINE_S
        self.is_kafka_away = False
        waited_s = round(now - self._since)
        self.state = f"{state} for {waited_s} s: {reason}"
        if now >= self._next_line_at:
            log.warning(event, broker=self._servers, reason=reason, seconds=waited_s, hint=hint)
            self._next_line_at = now + self._line_pause_s
            self._line_pause_s = min(2 * self._line_pause_s, LAST_LINE_S)

    def _note_success(self) -> None:
        self._has_answered = True
        if self._since is not None:
            log.info("the start goes on", broker=self._servers, seconds=round(self._clock() - self._since))
            metrics.REGISTRY_UNAVAILABLE.set(0)
            self._since = None
        self.is_kafka_away = False
        self.state = "starting"


def kafka_steps(
    app: App, settings: Settings, instrumentation: Instrumentation, is_taken_over: bool
) -> list[Callable[[], None]]:
    """Return the steps of a start that need Kafka. Each may be repeated, and raises what `Startup.take` handles.

    Args:
        app: the process with its stages, which has not joined its group.
        settings: the settings.
        instrumentation: encodes what the steps publish.
        is_taken_over: whether this installation replaces another one.
    """
    kafka, now_ms = settings.kafka(), app.task_manager.clock()
    return [
        partial(check_limits, app.task_manager.takeover.cluster, settings.session_timeout_s),
        partial(check_installation, settings, is_taken_over),
        partial(_prepare_topics, app, settings),
        partial(register_schemas, instrumentation.codec, settings.registry_address),
        partial(check_clock, kafka, instrumentation.encoder),
        app.membership.check_name,
        partial(isolate, app, kafka, instrumentation.codec, settings.reader_group_id, now_ms),
    ]


def register_schemas(codec: Codec, address: str | None) -> None:
    """Register the schemas, if there is a registry.

    Raises:
        RegistryUnavailable: the registry does not answer.
        SystemExit: it refuses a schema or the login.
    """
    if address is None:
        return
    from confluent_kafka.schema_registry import SchemaRegistryError  # late: the import is slow

    try:
        codec.register()
    except RegistryUnavailable as error:
        raise RegistryUnavailable(f"{address}: {error}") from error
    except SchemaRegistryError as error:
        sys.exit(
            f"cannot start: the schema registry at {address} answers {error.http_status_code}: {error.error_message}. Check the address, the user "
            "and the password in SCHEMA_REGISTRY_URL. With 409 or 422, a schema of its subjects is incompatible"
        )


def _prepare_topics(app: App, settings: Settings) -> None:
    """Create the missing topics, and give the stages the limits of all topics."""
    stages = app.task_manager.stages.values()
    changelogs = [stage.changelog for stage in stages if stage.changelog]
    create_topics(settings, changelogs)
    limits = record_limits(settings.kafka(), {*topics.RECORD_LIMITS, *changelogs})
    for stage in stages:
        stage.limits.update(limits)


def create_topics(settings: Settings, changelogs: Iterable[str] = ()) -> None:
    """Create the missing topics.

    Raises:
        SystemExit: a topic exists that does not fit.
    """
    try:
        topics.create_topics(settings, changelogs)
    except TopicMismatch as error:
        sys.exit(f"cannot start: {error}")
