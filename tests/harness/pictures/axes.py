"""The time range, the axis of time and the labels of graphs as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

#: Widths in pixels: one character of a label, the axis of values, the margin at the right.
CHARACTER, AXIS, MARGIN = 6.6, 66.0, 12.0
#: Height of the axis of time in pixels.
TIME_AXIS = 22.0
GRID, TEXT, WEAK = "#2c3038", "#ccccdc", "#9fa0a9"


@dataclass(frozen=True)
class Window:
    """The time range of a picture.

    Attributes:
        start, end: Unix times in seconds.
        step_s: seconds between two points.
    """

    start: float
    end: float
    step_s: float


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height


def draw_time_axis(box: Box, window: Window) -> str:
    span = window.end - window.start
    step = next(
        (step for step in (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600) if span / step <= box.width / 90), 86400
    )
    form = "%H:%M:%S" if step < 60 else "%H:%M"
    parts = []
    at = math.ceil(window.start / step) * step
    while at <= window.end:
        x = x_of(at, box, window)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{box.top}" y2="{box.bottom:.1f}" stroke="{GRID}"/>')
        parts.append(draw_label(x, box.bottom + 15, datetime.fromtimestamp(at, UTC).strftime(form), WEAK, "middle"))
        at += step
    return "".join(parts)


def x_of(at: float, box: Box, window: Window) -> float:
    return box.left + (at - window.start) / (window.end - window.start) * box.width


def draw_label(x: float, y: float, text: str, color: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
    )
