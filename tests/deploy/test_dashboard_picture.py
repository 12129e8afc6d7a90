"""The pictures of dashboards that developers draw without Grafana."""

from __future__ import annotations

from html import escape

import pytest

from tests.harness.dashboard_picture import draw_dashboard
from tests.harness.dashboards import dashboards, panels
from tests.harness.pictures.units import format_value
from tests.harness.prometheus import PrometheusApi, Series

LABELS = {
    "stage": "flows",
    "flow": "review",
    "outcome": "sent",
    "instance": "worker-1:8080",
    "le": "0.5",
    "partition": "3",
}


class FakePrometheus(PrometheusApi):
    """Answers every query with the same two series."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return one point of each series."""
        return [Series(LABELS, ((100.0, 2.0),)), Series({**LABELS, "le": "+Inf"}, ((100.0, float("nan")),))]

    def query_range(self, expression: str, start: float, end: float, step_s: float) -> list[Series]:
        """Return a rising and a constant series, with a gap."""
        times = [start + step_s * number for number in range(9) if number != 4]
        return [
            Series(LABELS, tuple((at, at - start) for at in times)),
            Series({**LABELS, "le": "+Inf"}, tuple((at, 100.0) for at in times)),
        ]


@pytest.mark.parametrize("uid", sorted(dashboards()))
def test_every_panel_is_drawn(uid: str) -> None:
    """Each panel of a dashboard is on its picture, and its type is known."""
    dashboard = dashboards()[uid]
    page = draw_dashboard(dashboard, FakePrometheus(), 15.0, {}, 1_000_000.0)
    assert 'class="error"' not in page
    assert [panel["title"] for panel in panels(dashboard) if f"{escape(panel['title'])}<" not in page] == []


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.617, "percentunit", None, "61.7%"),
        (0.6168, "percentunit", 2, "61.68%"),
        (0.0042, "s", None, "4.2 ms"),
        (90.0, "s", None, "1.5 mins"),
        (0.0, "s", None, "0 s"),
        (1536.0, "bytes", None, "1.5 KiB"),
        (12_345.0, "short", None, "12.3 K"),
        (18_829.0, "locale", None, "18,829"),
        (3.0, "suffix: ×", 1, "3.0 ×"),
        (1.0, "bool_yes_no", None, "Yes"),
        (float("nan"), "s", None, "NaN"),
    ],
)
def test_values_have_the_units_of_grafana(value: float, unit: str, decimals: int | None, text: str) -> None:
    """A value is written with the unit that Grafana shows for the id."""
    assert format_value(value, unit, decimals) == text
