"""The worker (flows, scheduler, popularity, code pools, catalogue and suppressions) and the mailer, built from the settings."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
import uvloop

from streams.agents import catalogue, code_pools, flow_walks, flows, mailer, popularity, scheduler, suppressions
from streams.agents.brand_check import placeholder_problem, reaches_customers
from streams.agents.faust_worker import Worker
from streams.agents.global_tables import assortment, product_versions, suppressed_addresses, withdrawals
from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.heartbeats import heartbeat_gauges
from streams.agents.instrumentation import Instrumentation
from streams.agents.mail_server import open_pool
from streams.agents.new_app import Accepted, new_app
from streams.agents.renderers import NO_RENDERERS, Renderers, open_renderer
from streams.agents.startup import Startup, kafka_steps
from streams.agents.zeros import zero_mailer, zero_worker
from streams.core.model.address_state import Suppression
from streams.core.offers.assortment import Assortment
from streams.core.rules.content_hash import content_hash
from streams.core.sending.address_limits import AddressRules, rules_of
from streams.core.values.local_time import utc_from_ms
from streams.definitions.checks.layout import old_layout
from streams.definitions.checks.messages import check_messages
from streams.definitions.loader import load_ruleset, read_templates
from streams.definitions.problems import FlowFileError
from streams.mail.address_check import AddressCheck
from streams.mail.links import Sender
from streams.mail.mailer import Mailer
from streams.mail.rendering.template_folders import messages_by_flow
from streams.mail.tokens import LinkKeys
from streams.observability import metrics
from streams.observability.disk import sample_disk
from streams.observability.health import HealthServer
from streams.observability.lag import LagMonitor
from streams.observability.probes import Probes
from streams.observability.restore_progress import RestoreProgress
from streams.runtime.app import App
from streams.runtime.collector import tune_collector
from streams.runtime.kafka.availability import count_brokers
from streams.runtime.processing.task import Task
from streams.runtime.state.uncommitted import uncommitted_changes
from streams.settings import Settings
from streams.wire.codec import codec_of

log = structlog.get_logger(__name__)

#: The number of send commands in a batch of the mailer: about one second's work, so that a shutdown does not wait longer.
MAILER_BATCH = 400
#: Seconds between two samples of lag and ownership.
SAMPLE_INTERVAL_S = 1.0


def run_worker(settings: Settings, accepted: Collection[Accepted] = ()) -> None:
    """Run flows, scheduler, popularity, code pools and suppressions until SIGTERM. It does not return.

    Args:
        settings: the settings.
        accepted: what an operator has accepted for this start.

    Raises:
        SystemExit: a flow file, a topic or a setting is invalid; the message says which.
    """
    try:
        ruleset = load_ruleset(settings.templates_dir, **settings.ruleset_options())
    except FlowFileError as error:
        sys.exit("\n".join(["cannot start: the flow definitions contain errors:", *error.errors]))
    if ruleset.gives_rewards and not settings.reward_key:
        sys.exit("cannot start: set TAKK_REWARD_SECRET (or TAKK_REWARD_SECRET_FILE); it signs reward codes of a flow")
    app = new_app(settings, "flows", settings.batch_max_records, accepted)
    instrumentation = Instrumentation(codec_of(settings, registers_later=True))
    if ruleset.consent_policy.is_built_in:
        log.warning(
            "consent.yaml is missing: only transactional emails, and emails with the customer's consent, are sent",
            at=str(settings.templates_dir),
        )
    zero_worker(ruleset)
    for flow in {flow.name: flow for flow in ruleset.flows}.values():
        metrics.FLOW_INFO.labels(flow.name, flow.version, flow.status).set(1)
    metrics.FLOWS_INFO.labels(content_hash(ruleset)).set(1)
    flows.register(app, instrumentation, ruleset, settings.walk_rate)
    scheduler.register(app, instrumentation, settings.sweep_limit)
    popularity.register(app, instrumentation)
    # Each takeover creates one producer per stage and partition, so the stage runs only if it is needed. Earlier codes stay on their topic,
    # which the stage reads from the beginning.
    if ruleset.pools:
        code_pools.register(app, instrumentation, ruleset.pools)
    if settings.address_key:
        suppressions.register(app, instrumentation, rules_of(ruleset))

    tables: list[GlobalTable[Any]] = []
    if ruleset.catalogue_changes:
        versions = GlobalTable(
            settings.kafka(),
            product_versions.TOPICS,
            partial(product_versions.ProductVersions, instrumentation.decoder, settings.partitions),
            prepare=instrumentation.load_schemas,
        )
        tables.append(versions)
        catalogue.register(app, instrumentation, ruleset.catalogue_changes, settings.walk_rate, versions.view)

    def render_messages() -> None:
        # The worker runs nevertheless: all other emails can be sent.
        for problem in check_messages(settings.templates_dir, ruleset.flows):
            log.error("a message cannot be rendered", message=str(problem))

    gauges = [scheduler.timer_gauges(), flow_walks.walk_gauges(), code_pools.pool_gauges()]
    _run(app, settings, instrumentation, accepted, check=render_messages, gauges=gauges, global_tables=tables)


def run_mailer(settings: Settings, accepted: Collection[Accepted] = ()) -> None:
    """Run the mailer until SIGTERM. It does not return.

    Args:
        settings: the settings.
        accepted: what an operator has accepted for this start.

    Raises:
        SystemExit: a topic, a setting, the brand or the layout of the templates directory is invalid; the message says which.
    """
    if settings.mail_secret is None:
        sys.exit("cannot start: set TAKK_MAIL_SECRET (or TAKK_MAIL_SECRET_FILE); it seals the links in emails")
    # With the flows in the wrong place every email would fail to render. The worker reads the flows and finds all other errors in them.
    if settings.templates_dir.is_dir() and (problems := list(old_layout(settings.templates_dir))):
        sys.exit("\n".join(["cannot start: the templates directory has an old layout:", *map(str, problems)]))
    uvloop.install()  # an email needs four socket round trips; with uvloop the mailer sends 10 % more than with asyncio's loop
    app = new_app(settings, "mailer", MAILER_BATCH, accepted)
    instrumentation = Instrumentation(codec_of(settings, registers_later=True))
    keys = LinkKeys(settings.shop_id, *settings.link_secrets())
    sender = Sender.parse(settings.mail_from, settings.mail_domain, settings.mail_base_url, keys)
    products = GlobalTable(
        settings.kafka(),
        assortment.TOPICS,
        partial(assortment.AssortmentTable, instrumentation.decoder),
        prepare=instrumentation.load_schemas,
    )
    on_withdrawn = mailer.late_withdrawals(app.task_manager, settings.partitions)
    withdrawn_emails = GlobalTable(
        settings.kafka(),
        withdrawals.TOPICS,
        partial(withdrawals.WithdrawalsTable, instrumentation.decoder, on_withdrawn=on_withdrawn),
        prepare=instrumentation.load_schemas,
    )

    suppressed = GlobalTable(
        settings.kafka(),
        suppressed_addresses.TOPICS,
        partial(suppressed_addresses.SuppressedAddresses, instrumentation.decoder),
        prepare=instrumentation.load_schemas,
    )

    async def fetch_withdrawn() -> Mapping[str, str]:
        return (await withdrawn_emails.view()).rules

    async def fetch_assortment() -> Assortment:
        return (await products.view()).assortment

    async def fetch_suppressed() -> Mapping[bytes, Suppression]:
        return (await suppressed.view()).by_address

    key, renderer = settings.address_key, open_renderer(settings, sender)
    holds_marketing = False
    if placeholder := placeholder_problem(settings):
        holds_marketing = reaches_customers(settings)
        outcome = (
            "only transactional emails are sent" if holds_marketing else "the links are local, so all emails are sent"
        )
        log.warning("the legal lines are those of the example", detail=placeholder, outcome=outcome)
    templates = read_templates(settings.templates_dir)
    rules = AddressRules(templates.rules.caps, settings.transactional_per_address, settings.day_scale)
    work = Mailer(
        renderer,
        sender,
        open_pool(settings),
        fetch_withdrawn=fetch_withdrawn,
        fetch_assortment=fetch_assortment,
        addresses=AddressCheck(key, rules, fetch_suppressed) if key else None,
        newest_versions={flow.name: flow.version for flow in templates.newest},
        backoff_scale=settings.day_scale,
        clock=lambda: utc_from_ms(app.task_manager.clock()),  # one clock per process
        on_pause=metrics.SMTP_PAUSED.set,
        holds_marketing=holds_marketing,
    )
    mailer.register(
        app,
        instrumentation,
        work,
        settings.heartbeat_s,
        lease_s=settings.session_timeout_s / 2,
        drain_timeout_s=settings.smtp_stop_timeout_s,
        address_key=key,
        uncommitted=partial(uncommitted_changes, settings.kafka()),
    )
    zero_mailer(messages_by_flow(settings.templates_dir))
    tables = (products, withdrawn_emails, suppressed)
    _run(
        app, settings, instrumentation, accepted, gauges=[heartbeat_gauges()], global_tables=tables, renderers=Renderers(renderer)
    )  # fmt: skip


def _run(
    app: App,
    settings: Settings,
    instrumentation: Instrumentation,
    accepted: Collection[Accepted],
    *,
    check: Callable[[], None] = lambda: None,
    gauges: Sequence[Callable[[Iterable[Task[Any]]], None]] = (),
    global_tables: Sequence[GlobalTable[Any]] = (),
    renderers: Renderers = NO_RENDERERS,
) -> None:
    metrics.BUILD_INFO.labels(version("takk")).set(1)
    for name in app.task_manager.stages:
        metrics.STAGE_PARTITIONS.labels(name).set(settings.partitions)
    startup = Startup(settings.kafka_bootstrap_servers, partial(count_brokers, settings.kafka()))
    restores, monitor = RestoreProgress(), LagMonitor(app.task_manager, gauges)
    app.task_manager.on_restore = restores.step
    app.task_manager.on_restored = restores.end
    app.task_manager.on_quarantine = lambda stage: metrics.STATE_QUARANTINED.labels(stage).inc()
    app.task_manager.takeover.on_lost = lambda stage, topic, offsets: metrics.RECORDS_LOST.labels(stage, topic).inc(
        offsets
    )
    app.task_manager.standbys.on_error = lambda error: metrics.STANDBY_ERRORS.inc()
    app.task_manager.standbys.on_lag = metrics.STANDBY_LAG.set
    app.task_manager.on_assigned = metrics.REBALANCES.inc

    probes = Probes(
        app.task_manager,
        app.membership,
        is_cluster_down=lambda: app.task_manager.fetcher.is_cluster_down,
        stalled=app.stalled,
        progress=lambda: restores.text,
        startup=lambda: startup.state,
    )

    def refresh() -> None:
        metrics.READY.set(probes.is_ready()[0])
        metrics.KAFKA_UNREACHABLE.set(startup.is_kafka_away or app.task_manager.fetcher.is_cluster_down)
        sample_disk(Path(settings.state_dir))

    health = HealthServer(
        settings.web_host, settings.web_port, probes.is_ready, is_alive=probes.is_alive, refresh=refresh
    )

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def monitor_lag() -> None:
        log.info(
            "worker started", app=app.task_manager.app_id, health=health.url, host=socket.gethostname(), pid=os.getpid()
        )
        while True:
            probes.look()
            await monitor.sample()
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def run_check() -> None:
        # It takes a second of CPU time, by which a worker would return later to its partitions.
        await asyncio.to_thread(check)

    async def prepare() -> None:
        await renderers.start()
        await startup.take(kafka_steps(app, settings, instrumentation, "take-over" in accepted))
        await renderers.until_ready()
        tune_collector()

    Worker(app.faust, health, prepare, (*global_tables, renderers)).execute_from_commandline()
