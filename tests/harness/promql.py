"""Checks of PromQL expressions: only known metrics, and only labels that these metrics have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

from streams.observability import metrics
from streams.settings import PROJECT_ROOT

RULES = PROJECT_ROOT / "deploy" / "prometheus" / "rules"
#: The labels that Prometheus adds to each series of a target.
TARGET = frozenset({"job", "instance", "shop", "role"})
#: The metrics of Prometheus itself that alerts read, with their own labels.
OF_PROMETHEUS = {
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_notifications_alertmanagers_discovered": set[str](),
    "prometheus_notifications_errors_total": {"alertmanager"},
}
#: Functions whose result has no labels.
SCALARS = frozenset({"vector", "scalar", "time", "pi"})


class UnknownError(ValueError):
    """An expression uses an unknown metric, or a label that its metric lacks."""


@cache
def known() -> dict[str, frozenset[str]]:
    """Return the labels of each metric: those of Takk and of its registry, those of Prometheus, and the recorded ones."""
    found = {"up": TARGET, **{name: TARGET | own for name, own in OF_PROMETHEUS.items()}}
    for metric in metrics.ALL:
        found.update(dict.fromkeys(_samples(metric), TARGET | {*metric._labelnames}))
        if metric._type == "histogram":
            found[f"{metric._name}_bucket"] |= {"le"}
    for family in metrics.REGISTRY.collect():
        if family.name.startswith(("process_", "python_")):
            found.update({sample.name: TARGET | {*sample.labels} for sample in family.samples})
    alerts = {"alertname", "alertstate"}
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = labels(rule["expr"], found) | {*rule.get("labels", ())}
        else:
            alerts |= labels(rule["expr"], found) | {*rule.get("labels", ())}
    return {**found, "ALERTS": TARGET | alerts, "ALERTS_FOR_STATE": TARGET | alerts - {"alertstate"}}


def rules(folder: Path = RULES) -> Iterator[dict[str, Any]]:
    """Yield the recording and alerting rules: the recording ones first, because alerts use them."""
    files = [yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) for path in sorted(folder.glob("*.yml"))]
    found = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    yield from sorted(found, key=lambda rule: "alert" in rule)


def _samples(metric: Any) -> list[str]:
    if metric._type == "histogram":
        return [f"{metric._name}_{part}" for part in ("bucket", "sum", "count")]
    return [f"{metric._name}_total" if metric._type == "counter" else metric._name]


def metric_names(expression: str) -> set[str]:
    """Return the metrics that an expression reads."""
    found = set[str]()

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            found.add(node.name or "")

    promql.walk(promql.parse(expression), visit)
    return found


def labels(expression: str, known: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return the labels of the result of an expression.

    Args:
        known: the labels of each metric.

    Raises:
        UnknownError: a metric is not known, or a matcher, an aggregation or a join uses a label that its metric lacks.
        ValueError: the expression is invalid.
    """
    return _labels(promql.parse(expression), known)


def _labels(node: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
    kind = type(node).__name__
    return _BY_KIND[kind](node, known) if kind in _BY_KIND else frozenset()


def _selector(node: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
    if node.name not in known:
        raise UnknownError(f"unknown metric {node.name!r}")
    _require({matcher.name for matcher in node.matchers.matchers}, known[node.name], f"of {node.name}")
    return known[node.name]


def _call(node: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
    found = [_labels(argument, known) for argument in node.args]
    name = node.func.name
    if name in SCALARS:
        return frozenset()
    if name == "histogram_quantile":
        _require({"le"}, found[1], "in histogram_quantile")
        return found[1] - {"le"}
    added = {node.args[1].val} if name in ("label_replace", "label_join") else set()
    return frozenset().union(*found) | added


def _aggregate(node: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
    inner = _labels(node.expr, known)
    if node.modifier is None:
        return inner if str(node.op) in ("topk", "bottomk") else frozenset()
    names = {*node.modifier.labels}
    _require(names, inner, "to aggregate by")
    return inner - names if node.modifier.type == promql.AggModifierType.Without else frozenset(names)


def _binary(node: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
    left, right = _labels(node.lhs, known), _labels(node.rhs, known)
    if str(node.op) == "or":
        return left | right
    modifier = node.modifier
    if modifier is None:
        return left or right
    many = right if modifier.card == promql.VectorMatchCardinality.OneToMany else left
    if modifier.matching is not None:
        names = {*modifier.matching.labels}
        is_on = modifier.matching.type == promql.LabelModifierType.Include
        _require(names, left & right if is_on else left | right, "to join by")
        if modifier.card == promql.VectorMatchCardinality.OneToOne:
            return frozenset(names) if is_on else left - names
    return many | {*(modifier.group_labels or ())}


def _require(names: set[str], existing: frozenset[str], place: str) -> None:
    if missing := names - existing:
        raise UnknownError(f"unknown label {place}: {', '.join(sorted(missing))}; known: {', '.join(sorted(existing))}")


_BY_KIND: dict[str, Callable[[Any, dict[str, frozenset[str]]], frozenset[str]]] = {
    "VectorSelector": _selector,
    "MatrixSelector": lambda node, known: _selector(node.vector_selector, known),
    "SubqueryExpr": lambda node, known: _labels(node.expr, known),
    "ParenExpr": lambda node, known: _labels(node.expr, known),
    "UnaryExpr": lambda node, known: _labels(node.expr, known),
    "Call": _call,
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
}
