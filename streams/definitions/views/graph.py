"""A flow as a graph: its nodes and edges with their places in a grid. Written as text and as a Mermaid flowchart here, as SVG in `svg.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from streams.core.rules.flow import Flow, Step
from streams.definitions.language.steps.kind import Box
from streams.definitions.language.steps.kinds import kind_of
from streams.definitions.views.words import branch_labels, exit_text, step_text, trigger_text

Kind: TypeAlias = Literal["begin", "end"] | Box


class Node(Struct, frozen=True, kw_only=True):
    """A box.

    Attributes:
        path: the path of its step, or "begin" or "end".
        kind: the kind of box, which decides its color and shape.
        label: its text.
        row: its row, from 0.
        column: its centre, from 0, in halves of a box.
    """

    path: str
    kind: Kind
    label: str
    row: int
    column: int


class Edge(Struct, frozen=True, kw_only=True):
    """An arrow between two nodes.

    Attributes:
        source: the path of the node where it starts.
        target: the path of the node where it ends.
        label: when customers take it; empty if always.
        column: the column in which it runs down, in halves of a box.
    """

    source: str
    target: str
    label: str
    column: int


class Graph(Struct, frozen=True, kw_only=True):
    """The nodes of a flow, each before the nodes that it leads to, and the edges."""

    flow: Flow
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(flow: Flow) -> Graph:
    """Return the graph of a flow."""
    return _Layout(flow).graph()


class _OpenEdge(NamedTuple):
    """An edge whose target is not placed yet. `column` None: the target's column."""

    source: str
    label: str
    column: int | None


class _Layout:
    """Places steps below each other, and the branches of a step beside each other, each in columns of its own."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def graph(self) -> Graph:
        """Return the whole flow."""
        middle = _width(self.flow.steps)
        self.put("begin", "begin", trigger_text(self.flow), 0, middle, [])
        row, open_edges = self.place(self.flow.steps, 0, 2 * middle, 1, [_OpenEdge("begin", "", None)])
        self.put("end", "end", "end", row, middle, open_edges)
        return Graph(flow=self.flow, nodes=tuple(self.nodes), edges=tuple(self.edges))

    def put(self, path: str, kind: Kind, label: str, row: int, column: int, open_edges: list[_OpenEdge]) -> None:
        """Add a node, and the edges that lead to it."""
        self.nodes.append(Node(path=path, kind=kind, label=label, row=row, column=column))
        self.edges += [
            Edge(
                source=edge.source,
                target=path,
                label=edge.label,
                column=column if edge.column is None else edge.column,
            )
            for edge in open_edges
        ]

    def place(
        self, steps: tuple[Step, ...], left: int, width: int, row: int, open_edges: list[_OpenEdge]
    ) -> tuple[int, list[_OpenEdge]]:
        """Place steps from `row` on, centred in `width` columns from `left`. Return the next free row and the edges that lead there."""
        middle = left + width // 2
        for step in steps:
            self.put(step.path, kind_of(step).box, step_text(step, self.flow), row, middle, open_edges)
            row += 1
            if not step.inner:
                open_edges = [_OpenEdge(step.path, "", middle)]
                continue
            row, open_edges = self.place_branches(step, middle, row)
        return row, open_edges

    def place_branches(self, step: Step, middle: int, row: int) -> tuple[int, list[_OpenEdge]]:
        """Place the branches of a step beside each other, centred at `middle`. Return the next free row and the edges that lead there."""
        open_edges: list[_OpenEdge] = []
        last, left = row, middle - _step_width(step)
        steps_of = step.inner
        for number, label in enumerate(branch_labels(step)):
            branch = steps_of[number] if number < len(steps_of) else ()
            width = 2 * _width(branch)
            if branch:
                end, branch_edges = self.place(branch, left, width, row, [_OpenEdge(step.path, label, None)])
                last = max(last, end)
                open_edges += branch_edges
            else:
                open_edges.append(_OpenEdge(step.path, label, left + width // 2))
            left += width
        return last, open_edges


def _width(steps: tuple[Step, ...]) -> int:
    """Return the greatest number of boxes beside each other."""
    return max([_step_width(step) for step in steps], default=1)


def _step_width(step: Step) -> int:
    inside = step.inner
    empty = len(branch_labels(step)) - len(inside)
    return max(1, sum(map(_width, inside)) + empty)


def as_text(flow: Flow) -> str:
    """Return the flow as a tree of lines. Each step has its path, as decisions and `takk flows migrate` use it."""
    lines = [f"{flow.name} v{flow.version}, {flow.status}, {flow.purpose}", f"starts on {trigger_text(flow)}"]
    if exit_text(flow):
        lines.append(f"ends on {exit_text(flow)}")
    if flow.not_with:
        lines.append(f"emails wait while one of these may still send: {', '.join(flow.not_with)}")
    return "\n".join([*lines, *_tree(flow.steps, "", flow)]) + "\n"


def _tree(steps: tuple[Step, ...], indent: str, flow: Flow) -> Iterator[str]:
    for step in steps:
        is_last = step is steps[-1]
        yield f"{indent}{'└' if is_last else '├'}─ {step.path} {step_text(step, flow)}"
        inner = indent + ("   " if is_last else "│  ")
        labelled = [pair for pair in zip(branch_labels(step), step.inner, strict=False) if pair[1]]
        for number, (label, branch) in enumerate(labelled):
            is_end = number + 1 == len(labelled)
            yield f"{inner}{'└' if is_end else '├'}─ {label}"
            yield from _tree(branch, inner + ("   " if is_end else "│  "), flow)


#: Characters besides letters and digits that have no meaning in Mermaid.
_PLAIN = " .,:_-"
#: How Mermaid encloses the label of a node.
_SHAPES: dict[Kind, tuple[str, str]] = {
    "begin": ("([", "])"),
    "end": ("([", "])"),
    "wait": ("{{", "}}"),
    "split": ("{", "}"),
    "send": ("[", "]"),
    "effect": ("[[", "]]"),
}


def as_mermaid(flow: Flow) -> str:
    """Return the flow as a Mermaid flowchart. Labels are quoted, and special characters in them are escaped."""
    graph = graph_of(flow)
    lines = ["flowchart TD"]
    for node in graph.nodes:
        opening, closing = _SHAPES[node.kind]
        lines.append(f'    {_id(node.path)}{opening}"{_escaped(node.label)}"{closing}')
    for edge in graph.edges:
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
        lines.append(f"    {_id(edge.source)} -->{label} {_id(edge.target)}")
    return "\n".join(lines) + "\n"


def _id(path: str) -> str:
    return f"s_{path.replace('.', '_')}"


def _escaped(text: str) -> str:
    return "".join([letter if letter.isalnum() or letter in _PLAIN else f"#{ord(letter)};" for letter in text])
