"""The worker process, built from the settings: flows, scheduler, popularity, code pools, catalogue and suppressions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection
from functools import partial
from typing import Any

import structlog

from streams.agents import catalogue, code_pools, flow_walks, flows, popularity, scheduler, suppressions
from streams.agents.current_ruleset import CurrentRuleset
from streams.agents.global_tables import product_versions
from streams.agents.global_tables.global_table import GlobalTable
from streams.agents.instrumentation import Instrumentation
from streams.agents.new_app import Accepted, new_app
from streams.agents.process import run_process
from streams.agents.process_templates import open_templates
from streams.agents.reload import RefusedTemplates, Reloader, Switch, published_table
from streams.agents.zeros import zero_flows, zero_worker
from streams.core.offers.product_changes import same_time
from streams.core.rules.content_hash import content_hash
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.address_limits import rules_of
from streams.definitions.layers import Layers
from streams.definitions.loader import load_ruleset
from streams.definitions.problems import FlowFileError
from streams.observability import metrics
from streams.settings import Settings
from streams.wire.codec import codec_of

log = structlog.get_logger(__name__)

_UNSIGNED = "set TAKK_REWARD_SECRET (or TAKK_REWARD_SECRET_FILE); it signs reward codes of a flow"


def run_worker(settings: Settings, accepted: Collection[Accepted] = ()) -> None:
    """Run flows, scheduler, popularity, code pools and suppressions until SIGTERM. It does not return.

    Args:
        settings: the settings.
        accepted: what an operator has accepted for this start.

    Raises:
        SystemExit: a flow file, a topic or a setting is invalid; the message says which.
    """
    templates = open_templates(settings, "flows")
    try:
        ruleset = load_ruleset(templates.layers, **settings.ruleset_options())
    except FlowFileError as error:
        sys.exit("\n".join(["cannot start: the flow definitions contain errors:", *error.errors]))
    if ruleset.gives_rewards and not settings.reward_key:
        sys.exit(f"cannot start: {_UNSIGNED}")
    app = new_app(settings, "flows", settings.batch_max_records, accepted)
    instrumentation = Instrumentation(codec_of(settings, registers_later=True))
    if ruleset.consent_policy.is_built_in:
        log.warning(
            "consent.yaml is missing: only transactional emails, and emails with the customer's consent, are sent",
            at=str(settings.templates_dir),
        )
    zero_worker(ruleset)
    _show_flows(ruleset)
    current = CurrentRuleset(ruleset)
    flows.register(app, instrumentation, current, settings.walk_rate)
    scheduler.register(app, instrumentation, settings.sweep_limit)
    popularity.register(app, instrumentation)
    # Each takeover creates one producer per stage and partition, so the stage runs only if it is needed. Earlier codes stay on their topic,
    # which the stage reads from the beginning.
    if ruleset.pools:
        code_pools.register(app, instrumentation, ruleset.pools)
    if settings.address_key:
        suppressions.register(app, instrumentation, lambda: rules_of(current.ruleset))

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
        layers = templates.layers
        for problem in layers.shown(check_messages(layers.path, ruleset.flows)):
            log.error("a message cannot be rendered", message=str(problem))

    async def load(layers: Layers) -> Switch:
        return await _load(settings, layers, current, ruleset)

    published = published_table(settings, instrumentation)
    run_process(
        app,
        settings,
        instrumentation,
        accepted,
        check=render_messages,
        gauges=[scheduler.timer_gauges(), flow_walks.walk_gauges(), code_pools.pool_gauges()],
        global_tables=[*tables, published],
        reloader=Reloader(templates, load, published.view),
    )


async def _load(settings: Settings, layers: Layers, current: CurrentRuleset, first: Ruleset) -> Switch:
    """Return the switch to the flows of a copy of the templates folder.

    Args:
        settings: the settings.
        layers: the copy.
        current: the ruleset in use.
        first: the ruleset of the start, by which the stages of this process were chosen.
    """
    ruleset = await asyncio.to_thread(load_ruleset, layers, **settings.ruleset_options())
    if ruleset.gives_rewards and not settings.reward_key:
        raise RefusedTemplates(_UNSIGNED)
    if not set(ruleset.pools) <= set(first.pools):
        raise RefusedTemplates("a flow takes codes from a pool that no flow used at the start: restart the workers")
    if not set(ruleset.catalogue_changes) <= set(first.catalogue_changes):
        raise RefusedTemplates("a flow starts by a change of products that started none before: restart the workers")

    async def switch() -> None:
        _remove_flows(current.ruleset)
        zero_flows(ruleset)
        _show_flows(ruleset)
        current.ruleset = ruleset

    return switch


def _show_flows(ruleset: Ruleset) -> None:
    for flow in _newest(ruleset):
        metrics.FLOW_INFO.labels(flow.name, flow.version, flow.status).set(1)
    metrics.FLOWS_INFO.labels(content_hash(ruleset)).set(1)


def _remove_flows(ruleset: Ruleset) -> None:
    for flow in _newest(ruleset):
        metrics.FLOW_INFO.remove(flow.name, flow.version, flow.status)
    metrics.FLOWS_INFO.remove(content_hash(ruleset))


def _newest(ruleset: Ruleset) -> list[Flow]:
    return list({flow.name: flow for flow in ruleset.flows}.values())
