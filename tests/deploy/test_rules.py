"""The rules of Prometheus: promtool accepts and tests them, and each alert has a runbook and the tests that it needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import PROJECT_ROOT
from tests.harness import alert_rules, dashboards, promql
from tests.harness.prometheus import require_program

PROMETHEUS = PROJECT_ROOT / "deploy" / "prometheus"
RUNBOOKS = PROJECT_ROOT / "deploy" / "runbooks"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))
#: Those of which promtool needs more than three seconds.
LONG = ("flows", "missing", "slo-")
RULES = [*promql.rules()]
ALERTS = [rule for rule in RULES if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
PAGES = alert_rules.pages(RUNBOOKS)
(GUARD,) = (rule["expr"] for rule in ALERTS if rule["alert"] == "TakkSeriesMissing")


def titled(rule: dict[str, Any]) -> str:
    """Return the id of an alert rule: an alert may have several."""
    return "-".join((rule["alert"], rule["labels"]["severity"], rule["labels"].get("window", "")))


def groups() -> Iterator[tuple[timedelta, dict[str, Any]]]:
    """Yield the test groups of all files, with the evaluation interval of their file."""
    for path in TEST_FILES:
        file = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        for group in file["tests"]:
            yield alert_rules.duration(file["evaluation_interval"]), group


GROUPS = [*groups()]


def panel_titles() -> dict[str, set[str]]:
    """Return the title of each dashboard, with the titles of its panels."""
    return {
        dashboard["title"]: {panel["title"] for panel in dashboards.panels(dashboard)}
        for dashboard in dashboards.dashboards().values()
    }


PANELS = panel_titles()


def severities(alert: str) -> set[str]:
    """Return the severities of an alert."""
    return {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == alert}


def promtool(*arguments: str | Path) -> str:
    """Run promtool, and return its output; fail with the output if it reports an error."""
    program = require_program("promtool", "prometheus")
    # Without its garbage collector, which runs only near the limit, it needs a third less CPU.
    env = {**os.environ, "GOGC": "off", "GOMEMLIMIT": "800MiB", "GOMAXPROCS": "1"}
    done = subprocess.run([program, *map(str, arguments)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules() -> None:
    """Each file of rules is valid."""
    assert promtool("check", "rules", *RULE_FILES).count("SUCCESS") == len(RULE_FILES)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.campaign] if path.stem.startswith(LONG) else []) for path in TEST_FILES],
    ids=[path.stem for path in TEST_FILES],
)
def test_promtool_tests_pass(path: Path) -> None:
    """The alerts fire when they should, with the expected labels and annotations, and not otherwise."""
    assert "SUCCESS" in promtool("test", "rules", path)


@pytest.mark.parametrize("rule", ALERTS, ids=titled)
def test_alert_is_complete(rule: dict[str, Any]) -> None:
    """Each alert has a valid severity, all annotations, its runbook's address and an existing dashboard."""
    assert [*alert_rules.rule_faults(rule, dashboards.dashboards())] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or titled(rule))
def test_expression_is_valid(rule: dict[str, Any]) -> None:
    """Each rule reads known metrics and labels, and aggregates by bounded labels."""
    assert [*alert_rules.expression_faults(rule["expr"])] == []


def test_recording_rules_are_used() -> None:
    """Each recorded value is read by another rule or by a dashboard."""
    readers = [rule["expr"] for rule in RULES] + [
        json.dumps(dashboard) for dashboard in dashboards.dashboards().values()
    ]
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert {name for name in recorded if not any(re.search(rf"{name}\b", text) for text in readers)} == set()


def test_missing_series_are_noticed() -> None:
    """TakkSeriesMissing demands each metric of Takk that an alert reads, or the metric may be missing for a reason."""
    assert alert_rules.unguarded(RULES, GUARD) == set()
    assert {name for name in alert_rules.OPTIONAL if name not in promql.known()} == set()


@pytest.mark.parametrize("name", NAMES)
def test_runbook(name: str) -> None:
    """Each alert has a runbook with four sections, whose panels, queries, commands and settings exist."""
    assert name in PAGES
    assert [*alert_rules.runbook_faults(PAGES[name], name, severities(name), PANELS)] == []


def test_index_of_runbooks() -> None:
    """The index lists each alert with its severities, and each page belongs to an alert."""
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \| .+\.", (RUNBOOKS / "README.md").read_text(encoding="utf-8"), re.M
    )
    assert sorted(rows) == [(name, name, ", ".join(sorted(severities(name)))) for name in NAMES]
    assert sorted(PAGES) == NAMES


@pytest.mark.parametrize("rule", ALERTS, ids=titled)
def test_alert_is_tested(rule: dict[str, Any]) -> None:
    """Each rule of an alert has a test for each case."""
    assert alert_rules.missing_cases(rule, GROUPS) == []


# -- the checks can fail -----------------------------------------------------------------------------------------------

LAG = next(rule for rule in ALERTS if rule["alert"] == "TakkLagHigh")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"alert": "takk_lag"}, "the name must be like"),
        ({"labels": {"severity": "warning"}}, "severity must be"),
        ({"annotations": {**LAG["annotations"], "summary": ""}}, "missing annotations: \\['summary'\\]"),
        ({"annotations": {**LAG["annotations"], "runbook_url": "deploy/runbooks/TakkOther.md"}}, "runbook_url"),
        ({"annotations": {**LAG["annotations"], "dashboard_url": "/d/takk-other?var-shop=a"}}, "no dashboard"),
        ({"annotations": {**LAG["annotations"], "description": "Late emails"}}, "not a sentence"),
    ],
)
def test_a_wrong_alert_is_found(changes: dict[str, Any], fault: str) -> None:
    """A wrong name, severity, annotation or address is reported."""
    assert re.search(fault, "\n".join(alert_rules.rule_faults({**LAG, **changes}, dashboards.dashboards())))


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("takk_lag_minutes > 5", "unknown metric 'takk_lag_minutes'"),
        ('takk_lag_seconds{flow="a"} > 5', "unknown label of takk_lag_seconds: flow"),
        ("sum by (version) (takk_build_info)", r"aggregates by \['version'\]"),
        ("sum by (customer) (takk_lag_seconds)", "unknown label to aggregate by: customer"),
        ("takk_lag_seconds and on (flow) takk_lag_records", "unknown label to join by: flow"),
        ("ALERTS_FOR_STATE and ignoring (status) ALERTS", "unknown label to join by: status"),
        ("takk_lag_seconds >", "invalid promql query"),
    ],
)
def test_a_wrong_expression_is_found(expression: str, fault: str) -> None:
    """Unknown metrics and labels, unbounded aggregations and syntax errors are reported."""
    assert re.search(fault, "\n".join(alert_rules.expression_faults(expression)))


def test_an_alert_without_a_guard_is_found() -> None:
    """A metric that is read only through a recorded value must be demanded, too."""
    added = [
        {"record": "takk:a:b", "expr": "sum(takk_codes_expired_total)"},
        {"alert": "TakkA", "expr": "takk:a:b > 0"},
    ]
    assert alert_rules.unguarded([*RULES, *added], GUARD) == {"takk_codes_expired_total"}


PAGE = PAGES["TakkLagHigh"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# TakkLagHigh", "# TakkLag", "title or the severity"),
        ("Severity: page or ticket.", "Severity: page.", "title or the severity"),
        ("## Impact", "## Effect", "sections are not"),
        ("Escalate", "Go", "when to escalate"),
        ("max by (shop, stage, partition) (takk_lag_seconds)", "max(takk_lag)", "unknown metric 'takk_lag'"),
        (
            '"Takk / Pipeline" > "Rate of flows"',
            '"Takk / Pipeline" > "Rates"',
            'unknown panel "Takk / Pipeline" > "Rates"',
        ),
        (
            "docker compose exec -e KAFKA_HEAP_OPTS=-Xmx128m kafka",
            "takk dead-letter list",
            "unknown command in: takk dead-letter list",
        ),
        (
            "docker compose exec -e KAFKA_HEAP_OPTS=-Xmx128m kafka",
            "takk dead-letters list --why",
            "unknown option in: takk dead-letters list --why",
        ),
        ("`SMTP_CONNECTIONS`", "`SMTP_SOCKETS`", r"unknown settings: \['SMTP_SOCKETS'\]"),
    ],
)
def test_a_wrong_runbook_is_found(old: str, new: str, fault: str) -> None:
    """A wrong title or section, and unknown metrics, panels, commands, options and settings are reported."""
    assert old in PAGE
    faults = alert_rules.runbook_faults(PAGE.replace(old, new), "TakkLagHigh", {"page", "ticket"}, PANELS)
    assert re.search(fault, "\n".join(faults))


@pytest.mark.parametrize("case", alert_rules.CASES)
def test_a_missing_test_is_found(case: str) -> None:
    """An alert that lacks a case is reported with that case."""
    left = [(interval, group) for interval, group in GROUPS if not group["name"].startswith(f"TakkLagHigh: {case}")]
    assert alert_rules.missing_cases(LAG, left) == [case]


def test_firing_without_the_evaluation_before_is_found() -> None:
    """A test that only shows that an alert fires does not show when."""
    (interval, group), *_ = ((i, g) for i, g in GROUPS if g["name"] == "TakkLagHigh: fires (page)")
    late = {**group, "alert_rule_test": group["alert_rule_test"][1:]}
    others = [(i, g) for i, g in GROUPS if not g["name"].startswith("TakkLagHigh: fires")]
    assert alert_rules.missing_cases(LAG, [*others, (interval, late)]) == ["fires"]
