"""Draw a dashboard without Grafana: its JSON and the data of a Prometheus as an HTML page and a PNG.

    python -m tests.harness.dashboard_picture --prometheus http://127.0.0.1:9090 \
        --dashboard deploy/grafana/dashboards/takk-overview.json --out overview.png

It is for developers, and for machines without Grafana. Chromium makes the PNG; the HTML page is beside it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import click

from tests.harness.dashboards import defaults, replaced
from tests.harness.pictures.axes import Window
from tests.harness.pictures.fields import Json, fields_of
from tests.harness.pictures.graphs import draw_graph, draw_states
from tests.harness.pictures.heatmap import draw_heatmap
from tests.harness.pictures.panels import draw_bars, draw_gauges, draw_numbers, draw_table, draw_text
from tests.harness.prometheus import PrometheusApi, QueryError, Series

#: Grafana's grid in pixels: the width of the page, its columns, the height of a row, the gap between panels, the height of a title.
PAGE_WIDTH, COLUMNS, ROW, GAP, TITLE = 1920, 24, 30, 8, 32
HEADER, MARGIN = 64, 16
#: Points of a graph at most, as wide as its panel in Grafana.
POINTS = 300
CHROMIUM_S = 120
#: Panels with the newest value only.
INSTANT = ("table", "bargauge", "gauge")

STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 13px Inter, "Helvetica Neue", Arial, sans-serif; position: relative }
header { position: absolute; left: 16px; top: 14px; font-size: 20px } header small { color: #9fa0a9; font-size: 13px; margin-left: 14px }
section { position: absolute; background: #181b1f; border: 1px solid #25282e; border-radius: 3px; overflow: hidden }
section > h2 { margin: 0; padding: 8px 10px 0; font: 500 14px Inter, Arial, sans-serif; height: 24px; white-space: nowrap; overflow: hidden }
section > h2 small { color: #6e9fff; font-size: 11px; margin-left: 8px }
rect { shape-rendering: crispEdges }
.row { position: absolute; font-size: 16px; padding: 6px 4px } .body { position: absolute; top: 32px; left: 0; right: 0; bottom: 0 }
.empty { display: flex; height: 90%; align-items: center; justify-content: center; color: #9fa0a9; font-size: 16px }
.error { padding: 10px; color: #ff7383; font-family: monospace; white-space: pre-wrap }
.stats { display: flex; height: 100% } .stat { margin: 2px; border-radius: 3px; display: flex; flex-direction: column; align-items: center;
  justify-content: center; position: relative; overflow: hidden; font-weight: 500; text-align: center }
.stat .spark { position: absolute; left: 0; right: 0; bottom: 0; height: 45% }
.bar { display: flex; align-items: center; padding: 2px 8px } .bar span { text-align: right; padding-right: 10px; white-space: nowrap;
  overflow: hidden } .bar i { background: #22252b; display: block } .bar b { display: block; height: 100% }
.bar em { font-style: normal; padding-left: 8px; white-space: nowrap }
table { border-collapse: collapse; width: 100% } th { color: #6e9fff; font-weight: 500; text-align: left } th, td { padding: 5px 10px;
  border-bottom: 1px solid #25282e; white-space: nowrap } .number { text-align: right } .text { padding: 4px 12px; white-space: pre-wrap }
"""


def draw_dashboard(
    dashboard: Json, prometheus: PrometheusApi, minutes: float, variables: Mapping[str, str], end: float | None = None
) -> str:
    """Return the dashboard as an HTML page.

    Args:
        dashboard: the JSON of Grafana.
        prometheus: answers the queries.
        minutes: the time range until `end`.
        variables: values of variables that replace the dashboard's defaults.
        end: Unix time in seconds; None: now.
    """
    end = time.time() if end is None else end
    window = Window(end - minutes * 60, end, max(1.0, minutes * 60 / POINTS))
    panels = list(all_panels(dashboard))
    known = {**defaults(dashboard), **built_in_values(window), **variables}
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda panel: draw_panel(panel, prometheus, window, known), panels))
    bottom = max((panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels), default=0)
    values = ", ".join(f"{name} = {value}" for name, value in variables.items())
    times = f"{datetime.fromtimestamp(window.start, UTC):%Y-%m-%d %H:%M:%S} to {datetime.fromtimestamp(end, UTC):%H:%M:%S} UTC"
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(dashboard["title"])}</title><style>{STYLE}</style>'
        f'<body style="width:{PAGE_WIDTH}px;height:{HEADER + bottom * (ROW + GAP) + MARGIN}px">'
        f"<header>{escape(dashboard['title'])}<small>{times}</small><small>{escape(values)}</small></header>{''.join(drawn)}"
    )


def all_panels(dashboard: Json) -> Iterable[Json]:
    """Yield the panels of a dashboard, with rows and the panels of collapsed rows."""
    for panel in dashboard.get("panels") or []:
        yield panel
        yield from panel.get("panels") or []


def draw_panel(panel: Json, prometheus: PrometheusApi, window: Window, variables: Mapping[str, str]) -> str:
    """Return one panel as HTML, placed on the page."""
    grid = panel["gridPos"]
    unit = (PAGE_WIDTH - 2 * MARGIN + GAP) / COLUMNS
    left, top = MARGIN + grid["x"] * unit, HEADER + grid["y"] * (ROW + GAP)
    width, height = grid["w"] * unit - GAP, grid["h"] * (ROW + GAP) - GAP
    place = f"left:{left:.0f}px;top:{top:.0f}px;width:{width:.0f}px;height:{height:.0f}px"
    if panel["type"] == "row":
        return f'<div class="row" style="{place}">▾ {escape(panel.get("title", ""))}</div>'
    try:
        body = _draw_body(panel, prometheus, window, variables, width - 2, height - TITLE - 2)
    except QueryError as error:
        body = f'<div class="error">{escape(str(error))}</div>'
    about = escape(panel.get("description") or "", quote=True)
    title = f'<h2 title="{about}">{escape(panel.get("title") or "")}{"<small>i</small>" if about else ""}</h2>'
    return f'<section style="{place}">{title}<div class="body">{body}</div></section>'


def _draw_body(
    panel: Json, prometheus: PrometheusApi, window: Window, variables: Mapping[str, str], width: float, height: float
) -> str:
    kind = panel["type"]
    if kind == "text":
        return draw_text(panel)
    results: list[tuple[Json, list[Series]]] = []
    for target in panel.get("targets") or []:
        expression = replaced(target["expr"], variables)
        if target.get("instant") or kind in INSTANT:
            results.append((target, prometheus.query(expression, window.end)))
        else:
            results.append((target, prometheus.query_range(expression, window.start, window.end, window.step_s)))
    if kind == "table":
        return draw_table(panel, results)
    fields = fields_of(panel, results)
    if kind == "stat":
        return draw_numbers(panel, fields, window, width, height)
    if kind == "bargauge":
        return draw_bars(panel, fields, width, height)
    if kind == "gauge":
        return draw_gauges(panel, fields, width, height)
    if kind == "state-timeline":
        return draw_states(fields, window, width, height)
    if kind == "heatmap":
        return draw_heatmap(panel, fields, window, width, height)
    if kind == "timeseries":
        return draw_graph(panel, fields, window, width, height)
    return f'<div class="error">panels of type {escape(kind)} are not drawn</div>'


def built_in_values(window: Window) -> dict[str, str]:
    """Return Grafana's own variables. The window of rates has four points at least, and fits scrapes of up to four seconds."""
    seconds = round(window.end - window.start)
    step_s = max(1, round(window.step_s))
    return {
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
        "__interval": f"{step_s}s",
        "__rate_interval": f"{max(15, 4 * step_s)}s",
    }


def write_png(page: Path, png: Path) -> None:
    """Write the HTML page as a PNG of its full height.

    Raises:
        FileNotFoundError: Chromium is not installed.
        subprocess.CalledProcessError: it failed.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("Chromium is not installed (on Debian and Ubuntu: apt-get install chromium)")
    height = re.search(r"height:(\d+)px", page.read_text(encoding="utf-8").partition("<body")[2])
    assert height is not None
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={PAGE_WIDTH},{height[1]}",
        f"--screenshot={png.resolve()}",
        page.resolve().as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=CHROMIUM_S)


@click.command()
@click.option("--prometheus", "url", required=True, help="Address of Prometheus, like http://127.0.0.1:9090.")
@click.option("--dashboard", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG. The HTML page is beside it.")
@click.option("--minutes", default=15.0, show_default=True, help="The time range.")
@click.option("--end", type=float, help="Unix time at which the time range ends. Default: now.")
@click.option("--var", "pairs", multiple=True, metavar="NAME=VALUE", help="Value of a variable. Repeatable.")
def main(url: str, dashboard: Path, out: Path, minutes: float, end: float | None, pairs: tuple[str, ...]) -> None:
    """Draw a dashboard as a PNG with the data of a Prometheus."""
    variables = dict(pair.split("=", 1) for pair in pairs)
    content: dict[str, Any] = json.loads(dashboard.read_text(encoding="utf-8"))
    page = out.with_suffix(".html")
    page.write_text(draw_dashboard(content, PrometheusApi(url), minutes, variables, end), encoding="utf-8")
    write_png(page, out)
    click.echo(str(out))


if __name__ == "__main__":
    main()
