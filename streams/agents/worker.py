"""The worker process, built from the settings: flows, scheduler, popularity, code pools, catalogue and suppressions."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import partial
from typing import Any

import structlog

from streams.agents import catalogue, code_pools, flow_walks, flows, popularity, scheduler, suppressions
from streams.agents.global_tables import product_versions
from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.instrumentation import Instrumentation
from streams.agents.new_app import Accepted, new_app
from streams.agents.process import run_process
from streams.agents.zeros import zero_worker
from streams.core.offers.product_changes import same_time
from streams.core.rules.content_hash import content_hash
from streams.core.sending.address_limits import rules_of
from streams.definitions.loader import load_ruleset
from streams.definitions.problems import FlowFileError
from streams.observability import metrics
from streams.settings import Settings
from streams.wire.codec import codec_of

log = structlog.get_logger(__name__)


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
        together = same_time(ruleset.day_scale)
        changes = ruleset.catalogue_changes
        catalogue.register(app, instrumentation, changes, settings.walk_rate, versions.view, together)

    def render_messages() -> None:
        # Late, because the worker renders nothing before it runs.
        from streams.definitions.checks.messages import check_messages

        # The worker runs nevertheless: all other emails can be sent.
        for problem in check_messages(settings.templates_dir, ruleset.flows):
            log.error("a message cannot be rendered", message=str(problem))

    gauges = [scheduler.timer_gauges(), flow_walks.walk_gauges(), code_pools.pool_gauges()]
    run_process(app, settings, instrumentation, accepted, check=render_messages, gauges=gauges, global_tables=tables)
