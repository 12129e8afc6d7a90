"""Graphs over time as SVG: lines, stacked areas and bars with axes and a legend, and state timelines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from tests.harness.pictures.axes import (
    AXIS,
    CHARACTER,
    GRID,
    MARGIN,
    TEXT,
    TIME_AXIS,
    WEAK,
    Box,
    Window,
    draw_label,
    draw_time_axis,
    x_of,
)
from tests.harness.pictures.fields import Field, Json, css_color, reduce_points
from tests.harness.prometheus import Series

#: Heights in pixels: a row of the legend, a row of a state timeline at most.
LEGEND_ROW, STATE_ROW = 20.0, 34.0
#: The legend takes at most this share of a panel's height.
LEGEND_SHARE = 0.45
_CALCULATIONS = {"lastNotNull": "Last *", "last": "Last", "mean": "Mean", "max": "Max", "min": "Min", "sum": "Total"}


def draw_graph(panel: Json, fields: Sequence[Field], window: Window, width: float, height: float) -> str:
    """Return a time series panel as SVG of `width` by `height` pixels."""
    legend, legend_height = _draw_legend(panel, fields, width, height)
    box = Box(AXIS, 8, width - AXIS - MARGIN, height - legend_height - TIME_AXIS - 8)
    low, high, ticks = _value_axis(fields, _is_stacked(fields))

    def y_of(value: float) -> float:
        return box.bottom - (min(max(value, low), high) - low) / (high - low) * box.height

    parts = [draw_time_axis(box, window)]
    for tick in ticks:
        y = y_of(tick)
        label = fields[0].text(tick) if fields else f"{tick:g}"
        parts.append(f'<line x1="{box.left}" x2="{box.left + box.width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(draw_label(box.left - 6, y + 4, label, WEAK, "end"))
    below: dict[float, float] = {}
    for field in fields:
        shown, base = field, None
        if _stacking(field):
            base = dict(below)
            for at, value in field.series.points:
                below[at] = below.get(at, 0.0) + (0.0 if math.isnan(value) else value)
            points = tuple((at, below[at]) for at, _ in field.series.points)
            shown = replace(field, series=Series(field.series.labels, points))
        parts.append(_draw_series(shown, base, box, window, y_of(max(low, 0.0)), y_of))
    parts += _threshold_lines(fields, box, y_of, low, high)
    if not fields:
        parts.append(draw_label(box.left + box.width / 2, box.top + box.height / 2, "No data", WEAK, "middle", 16))
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}{legend}</svg>'


def draw_states(fields: Sequence[Field], window: Window, width: float, height: float) -> str:
    """Return a state timeline as SVG: one row per series, one colored segment per state."""
    if not fields:
        return f'<svg width="{width:.0f}" height="{height:.0f}">{draw_label(width / 2, height / 2, "No data", WEAK, "middle", 16)}</svg>'
    names = min(max(len(field.name) for field in fields) * CHARACTER + 14, width / 3)
    box = Box(names, 4, width - names - MARGIN, height - TIME_AXIS - 8)
    row = min(box.height / len(fields), STATE_ROW)
    parts = [draw_time_axis(box, window)]
    for number, field in enumerate(fields):
        top = box.top + number * row
        parts.append(draw_label(names - 8, top + row / 2 + 4, field.name, TEXT, "end"))
        for (start, value), (end, _) in pairwise([*field.series.points, (window.end, 0.0)]):
            left, right = x_of(start, box, window), x_of(min(end, start + 2 * window.step_s), box, window)
            color = "transparent" if math.isnan(value) else field.value_color(value)
            parts.append(
                f'<rect x="{left:.1f}" y="{top + 2:.1f}" width="{max(right - left, 1) + 0.4:.1f}" height="{row - 4:.1f}" fill="{color}"/>'
            )
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def draw_spark(field: Field, window: Window, width: float, height: float, color: str) -> str:
    """Return the course of a series as an area without axes."""
    values = [value for _, value in field.series.points if math.isfinite(value)]
    if len(values) < 2:
        return ""
    low, high = min(*values, 0.0), max(values)
    span = (high - low) or 1.0
    box = Box(0, 2, width, height - 2)
    dots = [
        f"{x_of(at, box, window):.1f},{box.bottom - (value - low) / span * box.height:.1f}"
        for at, value in field.series.points
        if math.isfinite(value)
    ]
    first, last = dots[0].partition(",")[0], dots[-1].partition(",")[0]
    area = f"{first},{box.bottom} {' '.join(dots)} {last},{box.bottom}"
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}"><polygon points="{area}" fill="{color}" opacity="0.25"/>'
        f'<polyline points="{" ".join(dots)}" fill="none" stroke="{color}" opacity="0.8"/></svg>'
    )


def _draw_series(
    field: Field, base: dict[float, float] | None, box: Box, window: Window, zero_y: float, y_of: object
) -> str:
    assert callable(y_of)
    dash = (field.settings.get("custom.lineStyle") or {}).get("dash")
    style = f' stroke-dasharray="{" ".join(map(str, dash))}"' if dash else ""
    opacity = (field.settings.get("custom.fillOpacity") or 0) / 100
    is_bars = field.settings.get("custom.drawStyle") == "bars"
    parts: list[str] = []
    for run in _runs(field.series, window):
        dots = [(x_of(at, box, window), float(y_of(value))) for at, value in run]
        floor = [(x_of(at, box, window), float(y_of(base[at])) if base and at in base else zero_y) for at, _ in run]
        if is_bars:
            bar = max(box.width * window.step_s / (window.end - window.start) * 0.8, 1.0)
            parts += [
                f'<rect x="{x - bar / 2:.1f}" y="{min(y, below):.1f}" width="{bar:.1f}" height="{abs(below - y):.1f}" '
                f'fill="{field.color}" fill-opacity="{opacity}"/>'
                for (x, y), (_, below) in zip(dots, floor, strict=True)
            ]
            continue
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        if len(dots) == 1:
            parts.append(f'<circle cx="{dots[0][0]:.1f}" cy="{dots[0][1]:.1f}" r="2" fill="{field.color}"/>')
        if opacity:
            back = " ".join(f"{x:.1f},{y:.1f}" for x, y in reversed(floor))
            parts.append(f'<polygon points="{line} {back}" fill="{field.color}" fill-opacity="{opacity}"/>')
        line_width = field.settings.get("custom.lineWidth", 1) or 0
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{field.color}" stroke-width="{line_width * 1.3}"{style}/>'
        )
    return "".join(parts)


def _runs(series: Series, window: Window) -> list[list[tuple[float, float]]]:
    """Return the points without gaps: a gap is longer than two steps, or a value that is not a number."""
    runs: list[list[tuple[float, float]]] = []
    last = -math.inf
    for at, value in series.points:
        if not math.isfinite(value):
            continue
        if at - last > 2 * window.step_s:
            runs.append([])
        runs[-1].append((at, value))
        last = at
    return runs


def _value_axis(fields: Sequence[Field], is_stacked: bool) -> tuple[float, float, list[float]]:
    """Return the lower and the upper end of the axis, and its ticks."""
    sums: dict[float, float] = {}
    values = [0.0] if any(field.settings.get("custom.axisSoftMin") == 0 for field in fields) else []
    for field in fields:
        for at, value in field.series.points:
            if math.isfinite(value):
                sums[at] = sums.get(at, 0.0) + value
                values.append(value)
    if is_stacked:
        values += sums.values()
    ends = [field.settings.get(end) for field in fields[:1] for end in ("min", "max")] or [None, None]
    low = float(ends[0]) if ends[0] is not None else min(values, default=0.0)
    high = float(ends[1]) if ends[1] is not None else max(values, default=1.0)
    if high <= low:
        low, high = (0.0, 1.0) if low == 0 else (min(low, 0.0), low + abs(low) * 0.5)
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (step * factor) <= 5)
    high = high if ends[1] is not None else step * math.ceil(high / step - 1e-9)
    low = low if ends[0] is not None else step * math.floor(low / step + 1e-9)
    count = round((high - low) / step)
    return low, high, [low + step * number for number in range(count + 1)]


def _threshold_lines(fields: Sequence[Field], box: Box, y_of: object, low: float, high: float) -> list[str]:
    assert callable(y_of)
    settings = fields[0].settings if fields else {}
    style = (settings.get("custom.thresholdsStyle") or {}).get("mode", "off")
    if style == "off":
        return []
    steps = [step for step in (settings.get("thresholds") or {}).get("steps", []) if step.get("value") is not None]
    return [
        f'<line x1="{box.left}" x2="{box.left + box.width}" y1="{y_of(step["value"]):.1f}" y2="{y_of(step["value"]):.1f}" '
        f'stroke="{css_color(step["color"])}" stroke-dasharray="8 6" opacity="0.8"/>'
        for step in steps
        if low <= step["value"] <= high
    ]


def _draw_legend(panel: Json, fields: Sequence[Field], width: float, height: float) -> tuple[str, float]:
    """Return the legend as SVG, and its height in pixels."""
    legend = (panel.get("options") or {}).get("legend") or {}
    if legend.get("displayMode") == "hidden" or legend.get("showLegend") is False or not fields:
        return "", 0.0
    calculations = [name for name in legend.get("calcs") or [] if name in _CALCULATIONS]
    if legend.get("displayMode") == "table":
        return _table_legend(fields, calculations, width, height)
    places: list[tuple[float, int, Field, str]] = []
    x, line = 10.0, 0
    for field in fields:
        values = "  ".join(
            f"{_CALCULATIONS[name]}: {field.text(reduce_points(field.series.points, name))}" for name in calculations
        )
        label = f"{field.name}  {values}".strip()
        needed = len(label) * CHARACTER + 34
        if x + needed > width and x > 10:
            x, line = 10.0, line + 1
        places.append((x, line, field, label))
        x += needed
    count = min(line + 1, max(1, int(height * LEGEND_SHARE / LEGEND_ROW)))
    top = height - count * LEGEND_ROW
    text = "".join(
        _swatch(x, top + line * LEGEND_ROW + 8, field.color)
        + draw_label(x + 20, top + line * LEGEND_ROW + 13, label, TEXT)
        for x, line, field, label in places
        if line < count
    )
    return text, count * LEGEND_ROW


def _table_legend(
    fields: Sequence[Field], calculations: Sequence[str], width: float, height: float
) -> tuple[str, float]:
    most = max(2, int(height * LEGEND_SHARE / LEGEND_ROW) - 1)
    shown = fields if len(fields) <= most else fields[: most - 1]
    top = height - (len(shown) + 1 + (len(shown) < len(fields))) * LEGEND_ROW
    columns = [width - 14 - 92 * number for number in range(len(calculations))][::-1]
    parts = [
        draw_label(x, top + 13, _CALCULATIONS[name], "#6e9fff", "end")
        for x, name in zip(columns, calculations, strict=True)
    ]
    for number, field in enumerate(shown, 1):
        y = top + number * LEGEND_ROW
        parts.append(_swatch(10, y + 8, field.color) + draw_label(30, y + 13, field.name, TEXT))
        parts += [
            draw_label(x, y + 13, field.text(reduce_points(field.series.points, name)), TEXT, "end")
            for x, name in zip(columns, calculations, strict=True)
        ]
    if len(shown) < len(fields):
        y = top + (len(shown) + 1) * LEGEND_ROW + 13
        parts.append(draw_label(30, y, f"and {len(fields) - len(shown)} more (Grafana scrolls here)", WEAK))
    return "".join(parts), height - top + 4


def _is_stacked(fields: Sequence[Field]) -> bool:
    return any(_stacking(field) for field in fields)


def _stacking(field: Field) -> bool:
    return (field.settings.get("custom.stacking") or {}).get("mode", "none") in ("normal", "percent")


def _swatch(x: float, y: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="14" height="4" rx="2" fill="{color}"/>'
