"""Checks of the alert rules: their labels and annotations, their runbooks, and the cases that their promtool tests must have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import promql_parser as promql

from streams.settings import FROM_FILE, Settings, env_name
from streams.tools.cli.main import main
from tests.harness.promql import known, labels, metric_names

Rule = Mapping[str, Any]

SEVERITIES = ("page", "ticket")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")
SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
#: The cases that each alert needs. `fires` also includes the evaluation just before.
CASES = ("fires", "healthy", "counter reset", "missing series")
#: The labels by which a rule may aggregate. All are bounded, and none contains a customer.
GROUPS = frozenset(
    {
        "shop", "role", "stage", "partition", "flow", "message", "outcome", "rule", "reason", "action", "provider", "pool", "topic",
        "instance", "slo", "le", "rule_group", "hash",
    }
)  # fmt: skip
#: Metrics that may be missing while all is well, so that `TakkSeriesMissing` cannot demand them, with the reason.
OPTIONAL = {
    "takk_pool_codes": "only for pools that a flow uses, and from their owner",
    "takk_pool_claims": "only for pools that a flow uses, and from their owner",
    "takk_codes_granted_total": "only for pools that a flow uses",
    "takk_restore_progress_ratio": "missing until the first restore",
    "takk_flow_info": "only excludes paused flows",
    "takk_catalogue_read_timestamp_seconds": "0 until a mailer needs the catalogue, and excluded then",
    "takk_catalogue_refused_total": "the catalogue is optional",
    "takk_withdrawals_read_timestamp_seconds": "0 until the first email, and excluded then",
    "takk_gateway_customer_pages_read_timestamp_seconds": "0 until the first time, and excluded then",
    "takk_suppressions_read_timestamp_seconds": "0 until the first email, and excluded then",
}
#: Words in capitals that runbooks write like settings.
NOT_SETTINGS = frozenset(("SIGTERM", "SIGKILL", "VERSION"))
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PANEL = re.compile(r'"(Takk / [^"]+)" > "([^"]+)"')
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)


def duration(text: str) -> timedelta:
    """Return a duration of Prometheus, such as `1h30m`."""
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _DURATION.findall(text)), timedelta())


# -- rules -------------------------------------------------------------------------------------------------------------


def rule_faults(rule: Rule, dashboards: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the labels, annotations and expression of an alert.

    Args:
        dashboards: the uids of the dashboards.
    """
    name, annotations = rule["alert"], rule["annotations"]
    if not re.fullmatch(r"Takk[A-Z][A-Za-z]+", name):
        yield "the name must be like TakkLagHigh"
    if rule["labels"].get("severity") not in SEVERITIES:
        yield f"severity must be one of {SEVERITIES}"
    if "for" not in rule:
        yield "`for` is missing"
    if missing := [key for key in ANNOTATIONS if not annotations.get(key)]:
        yield f"missing annotations: {missing}"
        return
    if annotations["runbook_url"] != f"deploy/runbooks/{name}.md":
        yield "runbook_url is not deploy/runbooks/<alert>.md"
    if re.split(r"[?{]", annotations["dashboard_url"].removeprefix("/d/"))[0] not in dashboards:
        yield "dashboard_url names no dashboard"
    for text in (annotations["summary"], annotations["description"]):
        if "{{" not in text and not text.endswith((".", ")")):
            yield f"not a sentence: {text}"


def expression_faults(expression: str) -> Iterator[str]:
    """Yield unknown metrics and labels of an expression, and labels by which no rule may aggregate."""
    try:
        labels(expression, known())
    except ValueError as error:
        yield str(error)
        return
    found = set[str]()

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)

    promql.walk(promql.parse(expression), visit)
    if unbounded := found - GROUPS:
        yield f"aggregates by {sorted(unbounded)}"


def unguarded(rules: Iterable[Rule], guard: str) -> set[str]:
    """Return the metrics of Takk that alerts read, directly or through recording rules, and that `guard` does not demand.

    Args:
        rules: all rules.
        guard: the expression of `TakkSeriesMissing`.
    """
    rules = list(rules)
    recorded = {rule["record"]: set[str]() for rule in rules if "record" in rule}
    for rule in rules:
        if "record" in rule:
            recorded[rule["record"]] |= metric_names(rule["expr"])
    read = set[str]().union(*(metric_names(rule["expr"]) for rule in rules if "alert" in rule))
    while nested := read & recorded.keys():
        read = (read - nested).union(*(recorded[name] for name in nested))
    demanded = {_family(name) for name in metric_names(guard)}
    return {name for name in read if name.startswith("takk_") and _family(name) not in demanded} - OPTIONAL.keys()


def _family(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


# -- runbooks ----------------------------------------------------------------------------------------------------------


def runbook_faults(text: str, alert: str, severities: Iterable[str], panels: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with a runbook.

    Args:
        text: the page.
        alert: the alert that it explains.
        severities: the severities of the alert.
        panels: the title of each dashboard -> the titles of its panels.
    """
    if not text.startswith(f"# {alert}\n\nSeverity: {' or '.join(sorted(severities))}.\n"):
        yield "the title or the severity is wrong"
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    if [section.partition("\n")[0] for section in sections] != list(SECTIONS):
        yield f"the sections are not {SECTIONS}"
    if any(len(section.partition("\n")[2].split()) < 5 for section in sections):
        yield "a section is empty"
    if "```" not in text.partition("## Diagnosis")[2].partition("## Mitigation")[0]:
        yield "the diagnosis has no query or command"
    if "scalate" not in text.partition("## Mitigation")[2]:
        yield "the mitigation does not say when to escalate"
    for dashboard, panel in _PANEL.findall(" ".join(text.split())):
        if panel not in panels.get(dashboard, ()):
            yield f'unknown panel "{dashboard}" > "{panel}"'
    for language, block in _BLOCK.findall(text):
        for line in filter(None, map(str.strip, block.splitlines())):
            yield from _query_faults(line) if language == "promql" else _command_faults(line)
    for code in re.findall(r"`(takk [^`\n]+)`", text):
        yield from _command_faults(code)
    settings = {env_name(field) for field in Settings.model_fields} | {f"{env_name(field)}_FILE" for field in FROM_FILE}
    if unknown := set(re.findall(r"`([A-Z][A-Z_]{3,})`", text)) - settings - NOT_SETTINGS:
        yield f"unknown settings: {sorted(unknown)}"


def _query_faults(query: str) -> Iterator[str]:
    try:
        labels(query, known())
    except ValueError as error:
        yield f"{query}: {error}"


def _command_faults(line: str) -> Iterator[str]:
    for words in re.findall(r"(?:^|\s)takk ([a-z][^|#]*)", line):
        command: click.Command = main
        for word in words.split():
            if word.startswith("--"):
                if word not in {name for option in command.params for name in option.opts}:
                    yield f"unknown option in: {line}"
            elif isinstance(command, click.Group):
                if word not in command.commands:
                    yield f"unknown command in: {line}"
                    return
                command = command.commands[word]


# -- promtool tests ----------------------------------------------------------------------------------------------------


def missing_cases(rule: Rule, groups: Iterable[tuple[timedelta, Rule]]) -> list[str]:
    """Return the cases that an alert rule lacks.

    Args:
        rule: the rule; an alert with two severities or several windows has several.
        groups: the test groups of all files, each with the evaluation interval of its file.
    """
    alert, found = rule["alert"], set[str]()
    for interval, group in groups:
        title, _, case = group["name"].partition(": ")
        if title != alert:
            continue
        checks = [check for check in group.get("alert_rule_test", ()) if check["alertname"] == alert]
        firing = [any(_is_of(rule, expected) for expected in check.get("exp_alerts", ())) for check in checks]
        if case.startswith("fires") and _starts_to_fire(checks, firing, interval):
            found.add("fires")
        elif case.startswith("healthy") and checks and not any(check.get("exp_alerts") for check in checks):
            found.add("healthy")
        elif case.startswith("counter reset") and checks:
            found.add("counter reset")
        elif case.startswith("missing series") and checks and (any(firing) or _another_fires(group, alert)):
            found.add("missing series")
    return [case for case in CASES if case not in found]


def _is_of(rule: Rule, expected: Rule) -> bool:
    return all(expected["exp_labels"].get(label) == value for label, value in rule["labels"].items())


def _starts_to_fire(checks: list[Any], firing: list[bool], interval: timedelta) -> bool:
    """Return whether the alert fires at one evaluation, and not at the one before."""
    times = [duration(check["eval_time"]) for check in checks]
    pairs = zip(times, firing, times[1:], firing[1:], strict=False)
    return any(not before and after and then - first == interval for first, before, then, after in pairs)


def _another_fires(group: Rule, alert: str) -> bool:
    others = [check for check in group.get("alert_rule_test", ()) if check["alertname"] != alert]
    queries = [query for query in group.get("promql_expr_test", ()) if "ALERTS" in query["expr"]]
    return any(check.get("exp_alerts") for check in others) or any(query["exp_samples"] for query in queries)


def pages(folder: Path) -> dict[str, str]:
    """Return the text of each runbook by its alert."""
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("Takk*.md")}
