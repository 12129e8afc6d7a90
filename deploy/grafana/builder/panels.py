"""Panels: one function per kind. Each panel has a description in three parts, a unit and the data source of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from grafana_foundation_sdk.builders import bargauge, common, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

from deploy.grafana.builder.colors import BLUE, COLORS, GREY, Steps, thresholds
from deploy.grafana.builder.links import dashboard_url, link, runbook_url

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Labels whose values are states with a color.
STATES: Final = ("outcome", "agent", "action", "kind")
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
    bars: bool = False,
    steps: Steps = (),
    maximum: float | None = None,
    legend: Legend = "list",
    dashed: Sequence[str] = (),
) -> model.Panel:
    """Return a graph over time.

    Args:
        steps: drawn as dashed lines.
        legend: a list of names, a table with the newest value, mean and maximum, or none where there are many series.
        dashed: names of series that are drawn as dashed lines, such as objectives and benchmarks.
    """
    options = common.VizLegendOptions().show_legend(legend != "none").placement(shapes.LegendPlacement.BOTTOM)
    options.display_mode(_LEGENDS[legend]).calcs(["lastNotNull", "mean", "max"] if legend == "table" else [])
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    builder = timeseries.Panel().legend(options).tooltip(tooltip)
    builder.line_width(1).fill_opacity(60 if bars else 30 if stacked else 8).show_points(shapes.VisibilityMode.NEVER)
    builder.draw_style(shapes.GraphDrawStyle.BARS if bars else shapes.GraphDrawStyle.LINE).axis_soft_min(0)
    if stacked:
        builder.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if steps:
        builder.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.DASHED))
    panel = _finished(builder, title, size, about, unit, queries)
    panel.field_config.defaults.max_val = maximum
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
        _override(panel, model.MatcherConfig("byName", name), style)
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
) -> model.Panel:
    """Return a panel of one big number, or one per series, on a colored background.

    Args:
        words: texts and colors to show for values, such as `{"0": ("all up", "green")}`.
        spark: whether the background shows the course over time.
        missing: the text to show without a value.
    """
    builder = stat.Panel().color_mode(shapes.BigValueColorMode.BACKGROUND)
    builder.graph_mode(shapes.BigValueGraphMode.AREA if spark else shapes.BigValueGraphMode.NONE)
    builder.text_mode(shapes.BigValueTextMode.AUTO).justify_mode(shapes.BigValueJustifyMode.CENTER)
    builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = _finished(builder, title, size, about, unit, queries)
    panel.field_config.defaults.decimals = decimals
    panel.field_config.defaults.no_value = missing or None
    _set_steps(panel, steps)
    if words:
        results = {value: model.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()}
        panel.field_config.defaults.mappings = [model.ValueMap(options=results)]
    return panel


def bar_chart(
    title: str, size: Size, about: About, unit: str, *queries: Query, steps: Steps = ((None, BLUE),)
) -> model.Panel:
    """Return horizontal bars, one per series, longest first."""
    builder = bargauge.Panel().orientation(shapes.VizOrientation.HORIZONTAL)
    builder.display_mode(shapes.BarGaugeDisplayMode.BASIC).value_mode(shapes.BarGaugeValueMode.TEXT)
    builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = _finished(builder, title, size, about, unit, queries)
    panel.field_config.defaults.min_val = 0
    _set_steps(panel, steps)
    return panel


def timeline(
    title: str, size: Size, about: About, unit: str, *queries: Query, steps: Steps, decimals: int | None = None
) -> model.Panel:
    """Return one band per series over time, colored by `steps`: it shows since when a state lasts."""
    builder = statetimeline.Panel().show_value(shapes.VisibilityMode.NEVER).merge_values(True).row_height(0.85)
    builder.legend(common.VizLegendOptions().show_legend(False).display_mode(shapes.LegendDisplayMode.HIDDEN))
    builder.tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.SINGLE)).fill_opacity(80).line_width(0)
    panel = _finished(builder, title, size, about, unit, queries)
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
    panel = _finished(builder, title, size, about, unit, [query])
    panel.targets = [_target("A", query, PromQueryFormat.HEATMAP)]
    panel.field_config.defaults.custom = {}
    return panel


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        source: the label, or `Value #A` for the value of query A.
        title: its heading.
        unit: of its values.
        steps: colors of its values.
        link: the address that its values link to.
        words: texts to show for values.
        decimals: digits after the decimal point.
    """

    source: str
    title: str
    unit: str = ""
    steps: Steps = ()
    link: str = ""
    decimals: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)


def rows(
    title: str,
    size: Size,
    about: About,
    unit: str,
    columns: Sequence[Column],
    *queries: Query,
    sort: tuple[str, bool] | None = None,
    missing: str = "",
) -> model.Panel:
    """Return a table of the newest values. Rows with the same labels are joined; other columns are hidden.

    Args:
        sort: the heading of a column, and whether the largest value is first.
        missing: the text to show instead of an empty table.
    """
    builder = table.Panel().show_header(True).cell_height(shapes.TableCellHeight.SM)
    if sort:
        builder.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    panel = _finished(builder, title, size, about, unit, queries)
    panel.targets = [_target(letter, query, PromQueryFormat.TABLE) for letter, query in _lettered(queries)]
    panel.field_config.defaults.no_value = missing or None
    order = {column.source: index for index, column in enumerate(columns)}
    names = {column.source: column.title for column in columns}
    panel.transformations = [
        model.DataTransformerConfig("merge", options={}),
        model.DataTransformerConfig("filterFieldsByName", options={"include": {"names": list(order)}}),
        model.DataTransformerConfig("organize", options={"indexByName": order, "renameByName": names, "excludeByName": {}}),
    ]  # fmt: skip
    for column in columns:
        _override(panel, model.MatcherConfig("byName", column.title), _properties(column))
    return panel


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    values: list[tuple[str, object]] = []
    if column.unit:
        values.append(("unit", column.unit))
    if column.decimals is not None:
        values.append(("decimals", column.decimals))
    if column.steps:
        values.append(("thresholds", thresholds(column.steps)))
        values.append(("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.link:
        values.append(("links", [{"title": f"Open {column.title.lower()}", "url": column.link, "targetBlank": True}]))
    if column.words:
        results = {value: {"text": text, "index": index} for index, (value, text) in enumerate(column.words.items())}
        values.append(("mappings", [{"type": "value", "options": results}]))
    return [model.DynamicConfigValue(*value) for value in values]


def _finished(
    builder: Builder[model.Panel], title: str, size: Size, about: About, unit: str, queries: Sequence[Query]
) -> model.Panel:
    panel = builder.build()
    panel.title = title
    panel.description = about.text()
    panel.datasource = DATASOURCE
    panel.grid_pos = model.GridPos(w=size.width, h=size.height)
    panel.targets = [_target(letter, query, PromQueryFormat.TIME_SERIES) for letter, query in _lettered(queries)]
    panel.links = [*_links(about)] or None
    panel.field_config.defaults.unit = unit
    return panel


def _lettered(queries: Sequence[Query]) -> list[tuple[str, Query]]:
    return [*zip(LETTERS, queries, strict=False)]


def _target(letter: str, query: Query, form: PromQueryFormat) -> Dataquery:
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
        _override(panel, model.MatcherConfig("byName", name), [fixed])


def _override(panel: model.Panel, matcher: model.MatcherConfig, values: list[model.DynamicConfigValue]) -> None:
    panel.field_config.overrides.append(model.DashboardFieldConfigSourceOverrides(matcher, values))
