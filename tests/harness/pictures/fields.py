"""The fields of a panel: the name, the settings and the color of each series, as Grafana derives them from the panel's JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.harness.pictures.units import format_value
from tests.harness.prometheus import Series

Json: TypeAlias = Mapping[str, Any]

#: Grafana's colors with names, on its dark theme.
COLORS = {
    "green": "#73bf69", "dark-green": "#37872d", "semi-dark-green": "#56a64b", "light-green": "#96d98d", "super-light-green": "#c8f2c2",
    "yellow": "#fade2a", "dark-yellow": "#e0b400", "semi-dark-yellow": "#f2cc0c", "light-yellow": "#ffee52",
    "orange": "#ff9830", "dark-orange": "#fa6400", "semi-dark-orange": "#ff780a", "light-orange": "#ffb357",
    "red": "#f2495c", "dark-red": "#c4162a", "semi-dark-red": "#e02f44", "light-red": "#ff7383",
    "blue": "#5794f2", "dark-blue": "#1f60c4", "semi-dark-blue": "#3274d9", "light-blue": "#8ab8ff", "super-light-blue": "#c0d8ff",
    "purple": "#b877d9", "dark-purple": "#8f3bb8", "semi-dark-purple": "#a352cc", "light-purple": "#ca95e5",
    "text": "#ccccdc", "gray": "#8e8e8e", "transparent": "transparent",
}  # fmt: skip
#: Its classic palette, for series without a color of their own.
PALETTE = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a",
    "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477", "#b7dbab", "#f4d598", "#70dbed", "#f9ba8f",
)  # fmt: skip
_LABEL = re.compile(r"{{\s*(\w+)\s*}}")


@dataclass(frozen=True)
class Field:
    """A series of a panel.

    Attributes:
        name: its display name.
        series: its labels and points.
        settings: by id, like `unit` and `custom.fillOpacity`: the panel's defaults, changed by the overrides that match.
        color: its color in a graph, as CSS.
    """

    name: str
    series: Series
    settings: Json
    color: str

    def text(self, value: float) -> str:
        """Return a value as the panel shows it: the text of a mapping, or a number with its unit."""
        mapping = _mapping(self.settings, value)
        if mapping is not None and mapping.get("text"):
            return str(mapping["text"])
        if math.isnan(value) and self.settings.get("noValue"):
            return str(self.settings["noValue"])
        return format_value(value, self.settings.get("unit") or "", self.settings.get("decimals"))

    def value_color(self, value: float) -> str:
        """Return the color of a value: of a mapping, the fixed color, or that of its threshold."""
        mapping = _mapping(self.settings, value)
        if mapping is not None and mapping.get("color"):
            return css_color(mapping["color"])
        color = self.settings.get("color") or {}
        if color.get("mode") == "fixed":
            return css_color(color.get("fixedColor", "text"))
        return threshold_color(self.settings, value)


def fields_of(panel: Json, results: Sequence[tuple[Json, Sequence[Series]]]) -> list[Field]:
    """Return the fields of a panel; `results` has the series of each target."""
    found: list[Field] = []
    for target, many in results:
        for series in many:
            name = series_name(target, series.labels, panel)
            settings = field_settings(panel, name, target.get("refId", ""))
            name = settings.get("displayName") or name
            found.append(Field(name, series, settings, _series_color(settings, len(found))))
    return found


def series_name(target: Json, labels: Mapping[str, str], panel: Json) -> str:
    """Return the name of a series: its legend, or its labels."""
    legend = target.get("legendFormat") or ""
    if legend and legend != "__auto":
        return _LABEL.sub(lambda match: labels.get(match[1], ""), legend)
    rest = {name: value for name, value in labels.items() if name != "__name__"}
    if not rest:
        return str(labels.get("__name__") or (target.get("expr", "") if panel["type"] != "stat" else ""))
    if legend == "__auto" and len(rest) == 1:
        return next(iter(rest.values()))
    return labels.get("__name__", "") + "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(rest.items())) + "}"


def field_settings(panel: Json, name: str, ref_id: str = "") -> dict[str, Any]:
    """Return the settings of the field with this name."""
    config = panel.get("fieldConfig") or {}
    defaults = config.get("defaults") or {}
    settings = {key: value for key, value in defaults.items() if key != "custom"}
    settings |= {f"custom.{key}": value for key, value in (defaults.get("custom") or {}).items()}
    for override in config.get("overrides") or []:
        matcher = override["matcher"]
        options = matcher.get("options", "")
        is_match = {
            "byName": options == name,
            "byRegexp": isinstance(options, str) and re.search(options.strip("/"), name) is not None,
            "byFrameRefID": options == ref_id,
        }.get(matcher["id"], False)
        if is_match:
            settings |= {change["id"]: change.get("value") for change in override["properties"]}
    return settings


def css_color(name: str) -> str:
    """Return a color of Grafana as CSS."""
    return COLORS.get(name, name)


def threshold_color(settings: Json, value: float) -> str:
    """Return the color of the highest threshold that `value` reaches."""
    thresholds = settings.get("thresholds") or {}
    steps = thresholds.get("steps") or [{"value": None, "color": "green"}]
    if thresholds.get("mode") == "percentage":
        low, high = settings.get("min") or 0.0, settings.get("max") or 100.0
        value = 100 * (value - low) / (high - low)
    if math.isnan(value):
        return css_color(steps[0]["color"])
    reached = [step for step in steps if step.get("value") is None or value >= step["value"]]
    return css_color((reached or steps)[-1]["color"])


def reduce_points(points: Sequence[tuple[float, float]], calculation: str) -> float:
    """Return one value for a series, by the name of a calculation of Grafana; NaN without values."""
    values = [value for _, value in points if not math.isnan(value)]
    if not values:
        return math.nan
    results = {
        "lastNotNull": values[-1],
        "last": values[-1],
        "firstNotNull": values[0],
        "first": values[0],
        "mean": sum(values) / len(values),
        "max": max(values),
        "min": min(values),
        "sum": sum(values),
        "count": float(len(values)),
        "range": max(values) - min(values),
        "delta": values[-1] - values[0],
        "diff": values[-1] - values[0],
    }
    return results[calculation]


def _series_color(settings: Json, index: int) -> str:
    color = settings.get("color") or {}
    if color.get("mode") == "fixed":
        return css_color(color.get("fixedColor", "text"))
    return PALETTE[index % len(PALETTE)]


def mapped_text(settings: Json, text: str) -> str:
    """Return the text that a value mapping has for a text, or the text itself."""
    for mapping in settings.get("mappings") or []:
        if mapping["type"] == "value" and text in mapping["options"]:
            return str(mapping["options"][text].get("text") or text)
    return text


def _mapping(settings: Json, value: float) -> Json | None:
    """Return the result of the first value mapping that matches."""
    for mapping in settings.get("mappings") or []:
        options = mapping["options"]
        if mapping["type"] == "value":
            key = f"{value:g}"
            if key in options:
                found: Json = options[key]
                return found
        elif mapping["type"] == "range":
            low, high = options.get("from"), options.get("to")
            if (low is None or value >= low) and (high is None or value <= high):
                return dict(options["result"])
        elif mapping["type"] == "special" and options["match"] in ("nan", "null", "null+nan") and math.isnan(value):
            return dict(options["result"])
    return None
