"""A dashboard from rows of panels: positions, ids, variables, annotations and links to the other dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.builder.colors import BLUE, ORANGE, PURPLE
from deploy.grafana.builder.links import RUNBOOKS
from deploy.grafana.builder.panels import DATASOURCE

COLUMNS: Final = 24
TAG: Final = "takk"
#: Each variable with its label and the query for its values. Only the variables that a dashboard uses are on it.
VARIABLES: Final = {
    "shop": ("Shop", 'label_values(up{job="takk"}, shop)'),
    "flow": ("Flow", 'label_values(takk_flow_info{shop=~"$shop"}, flow)'),
    "stage": ("Stage", 'label_values(takk_assigned_partitions{shop=~"$shop"}, stage)'),
    "instance": ("Process", 'label_values(up{job="takk", shop=~"$shop"}, instance)'),
}


@dataclass(frozen=True)
class Row:
    """Panels below a heading. They fill lines of 24 columns from left to right.

    Attributes:
        title: the heading; without one, the panels follow those of the row above.
    """

    title: str
    panels: Sequence[model.Panel]


@dataclass(frozen=True)
class Screen:
    """A dashboard.

    Attributes:
        uid: its id in addresses, which never changes.
        title: the heading.
        question: the questions that it answers.
        rows: from top to bottom.
        variables: names in `VARIABLES`.
        inputs: variables that a reader types: name, label and default.
        since: the start of the default time range.
        refresh: the time between two reads.
    """

    uid: str
    title: str
    question: str
    rows: Sequence[Row]
    variables: Sequence[str] = ("shop", "instance")
    inputs: Sequence[tuple[str, str, str]] = ()
    since: str = "now-3h"
    refresh: str = "30s"

    def build(self) -> model.Dashboard:
        """Return the dashboard of the SDK.

        Raises:
            ValueError: the panels of a line have different heights, or do not fill it.
        """
        builder = build.Dashboard(f"Takk / {self.title}").uid(self.uid).tags([TAG]).readonly()
        builder.description(self.question).time(self.since, "now").refresh(self.refresh).timezone("browser")
        builder.tooltip(model.DashboardCursorSync.CROSSHAIR)
        result = builder.build()
        result.panels = [*self._placed()]
        result.templating = model.DashboardDashboardTemplating(list_val=[*self._variables()])
        result.annotations = model.AnnotationContainer(list_val=[*_annotations()])
        result.links = [
            model.DashboardLink(
                title="Dashboards", type_val=model.DashboardLinkType.DASHBOARDS, tags=[TAG], include_vars=True, keep_time=True
            )
        ]  # fmt: skip
        return result

    def text(self) -> str:
        """Return the dashboard as JSON."""
        return json.dumps(self.build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def _placed(self) -> Iterator[model.Panel | model.RowPanel]:
        y, number = 0, 0
        for row in self.rows:
            if row.title:
                number += 1
                position = model.GridPos(x=0, y=y, w=COLUMNS, h=1)
                yield model.RowPanel(title=row.title, id_val=number, grid_pos=position)
                y += 1
            for line in _lines(row.panels):
                x = 0
                for panel in line:
                    number += 1
                    panel.id_val, panel.grid_pos = number, _moved(panel, x, y)
                    x += _size(panel)[0]
                    yield panel
                y += _size(line[0])[1]

    def _variables(self) -> Iterator[model.VariableModel]:
        # Grafana keeps variables by id, and the SDK gives all of them the same one.
        for variable in self._variables_without_id():
            variable.id_val = variable.name
            yield variable

    def _variables_without_id(self) -> Iterator[model.VariableModel]:
        current = model.VariableOption(selected=True, text="Prometheus", value="prometheus")
        yield build.DatasourceVariable("datasource").label("Data source").type("prometheus").current(current).build()
        everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
        for name in self.variables:
            label, query = VARIABLES[name]
            variable = build.QueryVariable(name).label(label).datasource(DATASOURCE).multi(True).include_all(True)
            variable.query({"query": query, "refId": "StandardVariableQuery"}).current(everything).all_value(".*")
            variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
            yield variable.build()
        for name, label, default in self.inputs:
            value = model.VariableOption(selected=True, text=default, value=default)
            yield build.TextBoxVariable(name).label(label).default_value(default).current(value).build()
        yield build.ConstantVariable("runbooks").value(RUNBOOKS).build()


def _lines(panels: Sequence[model.Panel]) -> Iterator[list[model.Panel]]:
    """Yield the panels of each line."""
    line: list[model.Panel] = []
    for panel in panels:
        line.append(panel)
        width = sum(_size(other)[0] for other in line)
        if width == COLUMNS:
            yield line
            line = []
        if width > COLUMNS or _size(panel)[1] != _size((line or [panel])[0])[1]:
            raise ValueError(f"{panel.title!r} does not fit into its line")
    if line:
        raise ValueError(f"the line that ends with {line[-1].title!r} is not full")


def _size(panel: model.Panel) -> tuple[int, int]:
    position = panel.grid_pos or model.GridPos()
    return position.w, position.h


def _moved(panel: model.Panel, x: int, y: int) -> model.GridPos:
    width, height = _size(panel)
    return model.GridPos(x=x, y=y, w=width, h=height)


class _Annotation(model.AnnotationQuery):
    """An annotation with the query and the texts that Grafana's Prometheus data source reads, which the SDK's type lacks.

    Grafana 12 reads the query in `target`, earlier versions read `expr`.
    """

    def __init__(self, name: str, expression: str, color: str, text: str) -> None:
        super().__init__(name=name, datasource=DATASOURCE, icon_color=color, expr=expression)
        self._text = text

    def to_json(self) -> dict[str, object]:
        """Return the JSON, as the encoder expects it."""
        target = {"expr": self.expr, "refId": "Anno", "interval": "30s"}
        texts = {"titleFormat": self.name, "textFormat": self._text}
        return {**super().to_json(), **texts, "step": "30s", "target": target}


def _annotations() -> Iterator[model.AnnotationQuery]:
    """Yield the events that are drawn as vertical lines into all graphs."""
    started = 'changes(process_start_time_seconds{job="takk", shop=~"$shop"}[1m]) > 0'
    yield _Annotation("Restart", started, BLUE, "{{role}} {{instance}}")
    yield _Annotation("New version", _appeared("takk_build_info", "version"), PURPLE, "Takk {{version}}")
    text = "{{flow}}, version {{version}}: {{state}}"
    yield _Annotation("Flow changed", _appeared("takk_flow_info", "flow, version, state"), ORANGE, text)


def _appeared(metric: str, by: str) -> str:
    """Return the series of `metric` that a minute ago did not exist, while others did: a new value of the labels `by`."""
    selector = f'{metric}{{shop=~"$shop"}}'
    return f"group by ({by}) ({selector}) unless group by ({by}) ({selector} offset 2m) and on () group({selector} offset 2m)"
