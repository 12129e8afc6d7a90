"""Tables of the newest values: one row per combination of labels, one column per label or query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.builder.colors import Steps, thresholds
from deploy.grafana.builder.panels import About, Query, Size, finished, lettered, override, target


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
    panel = finished(builder, title, size, about, unit, queries)
    panel.targets = [target(letter, query, PromQueryFormat.TABLE) for letter, query in lettered(queries)]
    panel.field_config.defaults.no_value = missing or None
    order = {column.source: index for index, column in enumerate(columns)}
    names = {column.source: column.title for column in columns}
    panel.transformations = [
        model.DataTransformerConfig("merge", options={}),
        model.DataTransformerConfig("filterFieldsByName", options={"include": {"names": list(order)}}),
        model.DataTransformerConfig("organize", options={"indexByName": order, "renameByName": names, "excludeByName": {}}),
    ]  # fmt: skip
    for column in columns:
        override(panel, model.MatcherConfig("byName", column.title), _properties(column))
    return panel


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    # The text for an empty table is not for empty cells.
    values: list[tuple[str, object]] = [("noValue", "")]
    if column.unit:
        values.append(("unit", column.unit))
    if column.decimals is not None:
        values.append(("decimals", column.decimals))
    if column.steps:
        values.append(("thresholds", thresholds(column.steps)))
        values.append(("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.link:
        values.append(
            (
                "links",
                [
                    {
                        "title": f"Open {column.title.lower()}",
                        "url": column.link,
                        "targetBlank": not column.link.startswith("/d/"),
                    }
                ],
            )
        )
    if column.words:
        results = {value: {"text": text, "index": index} for index, (value, text) in enumerate(column.words.items())}
        values.append(("mappings", [{"type": "value", "options": results}]))
    return [model.DynamicConfigValue(*value) for value in values]
