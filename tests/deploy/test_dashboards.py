"""The Grafana dashboards: the committed JSON is that of the code, and complete, and every query names what exists."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builder import panels as parts
from deploy.grafana.builder.catalogue import FOLDER, SCREENS
from deploy.grafana.builder.links import RUNBOOKS as LINKED_RUNBOOKS
from deploy.grafana.builder.screen import Row, Screen
from streams.observability import metrics
from streams.settings import PROJECT_ROOT
from tests.harness import dashboards as committed
from tests.harness import promql
from tests.harness.prometheus import require_program

UIDS = [screen.uid for screen in SCREENS]
GRAFANA = PROJECT_ROOT / "deploy" / "grafana"
RUNBOOKS = PROJECT_ROOT / "deploy" / "runbooks"
#: Keys of annotations that Grafana's Prometheus data source reads, and the SDK's type lacks.
ANNOTATION_KEYS = ("titleFormat", "textFormat", "step", "target")
#: The end of a link to a dashboard: the time range, and all variables or those of one flow.
KEPT = re.escape("${__url_time_range}&") + r"(\$\{__all_variables\}|\$\{shop:queryparam\}&var-flow=\$\{__value\.raw\})"
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}

register_default_plugins()


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the uid of the dashboard and the JSON of each panel."""
    for uid, dashboard in committed.dashboards().items():
        for panel in committed.panels(dashboard):
            yield uid, panel


def named(panel: dict[str, Any]) -> str:
    """Return the name of a panel for messages."""
    return f"{panel['id']} {panel['title']}"


def size(panel: dict[str, Any]) -> parts.Size:
    """Return the size of a panel."""
    return parts.Size(panel["gridPos"]["w"], panel["gridPos"]["h"])


# -- what a dashboard must be ------------------------------------------------------------------------------------------


def overlaps(dashboard: dict[str, Any]) -> list[str]:
    """Return the pairs of panels that cover the same cell of the grid, and the panels beyond its right edge."""
    taken: dict[tuple[int, int], str] = {}
    found = set[str]()
    for panel in dashboard["panels"]:
        position = panel["gridPos"]
        for x in range(position["x"], position["x"] + position["w"]):
            for y in range(position["y"], position["y"] + position["h"]):
                if other := taken.get((x, y)):
                    found.add(f"{other} / {named(panel)}")
                if x >= 24:
                    found.add(f"{named(panel)} is too wide")
                taken[x, y] = named(panel)
    return sorted(found)


def repeated_ids(dashboard: dict[str, Any]) -> list[Any]:
    """Return the ids that several panels or several variables have."""
    groups = [[part["id"] for part in parts] for parts in (dashboard["panels"], dashboard["templating"]["list"])]
    return sorted({number for ids in groups for number in ids if ids.count(number) > 1})


def incomplete(dashboard: dict[str, Any]) -> list[str]:
    """Return the panels without a full description, a known unit, a title of their own, or the data source of the variable."""
    found = []
    titles = [panel["title"] for panel in committed.panels(dashboard)]
    for panel in committed.panels(dashboard):
        texts = panel.get("description", "").split("\n\n")
        if len(texts) != 3 or not texts[1].startswith("**Normal:** ") or not texts[2].startswith("**Otherwise:** "):
            found.append(f"{named(panel)}: description")
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        if unit not in UNITS and not re.fullmatch(r"(suffix|prefix):\S.*", unit):
            found.append(f"{named(panel)}: unit {unit!r}")
        sources = [panel.get("datasource"), *(target.get("datasource") for target in panel["targets"])]
        if any(source != {"type": "prometheus", "uid": "${datasource}"} for source in sources):
            found.append(f"{named(panel)}: data source")
        if not panel["targets"] or titles.count(panel["title"]) > 1 or not panel["title"]:
            found.append(f"{named(panel)}: targets or title")
    return found


def invalid_queries(dashboard: dict[str, Any]) -> list[str]:
    """Return the queries, annotations and variables that do not parse, or that name an unknown metric, label or variable."""
    values = committed.defaults(dashboard)
    texts = [(named(panel), target["expr"]) for panel in committed.panels(dashboard) for target in panel["targets"]]
    texts += [(annotation["name"], annotation["expr"]) for annotation in dashboard["annotations"]["list"]]
    found = []
    for name, text in texts:
        try:
            promql.labels(committed.replaced(text, values), promql.known())
        except (ValueError, KeyError) as error:
            found.append(f"{name}: {error}: {text}")
    return found


def unknown_legends(dashboard: dict[str, Any]) -> list[str]:
    """Return the legends that show a label which the result of the query lacks."""
    values = committed.defaults(dashboard)
    return [
        f"{named(panel)}: {label}"
        for panel in committed.panels(dashboard)
        for target in panel["targets"]
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"])
        if label not in promql.labels(committed.replaced(target["expr"], values), promql.known())
    ]


def unused_variables(dashboard: dict[str, Any]) -> set[str]:
    """Return the variables that no query of the dashboard uses."""
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = re.findall(r"\$\{?(\w+)", json.dumps(dashboard["panels"]))
    return names - {*used} - {"runbooks"}


def broken_links(dashboard: dict[str, Any]) -> list[str]:
    """Return the links that lead to a dashboard or a runbook which does not exist, or that lose time and variables."""
    addresses = re.findall(r'"url": "([^"]+)"', json.dumps(dashboard))
    found = []
    for address in filter(None, addresses):
        if uid := re.fullmatch(rf"/d/([\w-]+)\?{KEPT}", address):
            found += [address] * (uid[1] not in UIDS)
        elif page := re.fullmatch(r"\$\{runbooks\}/(.+\.md)", address):
            found += [address] * (page[1] != "${__value.raw}.md" and not (RUNBOOKS / page[1]).exists())
        else:
            found.append(address)
    return found


CHECKS: list[Callable[[dict[str, Any]], Any]] = [
    overlaps, repeated_ids, incomplete, invalid_queries, unknown_legends, unused_variables, broken_links,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("uid", UIDS)
def test_dashboard_is_valid(uid: str, check: Callable[[dict[str, Any]], Any]) -> None:
    """No check has a finding."""
    found = check(committed.dashboards()[uid])
    assert not found, found


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.uid)
def test_json_is_that_of_the_code(screen: Screen) -> None:
    """The committed JSON is what the code generates. `make docs` writes it."""
    assert (FOLDER / f"{screen.uid}.json").read_text(encoding="utf-8") == screen.text()


def test_only_generated_files_are_committed() -> None:
    """Each file has a dashboard, and each uid is used once."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(UIDS)
    assert len({*UIDS}) == len(UIDS)


@pytest.mark.parametrize("uid", UIDS)
def test_json_fits_the_types_of_the_sdk(uid: str) -> None:
    """Reading the JSON into the SDK's types loses nothing, so Grafana knows each key."""
    dashboard = committed.dashboards()[uid]
    for annotation in dashboard["annotations"]["list"]:
        assert annotation["target"]["expr"] == annotation["expr"]
        for key in ANNOTATION_KEYS:
            del annotation[key]
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    assert again == dashboard


def test_every_metric_has_a_panel() -> None:
    """Each metric of Takk is in a query, so a new metric gets its panel with it. A recording rule counts for its metrics."""
    recorded = {rule["record"]: rule["expr"] for rule in promql.rules() if "record" in rule}
    used, left = set[str](), {query.expression for query in committed.panel_queries()}
    while left:
        found = {name for expression in left for name in promql.metric_names(expression)} - used
        used |= found
        left = {recorded[name] for name in found if name in recorded}
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in used} | used
    assert [metric._name for metric in metrics.ALL if metric._name not in families] == []


def test_every_alert_has_a_panel() -> None:
    """Each alert's runbook is linked from a panel, so the reader of a dashboard finds it before the alert fires."""
    linked = {*re.findall(r"\$\{runbooks\}/(\w+)\.md", json.dumps(committed.dashboards()))}
    assert {rule["alert"] for rule in promql.rules() if "alert" in rule} - linked == set()


def test_links_list_all_dashboards() -> None:
    """Each dashboard has the tag by which the links at the top find it, and they keep time and variables."""
    for dashboard in committed.dashboards().values():
        (link,) = dashboard["links"]
        assert link["tags"] == dashboard["tags"]
        assert (link["type"], link["keepTime"], link["includeVars"]) == ("dashboards", True, True)


def test_the_readme_lists_all_dashboards() -> None:
    """The table of deploy/README.md has a row for each dashboard, in the order of the code."""
    section = (PROJECT_ROOT / "deploy" / "README.md").read_text().partition("## Dashboards\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\w[\w ]+) \|", section, re.M)[1:] == [screen.title for screen in SCREENS]


def test_provisioning_reads_the_dashboards() -> None:
    """Grafana's provisioning has one Prometheus, with the uid that the dashboards select, and one folder of dashboards."""
    (source,) = yaml.load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(), yaml.CSafeLoader)[
        "datasources"
    ]
    assert (source["type"], source["uid"], source["isDefault"]) == ("prometheus", "prometheus", True)
    (provider,) = yaml.load((GRAFANA / "provisioning/dashboards/takk.yml").read_text(), yaml.CSafeLoader)["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_grafana_serves_the_runbooks() -> None:
    """Compose mounts the runbooks into the folder that Grafana serves, at the address of the links."""
    service = yaml.load((PROJECT_ROOT / "docker-compose.yml").read_text(), yaml.CSafeLoader)["services"]["grafana"]
    assert f"./deploy/runbooks:/usr/share/grafana{LINKED_RUNBOOKS}:ro" in service["volumes"]


def test_revenue_is_in_units_of_its_currency(tmp_path: Path) -> None:
    """A panel shows 60 kroner for 6,000 øre, 6,000 yen for 6,000 yen, and 6 dinars for 6,000 fils; it adds up no two currencies."""
    revenues = {"NOK": 60, "JPY": 6000, "KWD": 6, "CLF": 0.6}
    names = ("takk_attributed_revenue_minor_total", "takk_attributed_message_revenue_minor_total")
    labels = 'shop="s",flow="f",message="m"'
    series = [f'{name}{{{labels},currency="{currency}"}}' for name in names for currency in revenues]
    queries = {query.expression for query in committed.panel_queries() if "_revenue_minor_total" in query.expression}
    assert len(queries) == len(names)
    by = {query: 'flow="f",message="m",' if "message" in query else "" for query in queries}
    test = {
        "interval": "1m",
        "input_series": [{"series": each, "values": "0+100x60"} for each in series],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": "1h",
                "exp_samples": [
                    {"labels": f'{{{kept}currency="{currency}"}}', "value": value}
                    for currency, value in revenues.items()
                ],
            }
            for query, kept in by.items()
        ],
    }
    path = tmp_path / "revenue.yml"
    path.write_text(yaml.safe_dump({"tests": [test]}), encoding="utf-8")
    program = require_program("promtool", "prometheus")
    run = subprocess.run([program, "test", "rules", path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


# -- each check can fail -----------------------------------------------------------------------------------------------


ABOUT = parts.About("It shows a value.", "0.", "Look.")


def planted(**changes: Any) -> dict[str, Any]:
    """Return the JSON of a valid dashboard with two panels, the first changed by `changes`."""
    first = {"title": "One", "size": parts.Size(12, 4), "about": ABOUT, "unit": "none", "query": "up", **changes}
    one = parts.graph(first["title"], first["size"], first["about"], first["unit"], parts.Query(first["query"], first.get("legend", "")))  # fmt: skip
    two = parts.number("Two", parts.Size(12, 4), ABOUT, "s", parts.Query('takk_timers_fired_total{shop=~"$shop"}'))
    return json.loads(Screen("takk-planted", "Planted", "", [Row("", [one, two])], variables=("shop",)).text())


def test_a_valid_dashboard_has_no_finding() -> None:
    """The dashboard that the next tests damage is valid."""
    assert [found for check in CHECKS if (found := check(planted()))] == []


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        (incomplete, {"unit": "fortnights"}),
        (incomplete, {"unit": ""}),
        (incomplete, {"title": "Two"}),
        (invalid_queries, {"query": "sum("}),
        (invalid_queries, {"query": "takk_timers_total"}),
        (invalid_queries, {"query": "takk_timers_pending{stage='flows'}"}),
        (invalid_queries, {"query": "sum by (flow) (takk_timers_pending)"}),
        (invalid_queries, {"query": "histogram_quantile(0.9, takk_timers_pending)"}),
        (invalid_queries, {"query": "takk_mails_total / on (stage) takk_mails_total"}),
        (invalid_queries, {"query": "rate(takk_mails_total{flow=~'$flow'}[5m])"}),
        (unknown_legends, {"legend": "{{flow}}"}),
        (broken_links, {"about": parts.About("a", "b", "c", see="takk-elsewhere")}),
        (broken_links, {"about": parts.About("a", "b", "c", ("TakkAllIsWell",))}),
    ],
)
def test_a_fault_is_found(check: Callable[[dict[str, Any]], Any], changes: dict[str, Any]) -> None:
    """Each check finds a planted fault."""
    assert check(planted(**changes))


def test_a_damaged_layout_is_found() -> None:
    """Overlapping panels, repeated ids, other data sources, short descriptions and unused variables are found."""
    dashboard = planted()
    dashboard["panels"][1]["gridPos"]["x"] = 11
    assert overlaps(dashboard) == ["1 One / 2 Two"]
    dashboard["panels"][1]["gridPos"]["x"] = 13
    assert overlaps(dashboard) == ["2 Two is too wide"]
    dashboard["panels"][1]["id"] = 1
    assert repeated_ids(dashboard) == [1]
    dashboard["panels"][0]["datasource"]["uid"] = "prometheus"
    dashboard["panels"][1]["description"] = "It shows a value."
    assert len(incomplete(dashboard)) == 2
    dashboard["panels"][1]["targets"][0]["expr"] = "up"
    assert unused_variables(dashboard) == {"shop", "datasource"} - {"datasource"}


@pytest.mark.parametrize("width", [11, 13])
def test_an_uneven_line_is_refused(width: int) -> None:
    """Panels that do not fill a line of 24 columns are an error of the code."""
    with pytest.raises(ValueError, match="line"):
        planted(size=parts.Size(width, 4))
