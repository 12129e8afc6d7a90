"""Panels of one value per series as HTML: numbers, bars, gauges and tables; and texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from tests.harness.pictures.axes import Window
from tests.harness.pictures.fields import Field, Json, field_settings, mapped_text, reduce_points
from tests.harness.pictures.graphs import draw_spark
from tests.harness.prometheus import Series

NO_DATA = '<div class="empty">{}</div>'
#: A panel shows at most this many values. Grafana scrolls or shrinks them.
MOST_ROWS = 40
#: The radius of a gauge in pixels at most.
RADIUS = 90.0


def draw_numbers(panel: Json, fields: Sequence[Field], window: Window, width: float, height: float) -> str:
    """Return a stat panel: one large number per series, on the color of its threshold."""
    options = panel.get("options") or {}
    if not fields:
        return _no_data(panel)
    is_wide = width >= height
    cell_width, cell_height = (width / len(fields), height) if is_wide else (width, height / len(fields))
    cells = []
    for field in fields:
        value = _value(panel, field)
        color, text = field.value_color(value), field.text(value)
        mode = options.get("colorMode", "value")
        style = f"background:{color};color:#fff" if mode.startswith("background") else f"color:{color}"
        size = max(12.0, min(cell_height * 0.42, (cell_width - 24) / max(len(text), 3) * 1.7, 56))
        has_name = options.get("textMode") in ("value_and_name", "name") or (
            options.get("textMode", "auto") == "auto" and len(fields) > 1
        )
        name_size = max(9.0, min(14.0, cell_width / max(len(field.name), 1) * 1.6))
        name = f'<div style="font-size:{name_size:.0f}px">{escape(field.name)}</div>' if has_name else ""
        spark = ""
        if options.get("graphMode") == "area" and len(field.series.points) > 1:
            spark_color = "#ffffff" if mode.startswith("background") else color
            spark = f'<div class="spark">{draw_spark(field, window, cell_width, cell_height * 0.45, spark_color)}</div>'
        cells.append(
            f'<div class="stat" style="width:{cell_width - 4:.0f}px;height:{cell_height - 4:.0f}px;{style}">{spark}'
            f'{name}<div style="font-size:{size:.0f}px">{escape(text)}</div></div>'
        )
    return f'<div class="stats" style="flex-direction:{"row" if is_wide else "column"}">{"".join(cells)}</div>'


def draw_bars(panel: Json, fields: Sequence[Field], width: float, height: float) -> str:
    """Return a bar gauge: one horizontal bar per series."""
    if not fields:
        return _no_data(panel)
    values = [_value(panel, field) for field in fields]
    finite = [value for value in values if math.isfinite(value)]
    row = min(height / len(fields), 36.0)
    names = min(max(len(field.name) for field in fields) * 6.6 + 16, width / 2)
    rows = []
    for field, value in zip(fields, values, strict=True):
        high = float(field.settings.get("max") or max([*finite, 0.0])) or 1.0
        low = float(field.settings.get("min") or 0.0)
        share = 0.0 if math.isnan(value) else min(max((value - low) / (high - low), 0.0), 1.0)
        color = field.value_color(value)
        space = width - names - 100
        rows.append(
            f'<div class="bar" style="height:{row - 4:.0f}px"><span style="width:{names:.0f}px">{escape(field.name)}</span>'
            f'<i style="width:{space:.0f}px;height:{max(row - 8, 4):.0f}px"><b style="width:{share * space:.0f}px;background:{color}"></b></i>'
            f'<em style="color:{color}">{escape(field.text(value))}</em></div>'
        )
    return "".join(rows)


def draw_gauges(panel: Json, fields: Sequence[Field], width: float, height: float) -> str:
    """Return a gauge: one arc per series."""
    if not fields:
        return _no_data(panel)
    cells = []
    cell = width / len(fields)
    radius = max(20.0, min(cell / 2 - 12, height - 50, RADIUS))
    for field in fields:
        value = _value(panel, field)
        low, high = float(field.settings.get("min") or 0.0), float(field.settings.get("max") or 100.0)
        share = 0.0 if math.isnan(value) else min(max((value - low) / (high - low), 0.0), 1.0)
        middle = cell / 2

        def arc(part: float, color: str, middle: float = middle) -> str:
            x, y = middle - radius * math.cos(math.pi * part), radius + 10 - radius * math.sin(math.pi * part)
            path = f"M {middle - radius:.1f} {radius + 10:.1f} A {radius:.1f} {radius:.1f} 0 0 1 {x:.1f} {y:.1f}"
            return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{radius / 5:.0f}"/>'

        color = field.value_color(value)
        cells.append(
            f'<svg width="{cell:.0f}" height="{radius + 40:.0f}">{arc(1.0, "#2c3038")}{arc(share, color)}'
            f'<text x="{middle}" y="{radius + 8:.0f}" fill="{color}" font-size="{radius / 3:.0f}" text-anchor="middle">'
            f'{escape(field.text(value))}</text><text x="{middle}" y="{radius + 30:.0f}" fill="#ccccdc" font-size="12" '
            f'text-anchor="middle">{escape(field.name if len(fields) > 1 else "")}</text></svg>'
        )
    return f'<div class="stats">{"".join(cells)}</div>'


def draw_table(panel: Json, results: Sequence[tuple[Json, Sequence[Series]]]) -> str:
    """Return a table: one row per set of labels, with the newest value of each query."""
    columns, rows = _table(panel, results)
    if not rows:
        return _no_data(panel)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = []
    for row in rows[:MOST_ROWS]:
        cells = []
        for column in columns:
            value, settings = row.get(column, ""), field_settings(panel, column)
            if not isinstance(value, float):
                cells.append(f"<td>{escape(mapped_text(settings, str(value)))}</td>")
                continue
            field = Field(column, Series({}, ((0.0, value),)), settings, "")
            kind = (settings.get("custom.cellOptions") or {}).get("type", "auto")
            color = field.value_color(value)
            style = {"color-background": f"background:{color};color:#fff", "color-text": f"color:{color}"}.get(kind, "")
            cells.append(f'<td class="number" style="{style}">{escape(field.text(value))}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"


def draw_text(panel: Json) -> str:
    """Return a text panel, with its Markdown as plain text."""
    content = (panel.get("options") or {}).get("content", "")
    return f'<div class="text">{escape(content)}</div>'


def _table(panel: Json, results: Sequence[tuple[Json, Sequence[Series]]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and the rows of a table, after the transformations of the panel.

    Rows of several queries are one row if they have the same values of the labels that all queries have, as in Grafana's
    transformation `merge`.
    """
    rows: list[dict[str, Any]] = []
    columns: list[str] = []
    names_of = [{label for series in many for label in series.labels} for _, many in results if many]
    shared = set.intersection(*names_of) if names_of else set()
    for target, many in results:
        # As in Grafana: the value of a single query has no letter.
        name = f"Value #{target['refId']}" if len(results) > 1 else "Value"
        for series in many:
            new = {**series.labels, name: series.value}
            row = next((row for row in rows if _can_merge(row, new, shared)), None)
            if row is None:
                rows.append(new)
            else:
                row.update(new)
            columns += [column for column in new if column not in columns]
    for transformation in panel.get("transformations") or []:
        options = transformation.get("options") or {}
        if transformation["id"] == "filterFieldsByName":
            kept = (options.get("include") or {}).get("names")
            columns = [column for column in columns if kept is None or column in kept]
        elif transformation["id"] == "organize":
            hidden, order = options.get("excludeByName") or {}, options.get("indexByName") or {}
            columns = sorted((c for c in columns if not hidden.get(c)), key=lambda c: order.get(c, len(order)))
            names = options.get("renameByName") or {}
            rows = [{names.get(key) or key: value for key, value in row.items()} for row in rows]
            columns = [names.get(column) or column for column in columns]
    for sort in reversed((panel.get("options") or {}).get("sortBy") or []):
        column = sort["displayName"]
        known = [row for row in rows if column in row]
        known.sort(key=lambda row: row[column], reverse=bool(sort.get("desc")))
        rows = known + [row for row in rows if column not in row]
    return columns, rows


def _can_merge(row: Json, new: Json, shared: set[str]) -> bool:
    return all(row.get(name) == new.get(name) for name in shared) and all(
        row[name] == value for name, value in new.items() if name in row
    )


def _value(panel: Json, field: Field) -> float:
    calculations = ((panel.get("options") or {}).get("reduceOptions") or {}).get("calcs") or ["lastNotNull"]
    return reduce_points(field.series.points, calculations[0])


def _no_data(panel: Json) -> str:
    text = ((panel.get("fieldConfig") or {}).get("defaults") or {}).get("noValue") or "No data"
    return NO_DATA.format(escape(text))
