"""The closed list of metrics: names, help, labels, and that the program sets each of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from streams.agents import zeros
from streams.observability import metrics
from streams.settings import PROJECT_ROOT

BOUNDED = {
    "route",
    "endpoint",
    "status",
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
    "message",
    "provider",
    "version",
    "hash",
    "state",
}
#: The methods that change a metric, or select one of its series first.
CHANGES = {"labels", "inc", "set", "observe", "set_to_current_time", "time"}


def test_the_list_is_closed() -> None:
    """The list contains exactly the metrics in Takk's registry with its prefix."""
    families = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("takk_")}
    assert families == {family.name for metric in metrics.ALL for family in metric.describe()}


def test_names_help_and_labels() -> None:
    """Each metric has a help text, a unique name, and only bounded labels."""
    for metric in metrics.ALL:
        (family,) = metric.describe()
        assert re.fullmatch(r"takk_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert set(metric._labelnames) <= BOUNDED
    assert len({metric.describe()[0].name for metric in metrics.ALL}) == len(metrics.ALL)


def changed(source: str) -> set[str]:
    """Return the names of the metrics that a module changes: `metrics.NAME` with one of `CHANGES`, or given to `OwnedGauges`."""
    nodes = [*ast.walk(ast.parse(source))]
    named = [node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in CHANGES]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "OwnedGauges"]
    given = [argument for call in calls for argument in call.args]
    owners = [node for node in (*named, *given) if isinstance(node, ast.Attribute)]
    return {owner.attr for owner in owners if ast.unparse(owner.value) == "metrics"}


def test_finding_changed_metrics() -> None:
    """A metric that is only named, imported or removed is not changed."""
    assert changed("metrics.A.labels(1).inc()\nmetrics.B.set(2)\non = metrics.C.set") == {"A", "B", "C"}
    assert changed("OwnedGauges('flows', read, metrics.A, metrics.B)\nother(metrics.C)") == {"A", "B"}
    assert changed("x = metrics.A\nmetrics.B.remove(1)\n# metrics.C.inc()\n'metrics.D.inc()'\nother.E.inc()") == set()


def test_every_metric_is_changed() -> None:
    """Every metric on the list is changed somewhere in the program: one that always stays 0 misleads."""
    program = PROJECT_ROOT / "streams"
    sources = [path.read_text() for path in program.rglob("*.py") if path != Path(metrics.__file__)]
    names = {name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
    assert len(names) == len(metrics.ALL)
    assert names - set().union(*map(changed, sources)) == set()


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: str(metric.describe()[0].name))
def test_no_label_is_a_person_or_an_order(metric: MetricWrapperBase) -> None:
    """No label contains a customer, an order, an address or a send: these are personal, and have too many values."""
    label_words = {word for label in metric._labelnames for word in label.split("_")}
    assert (
        label_words
        & {"customer", "order", "address", "email", "mail", "recipient", "send", "parcel", "sku", "id", "key"}
        == set()
    )


@pytest.mark.parametrize(
    ("owned", "places"),
    [
        (zeros.OF_MAILER, ("mail/**/*.py", "agents/mailer.py", "agents/mail_reports.py", "agents/global_tables/*.py")),
        (zeros.OF_WORKER, ("agents/flows.py", "agents/scheduler.py", "agents/popularity.py", "agents/code_pools.py")),
    ],
    ids=["mailer", "worker"],
)
def test_a_metric_of_one_kind_of_process_is_listed(
    owned: tuple[MetricWrapperBase, ...], places: tuple[str, ...]
) -> None:
    """A metric that only mailers or only workers change is on their list, so that the other kind of process does not export it as 0."""
    sources = [path.read_text() for place in places for path in sorted((PROJECT_ROOT / "streams").glob(place))]
    names = set().union(*map(changed, sources))
    assert names
    assert {name for name in names if getattr(metrics, name) not in owned} == set()
