"""Every query of the dashboards, the alerts and the recording rules runs on a real Prometheus that scraped a stack with incidents.

The lists below are short on purpose. An entry that is no longer needed fails its test too.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
import pytest

from tests.harness.dashboards import annotation_queries, panel_queries, variable_queries
from tests.harness.incident_steps import LAST_TRACE, TRACES, has_trace, run_incidents
from tests.harness.observed_stack import ObservedStack, open_observed_stack
from tests.harness.prometheus import PrometheusApi, QueryError, require_program
from tests.harness.promql import metric_names
from tests.harness.stack import wait_until

pytestmark = pytest.mark.campaign

#: Longer than the stack runs, in seconds.
RUN_S = 900.0
STEP_S = 5.0
#: Queries of panels without data on this stack, and why.
PANELS_WITHOUT_DATA: Mapping[tuple[str, str, str], str] = {}
#: Queries of panels whose values are NaN at all times, and why.
PANELS_OF_NAN: Mapping[tuple[str, str, str], str] = {}
#: Recording rules without data on this stack, and why.
RULES_WITHOUT_DATA: Mapping[str, str] = {}
#: Selectors of alerts without a series on this stack, and why.
SELECTORS_WITHOUT_SERIES: Mapping[str, str] = {}
_LEGEND_LABEL = re.compile(r"{{\s*(\w+)\s*}}")


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedStack]:
    """The stack after all incidents, and the Prometheus that scraped it. Both still run."""
    require_program("prometheus", "prometheus")
    folder, often = tmp_path_factory.mktemp("observed"), {"TAKK_HEARTBEAT_S": "1"}
    with open_observed_stack(folder, is_patient=False, env=often) as observed:
        run_incidents(observed)
        yield observed


@pytest.fixture
def prometheus(observed: ObservedStack) -> PrometheusApi:
    """The Prometheus of the stack."""
    return observed.prometheus


def problem_of(prometheus: PrometheusApi, expression: str, is_instant: bool = True, legend: str = "") -> str:
    """Return the reason why a query is useless to a reader; empty if it has data.

    Args:
        is_instant: whether only the newest value counts.
        legend: the name of its series; each of its labels must exist.
    """
    end = time.time()
    start = end - RUN_S
    try:
        found = (
            prometheus.query(expression, end) if is_instant else prometheus.query_range(expression, start, end, STEP_S)
        )
    except QueryError as error:
        return str(error)
    unknown = sorted(metric_names(expression) - prometheus.names())
    if unknown:
        return f"unknown metric: {', '.join(unknown)}"
    if not found:
        return "no data"
    missing = {label for label in _LEGEND_LABEL.findall(legend) if not any(label in series.labels for series in found)}
    if missing:
        return f"the legend names missing labels: {', '.join(sorted(missing))}"
    if all(math.isnan(value) for series in found for _, value in series.points):
        return "only NaN"
    return ""


def test_each_incident_leaves_its_trace(observed: ObservedStack) -> None:
    """Prometheus has a value above 0 for each incident, so that the queries below do not only find zeros."""
    assert [trace for trace in (*TRACES, LAST_TRACE) if not has_trace(observed, trace)] == []


def test_all_processes_are_scraped(observed: ObservedStack) -> None:
    """Each worker, mailer and gateway is a healthy target with the labels of the deployment."""
    # A scrape of a busy process may time out.
    wait_until(lambda: {target["health"] for target in observed.prometheus.targets()} == {"up"}, "all targets are up")
    labels = [target["labels"] for target in observed.prometheus.targets() if target["labels"]["job"] == "takk"]
    assert sorted((each["job"], each["shop"], each["role"], each["instance"]) for each in labels) == [
        ("takk", "shop", "gateway", "gateway-1:8080"),
        ("takk", "shop", "mailer", "mailer-1:8080"),
        ("takk", "shop", "worker", "worker-1:8080"),
        ("takk", "shop", "worker", "worker-2:8080"),
    ]


def test_useless_queries_are_found(prometheus: PrometheusApi) -> None:
    """The check reports an error, an unknown metric, a query without data, a value that is never a number, and a missing label."""
    assert problem_of(prometheus, "takk_mails_total") == ""
    assert "parse error" in problem_of(prometheus, "rate(takk_mails_total)")
    assert problem_of(prometheus, "takk_letters_total") == "unknown metric: takk_letters_total"
    assert problem_of(prometheus, 'takk_mails_total{flow="nothing"}', is_instant=False) == "no data"
    assert problem_of(prometheus, "takk_mails_total * 0 / 0", is_instant=False) == "only NaN"
    assert (
        problem_of(prometheus, "takk_mails_total", legend="{{flow}} {{topic}}")
        == "the legend names missing labels: topic"
    )


def test_each_query_of_a_panel_has_data(prometheus: PrometheusApi) -> None:
    """Prometheus answers each query of each panel with at least one series whose values are numbers."""
    problems = {
        (query.dashboard, query.panel, query.ref): problem_of(
            prometheus, query.expression, query.is_instant, query.legend
        )
        for query in panel_queries()
    }
    assert problems, "there are no dashboards"
    expected = {**dict.fromkeys(PANELS_WITHOUT_DATA, "no data"), **dict.fromkeys(PANELS_OF_NAN, "only NaN")}
    assert {where: problem for where, problem in problems.items() if problem} == expected


def test_each_variable_has_values(prometheus: PrometheusApi) -> None:
    """Each variable of a dashboard that lists the values of a label finds at least one."""
    empty = [
        (dashboard, variable)
        for dashboard, variable, selector, label in variable_queries()
        if not any(label in labels for labels in prometheus.series(selector))
    ]
    assert empty == []


def test_each_annotation_is_valid(prometheus: PrometheusApi) -> None:
    """Prometheus answers each query of an annotation, and knows its metrics. No result means that nothing has happened."""
    problems = [(*where, problem_of(prometheus, expression)) for *where, expression in annotation_queries()]
    assert [problem for problem in problems if problem[-1] not in ("", "no data")] == []


def selectors(expression: str) -> list[str]:
    """Return the selectors of an expression without their windows and offsets, each once."""
    found: dict[str, None] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[f"{node.name or ''}{node.matchers}"] = None

    promql_parser.walk(promql_parser.parse(expression), visit)
    return list(found)


def _rules(prometheus: PrometheusApi, kind: str) -> list[dict[str, Any]]:
    found = [rule for rule in prometheus.rules() if rule["type"] == kind]
    assert found, f"there are no rules of type {kind}"
    return found


def test_each_rule_is_healthy(prometheus: PrometheusApi) -> None:
    """Prometheus evaluates each recording rule and each alert without an error."""
    rules = _rules(prometheus, "recording") + _rules(prometheus, "alerting")
    assert [(rule["name"], rule.get("lastError", "")) for rule in rules if rule["health"] != "ok"] == []


def test_alerts_fire_for_the_incidents(prometheus: PrometheusApi) -> None:
    """Alerts fire for invalid records, the empty pool, the stopped mail server and the cut connections."""
    expected = {"TakkDeadLetters", "TakkPoolEmpty", "TakkMailServerDown", "TakkSendsInDoubt"}
    fired = prometheus.query('max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))')
    assert expected - {series.labels["alertname"] for series in fired} == set()


def test_each_recording_rule_has_data(prometheus: PrometheusApi) -> None:
    """Each expression of a recording rule has data, and so has the series that it records."""
    problems: dict[str, str] = {}
    for rule in _rules(prometheus, "recording"):
        problem = problem_of(prometheus, rule["query"]) or problem_of(prometheus, rule["name"])
        if problem:
            problems[rule["name"]] = problem
    assert problems == dict.fromkeys(RULES_WITHOUT_DATA, "no data")


def test_each_selector_of_an_alert_has_a_series(prometheus: PrometheusApi) -> None:
    """An alert normally returns nothing, so its parts are checked: each selector matches a series."""
    without: dict[str, set[str]] = {}
    for rule in _rules(prometheus, "alerting"):
        for selector in selectors(rule["query"]):
            if not prometheus.series(selector):
                without.setdefault(selector, set()).add(rule["name"])
    assert set(without) == set(SELECTORS_WITHOUT_SERIES), without
