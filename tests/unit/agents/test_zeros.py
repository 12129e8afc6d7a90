"""The series that a worker, a mailer and a gateway export from their start, each in a process of its own: a process has one list of metrics."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from types import ModuleType
from typing import get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from streams.agents import flows, zeros
from streams.core.model.effects import DecisionOutcome
from streams.core.sending import address_limits
from streams.mail import composing, newer_templates
from streams.mail import mailer as mail
from streams.mail import outcomes as mail_outcomes
from streams.observability import metrics
from streams.tools.operations.rule_texts import ENGAGEMENT, RULES
from streams.wire import topics
from streams.wire.encode import addresses, customer_pages, effects, handovers, heartbeats, reports

#: Label -> value, and the value of the sample.
Series = list[tuple[dict[str, str], float]]
SETUP = """
from pathlib import Path
from streams.agents.instrumentation import Instrumentation
from streams.agents.code_pools import OTHER
from streams.agents.flows import INPUTS
from streams.agents.zeros import zero_gateway, zero_mailer, zero_pools, zero_product_changes, zero_stage, zero_worker
from streams.definitions.loader import load_ruleset
from streams.mail.rendering.template_folders import messages_by_flow
from streams.observability import metrics
from streams.settings import PROJECT_ROOT

TEMPLATES = PROJECT_ROOT / "templates"
"""
WORKER = """
zero_worker(load_ruleset(TEMPLATES))
zero_pools(("spring", OTHER))
zero_product_changes(("replaced",))
for stage, inputs in {"flows": INPUTS, "scheduler": ["flow-delays"], "popularity": ["product-sales"], "pools": ["code-claims"],
                      "catalogue": ["product-interests"],
                      "suppressions": ["address-events"]}.items():
    zero_stage(stage, inputs)
"""
MAILER = """
zero_mailer(messages_by_flow(TEMPLATES))
zero_stage("mailer", ["email-commands"])
"""

GATEWAY = 'zero_gateway({"click", "open", "unmatched"}, {"orders"})'


def page_of(setup: str) -> dict[str, Series]:
    """Return the series that a process exports after `setup`, by the name of the sample."""
    code = f"{SETUP}\n{setup}\nprint(metrics.page().decode())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    series: dict[str, Series] = {}
    for family in text_string_to_metric_families(output):
        for sample in family.samples:
            series.setdefault(sample.name, []).append((sample.labels, sample.value))
    return series


@pytest.fixture(scope="module")
def worker() -> dict[str, Series]:
    """The series of a worker at its start."""
    return page_of(WORKER)


@pytest.fixture(scope="module")
def mailer() -> dict[str, Series]:
    """The series of a mailer at its start."""
    return page_of(MAILER)


@pytest.fixture(scope="module")
def gateway() -> dict[str, Series]:
    """The series of a gateway at its start."""
    return page_of(GATEWAY)


def sample_name(metric: MetricWrapperBase) -> str:
    """Return the name of a sample that each series of `metric` has."""
    suffix = {"counter": "_total", "histogram": "_count"}.get(metric._type, "")
    return f"{metric._name}{suffix}"


def labels(series: Series, *names: str) -> set[tuple[str, ...]]:
    """Return the values of the labels `names` in `series`."""
    return {tuple(values[name] for name in names) for values, _ in series}


def test_every_labelled_counter_starts_at_zero(
    worker: dict[str, Series], mailer: dict[str, Series], gateway: dict[str, Series]
) -> None:
    """Each labelled counter and histogram has series in a worker, a mailer or a gateway before anything happens."""
    counted = [metric for metric in metrics.ALL if metric._type in ("counter", "histogram") and metric._labelnames]
    assert len(counted) > 30
    names = {sample_name(metric) for metric in counted}
    assert names - worker.keys() - mailer.keys() - gateway.keys() == set()
    for page in (worker, mailer, gateway):
        values = {value for metric in counted for _, value in page.get(sample_name(metric), [])}
        assert values == {0}


def test_a_process_exports_no_metric_of_another(
    worker: dict[str, Series], mailer: dict[str, Series], gateway: dict[str, Series]
) -> None:
    """A worker exports nothing of the mailer, not even 0, and so on: otherwise `absent` could not find a dead process."""
    owned = {"worker": zeros.OF_WORKER, "mailer": zeros.OF_MAILER, "gateway": zeros.OF_GATEWAY}
    for role, page in (("worker", worker), ("mailer", mailer), ("gateway", gateway)):
        others = {metric._name for other, metrics in owned.items() if other != role for metric in metrics}
        assert not others & {name.removesuffix("_total") for name in page}
        without_labels = [metric for metric in owned[role] if not metric._labelnames]
        assert all(sample_name(metric) in page for metric in without_labels)
    assert "takk_batch_records_count" not in gateway


def test_each_metric_has_an_owner() -> None:
    """No metric is in two lists, and each metric of the lists exists."""
    lists = [*zeros.OF_WORKER, *zeros.OF_MAILER, *zeros.OF_GATEWAY]
    assert len(lists) == len(set(lists))
    assert {*lists, *zeros.OF_ALL} <= set(metrics.ALL)


def test_the_label_values(worker: dict[str, Series], mailer: dict[str, Series]) -> None:
    """Both processes know the flows and the messages: the worker from its ruleset, the mailer from the folders."""
    by_message = labels(worker["takk_engagement_total"], "flow", "message")
    assert ("order-confirmation", "confirmation") in by_message
    assert by_message == labels(mailer["takk_messages_total"], "flow", "message")
    assert labels(worker["takk_opens_total"], "flow") == labels(mailer["takk_mails_total"], "flow")
    assert labels(worker["takk_attributed_revenue_minor_total"], "currency") == {("DKK",)}
    assert labels(worker["takk_codes_granted_total"], "pool") == {("spring",), ("other",)}
    assert ("gmail", "rate_limited", "temporary") in labels(
        mailer["takk_smtp_refusals_total"], "provider", "reason", "kind"
    )
    assert labels(worker["takk_records_in_total"], "stage", "topic") >= {("flows", topic) for topic in flows.INPUTS}
    assert ("mailer", "too_large") in labels(mailer["takk_dead_letters_total"], "stage", "reason")
    assert "takk_restore_progress_ratio" not in worker


def test_a_series_is_one_line(worker: dict[str, Series]) -> None:
    """Counters and histograms have no series with the time of their creation: these would be two fifths of the page."""
    assert not [name for name in worker if name.endswith("_created")]


def test_the_number_of_series(worker: dict[str, Series], mailer: dict[str, Series]) -> None:
    """The series of a flow are few enough for a shop with fifty flows."""
    counted = [metric for metric in zeros.OF_WORKER if metric._type == "counter" and "flow" in metric._labelnames]
    series = sum(len(worker[sample_name(metric)]) for metric in counted)
    assert series / len(labels(worker["takk_opens_total"], "flow")) < 100


def test_the_decisions_exist() -> None:
    """Each decision that starts at 0 has a known outcome and a known rule."""
    assert {outcome for outcome, _ in zeros.DECISIONS} <= set(get_args(DecisionOutcome))
    assert {rule for _, rule in zeros.DECISIONS} <= set(RULES)


def test_the_rules_of_the_mailer() -> None:
    """The rules are those that the mailer's code names, and the outcomes are those of a report."""
    modules = (mail, composing, mail_outcomes, newer_templates)
    nodes = [node for module in modules for node in ast.walk(ast.parse(inspect.getsource(module)))]
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named |= {address_limits.SUPPRESSED, address_limits.CAPPED, address_limits.LIMITED}
    assert {rule for _, rule in zeros.MAIL_RULES} == (named - set(zeros.OUTCOMES)) & set(RULES)
    assert {outcome for outcome, _ in zeros.MAIL_RULES} == set(zeros.OUTCOMES)


def test_the_kinds_of_engagement() -> None:
    """The kinds are those of attributed engagement."""
    assert {kind for kind, _ in zeros.ENGAGEMENT} == set(ENGAGEMENT)


def written(module: ModuleType) -> set[str]:
    """Return the topics that a module names."""
    tree = ast.parse(inspect.getsource(module))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    names = [node.attr for node in found if ast.unparse(node.value) == "topics"]
    return {getattr(topics, name) for name in names if name.isupper()}


def outputs(*stages: str) -> set[str]:
    """Return the topics that the stages write to."""
    return set[str]().union(*(zeros.OUTPUTS[stage] for stage in stages))


def test_the_outputs_of_the_stages() -> None:
    """The outputs are the topics for which effects and reports are encoded; the flows agent also writes heartbeats and the journal."""
    effects_and_grants = (
        written(effects) | written(heartbeats) | written(addresses) | written(handovers) | written(customer_pages)
    )
    effects_and_grants |= {topics.CHECKPOINTS}
    assert outputs("flows", "catalogue", "pools", "suppressions") == effects_and_grants
    assert outputs("mailer") == written(reports) | {topics.DECISIONS, topics.ADDRESS_EVENTS}
