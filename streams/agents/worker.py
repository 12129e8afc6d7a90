"""The two kinds of worker, put together from settings: flows with scheduler, and mailer."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faust
import structlog
import uvloop

from streams.agents import code_pools, flows, mailer, popularity, scheduler
from streams.agents.global_tables import assortment as catalogue
from streams.agents.global_tables import withdrawals
from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.instrumentation import Instrumentation
from streams.core.offers.assortment import Assortment
from streams.core.values.local_time import utc_from_ms
from streams.definitions.checks.layout import old_layout
from streams.definitions.checks.messages import check_messages
from streams.definitions.loader import load_ruleset
from streams.definitions.problems import FlowFileError
from streams.mail.delivery.smtp import Server, SmtpPool
from streams.mail.links import Sender
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import Renderer
from streams.observability import metrics
from streams.observability.health import HealthServer, Status
from streams.observability.lag import LagMonitor
from streams.observability.logs import setup_logs
from streams.observability.restore_progress import RestoreProgress
from streams.runtime.app import App
from streams.runtime.kafka.topic_admin import TopicMismatch
from streams.runtime.processing.task import Task
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import open_codec

log = structlog.get_logger(__name__)

#: Commands that the mailer takes at once: a second's work, so that a stop waits for no more than that.
MAILER_BATCH = 400
#: Seconds between two samples of lag and ownership.
SAMPLE_INTERVAL_S = 1.0


def run_worker(settings: Settings) -> None:
    """Run flows and scheduler until SIGTERM; does not return.

    Raises:
        SystemExit: a flow file, a topic or the settings are wrong; what and where is on stderr.
    """
    try:
        ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
    except FlowFileError as error:
        sys.exit("\n".join(["the flows have mistakes, nothing was started:", *error.errors]))
    if ruleset.gives_rewards and not settings.reward_key:
        sys.exit(
            "a flow gives rewards that Takk signs: TAKK_MAIL_SECRET (or TAKK_MAIL_SECRET_FILE) must be set here too: it signs their codes"
        )
    app = _app(settings, "flows", settings.batch_max_records)
    instrumentation = Instrumentation(open_codec(settings.schema_registry_url, schemas=settings.schemas_dir))
    if ruleset.consent_policy.is_built_in:
        log.warning(
            "no consent.yaml: only receipts, and mail that a customer agreed to, will go",
            at=str(settings.templates_dir),
        )
    # No reason to stop: receipts go on, and the other mails do.
    for problem in check_messages(settings.templates_dir, ruleset.flows):
        log.error("a message cannot be written as it is", message=str(problem))
    flows.register(app, instrumentation, ruleset)
    scheduler.register(app, instrumentation, settings.sweep_limit)
    popularity.register(app, instrumentation)
    # A stage costs a producer a partition at each takeover. Codes that come meanwhile lie on their topic, and are read from its beginning.
    if ruleset.pools:
        code_pools.register(app, instrumentation, ruleset.pools)
    _run(app, settings, gauges=[scheduler.TimerGauges(), code_pools.PoolGauges()])


def run_mailer(settings: Settings) -> None:
    """Run the mailer until SIGTERM; does not return.

    Raises:
        SystemExit: a topic, the settings or the layout of the templates folder are wrong; what and where is on stderr.
    """
    if settings.mail_secret is None:
        sys.exit("TAKK_MAIL_SECRET (or TAKK_MAIL_SECRET_FILE) must be set: it signs the links in the mails")
    # With the flows in the wrong place every email would fail to render. The worker reads the flows and finds all other errors in them.
    if settings.templates_dir.is_dir() and (problems := list(old_layout(settings.templates_dir))):
        sys.exit("\n".join([*map(str, problems), "nothing was started"]))
    uvloop.install()  # the mailer waits for sockets four times a mail: a tenth more mails than with asyncio's own loop
    app = _app(settings, "mailer", MAILER_BATCH)
    instrumentation = Instrumentation(open_codec(settings.schema_registry_url, schemas=settings.schemas_dir))
    secret = settings.mail_secret.get_secret_value().encode()
    sender = Sender.parse(settings.mail_from, settings.mail_domain, settings.mail_base_url, secret)
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    server = Server(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=password,
        connections=settings.smtp_connections,
        timeout_s=settings.smtp_timeout_s,
    )
    products = GlobalTable(
        settings.kafka(), catalogue.TOPICS, partial(catalogue.AssortmentTable, instrumentation.decoder)
    )
    withdrawn_emails = GlobalTable(
        settings.kafka(), withdrawals.TOPICS, partial(withdrawals.WithdrawalsTable, instrumentation.decoder)
    )

    async def withdrawn() -> Mapping[str, str]:
        return (await withdrawn_emails.view()).rules

    async def assortment() -> Assortment:
        return (await products.view()).assortment

    work = Mailer(
        Renderer(settings.templates_dir, sender.name),
        sender,
        SmtpPool(server),
        fetch_withdrawn=withdrawn,
        fetch_assortment=assortment,
        backoff_scale=settings.day_scale,
        clock=lambda: utc_from_ms(app.task_manager.clock()),  # one clock in a process: what is late is late for all
        on_pause=metrics.SMTP_PAUSED.set,
    )
    mailer.register(app, instrumentation, work)
    _run(app, settings, global_tables=[products, withdrawn_emails])


def _app(settings: Settings, role: str, batch_records: int) -> App:
    setup_logs(settings.log_level, settings.log_format)
    name = settings.group_instance_id
    return App(
        f"{settings.app_id}-{role}",
        settings.kafka(),
        brokers=settings.faust_brokers(),
        partitions=settings.partitions,
        state_dir=Path(settings.state_dir) / role,
        instance_id=f"{name}-{role}" if name else None,
        memory_mb=settings.memory_mb,
        batch_records=batch_records,
        batch_bytes=settings.batch_max_bytes,
        credentials=settings.faust_credentials(),
        session_timeout_s=settings.session_timeout_s,
        standby_replicas=settings.standby_replicas,
    )


def _run(
    app: App,
    settings: Settings,
    *,
    gauges: Sequence[Callable[[Iterable[Task[Any]]], None]] = (),
    global_tables: Sequence[GlobalTable[Any]] = (),
) -> None:
    try:
        topics.create_topics(
            settings, [stage.changelog for stage in app.task_manager.stages.values() if stage.changelog]
        )
    except TopicMismatch as error:
        sys.exit(f"{error}\nnothing was started")
    restores, monitor = RestoreProgress(), LagMonitor(app.task_manager, gauges)
    app.task_manager.on_restore = restores.step
    app.task_manager.on_restored = restores.end
    app.task_manager.standbys.on_lag = metrics.STANDBY_LAG.set

    def is_ready() -> Status:
        return (
            app.task_manager.is_ready,
            "ready" if app.task_manager.is_ready else restores.text or "joining or rebalancing",
        )

    health = HealthServer(settings.web_host, settings.web_port, is_ready)

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators carry no types
    async def monitor_lag() -> None:
        log.info(
            "worker started", app=app.task_manager.app_id, health=health.url, host=socket.gethostname(), pid=os.getpid()
        )
        while True:
            await monitor.sample()
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    # What is loaded now stays; a batch makes thousands of objects that die with it, which the collector need not look through each time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    Worker(app.faust, health, global_tables).execute_from_commandline()


class Worker(faust.Worker):  # type: ignore[misc]  # Faust carries no types that are followed
    """Faust's worker, which answers probes from its first moment.

    Faust starts an app's tasks only after the restore: a health page started there would refuse the probes for as long as the restore
    takes, and an orchestrator would kill the worker for it.
    """

    def __init__(self, app: Any, health: HealthServer, global_tables: Sequence[GlobalTable[Any]] = ()) -> None:
        # Faust would put its own handler in the place of Takk's: no JSON, nothing below a warning, and addresses as libraries quote them.
        super().__init__(app, override_logging=False, quiet=True, redirect_stdouts=False)
        self.spinner = (
            None  # which writes to a terminal even where there is none, into the line of the log that tells the start
        )
        self._health = health
        self._global_tables = global_tables

    async def on_first_start(self) -> None:
        """Listen before anything else starts.

        Raises:
            SystemExit: the port is taken; the setting that changes it is on stderr.
        """
        await super().on_first_start()
        try:
            await self._health.start()
        except OSError as error:
            sys.exit(f"{error.strerror}\nnothing was started")

    async def on_shutdown(self) -> None:
        """Answer until the last."""
        for table in self._global_tables:
            await table.stop()
        await self._health.stop()
        await super().on_shutdown()
