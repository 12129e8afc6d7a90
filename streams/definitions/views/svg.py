"""A flow as an SVG picture, without scripts and external resources, in light and dark colors."""

from __future__ import annotations

from html import escape
from textwrap import wrap

from streams.core.rules.flow import Flow
from streams.definitions.views.graph import Edge, Graph, Node, graph_of

# Lengths are in pixels.
_BOX = 240
_COLUMN = 270
_LETTERS = 30  # per line of a box; 8 pixels each, as in wide fonts
_LINE = 17
_PADDING = 10
_GAP = 40  # below a row, in addition to the labels of its edges
_MARGIN = 20

_STYLE = """\
svg { font: 13px system-ui, sans-serif; background: #ffffff; }
text { fill: #1c1c1c; }
.label { font-size: 12px; fill: #5a5a5a; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }
rect { fill: #f4f4f4; stroke: #8a8a8a; } path { fill: none; stroke: #8a8a8a; } .tip { fill: #8a8a8a; stroke: none; }
.begin rect, .end rect { fill: #e8e8e8; } .wait rect { fill: #fff6da; stroke: #b08a1e; }
.split rect { fill: #e9f1fb; stroke: #3d6fa8; } .send rect { fill: #e7f6ea; stroke: #3b8551; }
@media (prefers-color-scheme: dark) {
svg { background: #16181b; } text { fill: #ececec; } .label { fill: #b0b0b0; stroke: #16181b; }
rect { fill: #24272b; stroke: #8a8a8a; }
.begin rect, .end rect { fill: #303439; } .wait rect { fill: #3a3115; stroke: #c9a13a; }
.split rect { fill: #1b2b3f; stroke: #6fa0d8; } .send rect { fill: #17331f; stroke: #62b47b; }
}"""


def as_svg(flow: Flow) -> str:
    """Return the picture of a flow."""
    return _Picture(graph_of(flow)).svg()


class _Picture:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lines = {node.path: _lines(node.label) for node in graph.nodes}
        self.nodes = {node.path: node for node in graph.nodes}
        self.tops, self.heights = self._rows()

    def _rows(self) -> tuple[list[int], list[int]]:
        """Return the top and the height of each row. The labels of edges are in the gap below the row where the edges start."""
        count = max(node.row for node in self.graph.nodes) + 1
        heights, gaps = [0] * count, [_GAP] * count
        for node in self.graph.nodes:
            heights[node.row] = max(heights[node.row], len(self.lines[node.path]) * _LINE + 2 * _PADDING)
        for edge in self.graph.edges:
            row = self.nodes[edge.source].row
            gaps[row] = max(gaps[row], _GAP + len(_lines(edge.label)) * _LINE)
        tops = [_MARGIN]
        for height, gap in zip(heights, gaps, strict=True):
            tops.append(tops[-1] + height + gap)
        return tops, heights

    def svg(self) -> str:
        """Return the whole picture."""
        # Edges count too: one may run beside all boxes.
        rightmost = max([node.column for node in self.graph.nodes] + [edge.column for edge in self.graph.edges])
        width = _x(rightmost) + _COLUMN // 2 + _MARGIN
        height = self.tops[-2] + self.heights[-1] + _MARGIN
        flow = self.graph.flow
        title = escape(f"{flow.name} v{flow.version}")
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
                f"<title>{title}</title>",
                f"<style>{_STYLE}</style>",
                *[self._edge(edge) for edge in self.graph.edges],
                *[self._label(edge) for edge in self.graph.edges],
                *[self._node(node) for node in self.graph.nodes],
                "</svg>\n",
            ]
        )

    def _node(self, node: Node) -> str:
        lines, x, top = self.lines[node.path], _x(node.column), self.tops[node.row]
        height = len(lines) * _LINE + 2 * _PADDING
        radius = height // 2 if node.kind in ("begin", "end") else 4
        box = f'<rect x="{x - _BOX // 2}" y="{top}" width="{_BOX}" height="{height}" rx="{min(radius, 20)}"/>'
        return f'<g class="{node.kind}">{box}{_text(lines, x, top + _PADDING)}</g>'

    def _edge(self, edge: Edge) -> str:
        """Return an arrow: down from the source, across to its column, down, across to the target, and into it."""
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        begin = self.tops[source.row] + len(self.lines[source.path]) * _LINE + 2 * _PADDING
        end, to = self.tops[target.row], _x(target.column)
        line = f"M{_x(source.column)} {begin}V{self._turn(source)}H{_x(edge.column)}V{end - 12}H{to}V{end - 6}"
        return f'<path d="{line}"/><path class="tip" d="M{to - 4} {end - 7}H{to + 4}L{to} {end}Z"/>'

    def _label(self, edge: Edge) -> str:
        """Return the label of an edge, which is drawn over all lines."""
        return _text(_lines(edge.label), _x(edge.column), self._turn(self.nodes[edge.source]), "label")

    def _turn(self, source: Node) -> int:
        """Return where the edges of a node turn to their columns."""
        return self.tops[source.row] + self.heights[source.row] + 12


def _x(column: int) -> int:
    return _MARGIN + column * _COLUMN // 2


def _lines(text: str) -> list[str]:
    return wrap(text, _LETTERS)


def _text(lines: list[str], x: int, top: int, kind: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    return "".join(
        f'<text x="{x}" y="{top + (number + 1) * _LINE - 4}" text-anchor="middle"{kind}>{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
