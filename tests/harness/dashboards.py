"""The queries of the committed Grafana dashboards, with variables replaced, to parse them or to run them on a Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from streams.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "grafana" / "dashboards"
#: Values of Grafana's own variables: the window of rates at a scrape interval of 10 s, and a time range of an hour.
BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "__range_s": "3600", "__from": "0", "__to": "0"}  # fmt: skip


class PanelQuery(NamedTuple):
    """A query of a panel.

    Attributes:
        dashboard: the uid of the dashboard.
        panel: the title of the panel.
        ref: the letter of the query within the panel.
        expression: in PromQL, without variables.
        is_instant: whether the panel reads only the newest value.
        legend: the name of its series, with labels as `{{label}}`.
        panel_id: the id of the panel within the dashboard.
    """

    dashboard: str
    panel: str
    ref: str
    expression: str
    is_instant: bool
    legend: str
    panel_id: int


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the JSON of each dashboard by its uid."""
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {dashboard["uid"]: dashboard for dashboard in loaded}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels of a dashboard, without the headings of rows."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def defaults(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of each variable when a reader opens the dashboard. All values of a list are its pattern for all."""
    values = dict(BUILT_IN)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = variable["allValue"]
        elif variable["type"] == "datasource":
            values[variable["name"]] = variable["current"]["value"]
        else:
            values[variable["name"]] = variable["query"]
    return values


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with `$name`, `${name}` and `${name:format}` replaced.

    Raises:
        KeyError: a variable is unknown.
    """
    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda found: values[found[1] or found[2]], text)


def panel_queries(values: Mapping[str, str] | None = None) -> list[PanelQuery]:
    """Return the queries of all panels of all dashboards.

    Args:
        values: values of variables that replace the defaults.
    """
    return [
        PanelQuery(
            uid, panel["title"], target["refId"], replaced(target["expr"], {**defaults(dashboard), **(values or {})}),
            bool(target.get("instant")), target.get("legendFormat", ""), panel["id"],
        )
        for uid, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel.get("targets", ())
    ]  # fmt: skip


def annotation_queries() -> list[tuple[str, str, str]]:
    """Return (dashboard, annotation, expression). A result without series is normal: nothing has happened."""
    return [
        (uid, annotation["name"], replaced(annotation["expr"], defaults(dashboard)))
        for uid, dashboard in dashboards().items()
        for annotation in dashboard["annotations"]["list"]
    ]


def variable_queries() -> list[tuple[str, str, str, str]]:
    """Return (dashboard, variable, selector, label) for each list of values that Prometheus provides."""
    return [
        (uid, variable["name"], *_label_values(replaced(variable["query"]["query"], defaults(dashboard))))
        for uid, dashboard in dashboards().items()
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]


def _label_values(query: str) -> tuple[str, str]:
    """Return the selector and the label of `label_values(selector, label)`."""
    selector, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    return selector, label
