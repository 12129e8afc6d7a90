"""Heatmaps of histograms as SVG: one row per bucket, darker where more observations fell into it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.harness.pictures.axes import AXIS, MARGIN, TIME_AXIS, WEAK, Box, Window, draw_label, draw_time_axis, x_of
from tests.harness.pictures.fields import Field, Json
from tests.harness.pictures.units import format_value

#: The color of the fullest cell, and the exponent of Grafana's exponential scale.
COLOR, EXPONENT = "#ff9830", 0.5
#: Smallest height of a row that gets a label, in pixels.
LABELLED_ROW = 14.0


def draw_heatmap(panel: Json, fields: Sequence[Field], window: Window, width: float, height: float) -> str:
    """Return a heatmap of the cumulative buckets `fields`, as SVG of `width` by `height` pixels."""
    box = Box(AXIS, 8, width - AXIS - MARGIN, height - TIME_AXIS - 16)
    buckets = sorted(fields, key=lambda field: float(field.series.labels.get("le", "inf")))
    parts = [draw_time_axis(box, window)]
    if not buckets:
        parts.append(draw_label(box.left + box.width / 2, box.top + box.height / 2, "No data", WEAK, "middle", 16))
        return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'
    row = box.height / len(buckets)
    cell = max(box.width * window.step_s / (window.end - window.start), 1.0)
    counts = _counts(buckets)
    most = max((count for many in counts for count in many.values()), default=0.0) or 1.0
    unit = ((panel.get("options") or {}).get("yAxis") or {}).get("unit", "")
    every = max(1, round(LABELLED_ROW / row + 0.5))
    for number, (bucket, many) in enumerate(zip(buckets, counts, strict=True)):
        y = box.bottom - (number + 1) * row
        if number % every == 0:
            upper = format_value(float(bucket.series.labels.get("le", "inf")), unit)
            parts.append(draw_label(box.left - 6, y + row / 2 + 4, upper, WEAK, "end"))
        parts += [
            f'<rect x="{x_of(at, box, window):.1f}" y="{y:.1f}" width="{cell:.1f}" height="{max(row - 1, 1):.1f}" fill="{COLOR}" '
            f'fill-opacity="{(count / most) ** EXPONENT:.2f}"/>'
            for at, count in many.items()
            if count > 0
        ]
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def _counts(buckets: Sequence[Field]) -> list[dict[float, float]]:
    """Return the observations of each bucket alone, by time. Each bucket of Prometheus includes the lower ones."""
    below: dict[float, float] = {}
    counts = []
    for bucket in buckets:
        here = dict(bucket.series.points)
        counts.append({at: value - below.get(at, 0.0) for at, value in here.items()})
        below = here
    return counts
