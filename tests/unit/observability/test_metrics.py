"""The closed list of metrics: named well, bounded, and each moved by the program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from streams.observability import metrics
from streams.settings import PROJECT_ROOT

BOUNDED = {
    "stage",
    "topic",
    "partition",
    "flow",
    "outcome",
    "rule",
    "reason",
    "action",
    "agent",
    "kind",
    "currency",
    "pool",
}
#: What is done to a metric to move it, or to one of its series first.
MOVES = {"labels", "inc", "set", "observe", "set_to_current_time", "time"}


def test_the_list_is_closed() -> None:
    """What is in Takk's registry under its own name is on the list, and the other way round."""
    families = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("takk_")}
    assert families == {family.name for metric in metrics.ALL for family in metric.describe()}


def test_names_help_and_labels() -> None:
    """Each has a help text and only labels that are bounded; no two have one name."""
    for metric in metrics.ALL:
        (family,) = metric.describe()
        assert re.fullmatch(r"takk_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert set(metric._labelnames) <= BOUNDED
    assert len({metric.describe()[0].name for metric in metrics.ALL}) == len(metrics.ALL)


def moved(source: str) -> set[str]:
    """The names of the metrics that a module moves: `metrics.NAME` with something done to it other than taking it away."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in MOVES]
    owners = [node.value for node in nodes if isinstance(node.value, ast.Attribute)]
    return {owner.attr for owner in owners if isinstance(owner.value, ast.Name) and owner.value.id == "metrics"}


def test_what_moving_is() -> None:
    """To name, import or remove a metric is not to move it."""
    assert moved("metrics.A.labels(1).inc()\nmetrics.B.set(2)\non = metrics.C.set") == {"A", "B", "C"}
    assert moved("x = metrics.A\nmetrics.B.remove(1)\n# metrics.C.inc()\n'metrics.D.inc()'\nother.E.inc()") == set()


def test_every_metric_is_moved() -> None:
    """What is on the list is moved somewhere in the program: a metric that stays 0 for ever is worse than none."""
    program = PROJECT_ROOT / "streams"
    sources = [path.read_text() for path in program.rglob("*.py") if path != Path(metrics.__file__)]
    names = {name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
    assert len(names) == len(metrics.ALL)
    assert names - set().union(*map(moved, sources)) == set()


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: str(metric.describe()[0].name))
def test_no_label_is_a_person_or_an_order(metric: MetricWrapperBase) -> None:
    """No label names a customer, an order, an address or a send: there are as many series as there are of them, and they are personal."""
    words = {word for label in metric._labelnames for word in label.split("_")}
    assert (
        words & {"customer", "order", "address", "email", "mail", "recipient", "send", "parcel", "sku", "id", "key"}
        == set()
    )
