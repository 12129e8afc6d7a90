"""Panels: one function per kind. Each panel has a description in three parts, a unit and the data source of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from grafana_foundation_sdk.builders import bargauge, common, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

from deploy.grafana.builder.colors import BLUE, COLORS, GREY, Steps, thresholds
from deploy.grafana.builder.links import dashboard_url, link, runbook_url

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Labels whose values are states with a color.
STATES: Final = ("outcome", "agent", "action")
Legend = Literal["list", "table", "none"]
_LEGENDS: Final[Mapping[Legend, shapes.LegendDisplayMode]] = {
    "list": shapes.LegendDisplayMode.LIST,
    "table": shapes.LegendDisplayMode.TABLE,
    "none": shapes.LegendDisplayMode.HIDDEN,
}
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class About:
    """The description of a panel.

    Attributes:
        shows: what the panel shows.
        normal: what it shows if all is well.
        action: what to do if it shows something else.
        runbooks: names of alerts whose runbooks the panel links to.
        see: the uid of the dashboard with the details.
    """

    shows: str
    normal: str
    action: str
    runbooks: tuple[str, ...] = ()
    see: str = ""

    def text(self) -> str:
        """Return the description as Markdown."""
        return f"{self.shows}\n\n**Normal:** {self.normal}\n\n**Otherwise:** {self.action}"


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes:
        expression: in PromQL.
        legend: the name of its series, with labels as `{{label}}`.
        instant: whether only the newest value is read.
    """

    expression: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True)
class Size:
    """Width and height of a panel on a grid of 24 columns."""

    width: int
    height: int


def graph(
    title: str,
    size: Size,
    about: About,
    unit: str,
    *queries: Query,
    stacked: bool = False,
    steps: Steps = (),
    maximum: float | None = None,
    legend: Legend = "list",
    dashed: Sequence[str] = (),
    missing: str = "",
) -> model.Panel:
    """Return a graph over time.

    Args:
        steps: drawn as dashed lines.
        legend: a list of names, a table with the newest value, mean and maximum, or none where there are many series.
        dashed: names of series that are drawn as dashed lines, such as objectives and benchmarks.
        missing: the text to show without any series.
    """
    options = common.VizLegendOptions().show_legend(legend != "none").placement(shapes.LegendPlacement.BOTTOM)
    options.display_mode(_LEGENDS[legend]).calcs(["lastNotNull", "mean", "max"] if legend == "table" else [])
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    builder = timeseries.Panel().legend(options).tooltip(tooltip)
    # The topmost series of a stack would draw its line along the total, even if it is 0.
    builder.line_width(0 if stacked else 1).fill_opacity(50 if stacked else 0).show_points(shapes.VisibilityMode.NEVER)
    builder.draw_style(shapes.GraphDrawStyle.LINE).axis_soft_min(0)
    if stacked:
        builder.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if steps:
        builder.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.DASHED))
    panel = finished(builder, title, size, about, unit, queries)
    panel.field_config.defaults.max_val = maximum
    panel.field_config.defaults.no_value = missing or None
    if steps:
        _set_steps(panel, steps)
    if any(query.legend in {f"{{{{{label}}}}}" for label in STATES} for query in queries):
        _set_colors(panel)
    for name in dashed:
        style = [
            model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            model.DynamicConfigValue("custom.fillOpacity", 0),
            model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": GREY}),
        ]
        override(panel, model.MatcherConfig("byName", name), style)
    return panel


def number(
    title: str,
    size: Size,
    about: About,
    unit: str,
    *queries: Query,
    steps: Steps = ((None, BLUE),),
    words: Mapping[str, tuple[str, str]] | None = None,
    decimals: int | None = None,
    spark: bool = True,
    missing: str = "",
    below: bool = False,
) -> model.Panel:
    """Return a panel of one big number, or one per series, on a colored background.

    Args:
        words: texts and colors to show for values, such as `{"0": ("all up", "green")}`.
        spark: whether the background shows the course over time. Without it, only the newest value is read.
        missing: the text to show without a value.
        below: whether the numbers of several series are below each other.
    """
    builder = stat.Panel().color_mode(shapes.BigValueColorMode.BACKGROUND)
    builder.graph_mode(shapes.BigValueGraphMode.AREA if spark else shapes.BigValueGraphMode.NONE)
    builder.text_mode(shapes.BigValueTextMode.AUTO).justify_mode(shapes.BigValueJustifyMode.CENTER)
    builder.orientation(shapes.VizOrientation.HORIZONTAL if below else shapes.VizOrientation.AUTO)
    builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = finished(builder, title, size, about, unit, [replace(query, instant=not spark) for query in queries])
    panel.field_config.defaults.decimals = decimals
    panel.field_config.defaults.no_value = missing or None
    _set_steps(panel, steps)
    if words:
        results = {value: model.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()}
        panel.field_config.defaults.mappings = [model.ValueMap(options=results)]
    return panel


def bar_chart(
    title: str,
    size: Size,
    about: About,
    unit: str,
    *queries: Query,
    steps: Steps = ((None, BLUE),),
    maximum: float | None = None,
    decimals: int | None = None,
    missing: str = "",
) -> model.Panel:
    """Return horizontal bars of the newest values, one per series.

    Args:
        maximum: the value of a full bar; without it, the largest value.
        missing: the text to show without any series.
    """
    builder = bargauge.Panel().orientation(shapes.VizOrientation.HORIZONTAL)
    builder.display_mode(shapes.BarGaugeDisplayMode.BASIC).value_mode(shapes.BarGaugeValueMode.TEXT)
    builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = finished(builder, title, size, about, unit, [replace(query, instant=True) for query in queries])
    panel.field_config.defaults.min_val, panel.field_config.defaults.max_val = 0, maximum
    panel.field_config.defaults.decimals = decimals
    panel.field_config.defaults.no_value = missing or None
    _set_steps(panel, steps)
    return panel


def timeline(
    title: str, size: Size, about: About, unit: str, *queries: Query, steps: Steps, decimals: int | None = None
) -> model.Panel:
    """Return one band per series over time, colored by `steps`: it shows since when a state lasts."""
    builder = statetimeline.Panel().show_value(shapes.VisibilityMode.NEVER).merge_values(True).row_height(0.85)
    builder.legend(common.VizLegendOptions().show_legend(False).display_mode(shapes.LegendDisplayMode.HIDDEN))
    builder.tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.SINGLE)).fill_opacity(80).line_width(0)
    panel = finished(builder, title, size, about, unit, queries)
    panel.field_config.defaults.decimals = decimals
    _set_steps(panel, steps)
    panel.field_config.defaults.color = model.FieldColor(mode=model.FieldColorModeId.THRESHOLDS)
    return panel


def heat_map(title: str, size: Size, about: About, unit: str, query: Query) -> model.Panel:
    """Return a heat map of a histogram: `query` is the increase per bucket, by the label `le`."""
    color = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5)
    color.scale(heat.HeatmapColorScale.EXPONENTIAL).fill("dark-orange")
    axis = heatmap.YAxisConfig().unit(unit).axis_placement(shapes.AxisPlacement.LEFT)
    builder = heatmap.Panel().calculate(False).color(color).y_axis(axis).cell_gap(1).show_tooltip().hide_legend()
    panel = finished(builder, title, size, about, unit, [query])
    panel.targets = [target("A", query, PromQueryFormat.HEATMAP)]
    panel.field_config.defaults.custom = {}
    return panel


def finished(
    builder: Builder[model.Panel], title: str, size: Size, about: About, unit: str, queries: Sequence[Query]
) -> model.Panel:
    """Return the panel of `builder` with all that panels of every kind have."""
    panel = builder.build()
    panel.title = title
    panel.description = about.text()
    panel.datasource = DATASOURCE
    panel.grid_pos = model.GridPos(w=size.width, h=size.height)
    panel.targets = [target(letter, query, PromQueryFormat.TIME_SERIES) for letter, query in lettered(queries)]
    panel.links = [*_links(about)] or None
    panel.field_config.defaults.unit = unit
    return panel


def lettered(queries: Sequence[Query]) -> list[tuple[str, Query]]:
    """Return the queries with their letters."""
    return [*zip(LETTERS, queries, strict=False)]


def target(letter: str, query: Query, form: PromQueryFormat) -> Dataquery:
    """Return a query as the data source reads it."""
    return Dataquery(
        expr=query.expression, format_val=form, ref_id=letter, legend_format=query.legend or "__auto", editor_mode=QueryEditorMode.CODE,
        instant=query.instant, range_val=not query.instant, datasource=DATASOURCE,
    )  # fmt: skip


def _links(about: About) -> list[model.DashboardLink]:
    links = [link(f"Dashboard: {about.see}", dashboard_url(about.see))] if about.see else []
    return [*links, *(link(f"Runbook: {name}", runbook_url(name), new_tab=True) for name in about.runbooks)]


def _set_steps(panel: model.Panel, steps: Steps) -> None:
    panel.field_config.defaults.thresholds = thresholds(steps)


def _set_colors(panel: model.Panel) -> None:
    """Give each series that is named after a state the color of that state."""
    for name, color in COLORS.items():
        fixed = model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
        override(panel, model.MatcherConfig("byName", name), [fixed])


def override(panel: model.Panel, matcher: model.MatcherConfig, values: list[model.DynamicConfigValue]) -> None:
    """Add options for the series or columns that `matcher` selects."""
    panel.field_config.overrides.append(model.DashboardFieldConfigSourceOverrides(matcher, values))
