"""A flow as a graph: what to draw, and where. Written as text and as a Mermaid flowchart here, as SVG in flow_svg.py. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from streams.core.model.flow import Experiment, Flow, Send, Split, Step, Wait, WaitFor, branches
from streams.definitions.views.words import beginning, ending, in_words, way_words

Kind: TypeAlias = Literal["begin", "wait", "split", "send", "effect", "end"]


class Node(Struct, frozen=True, kw_only=True):
    """A box: its step's path (or "begin", "end"), its kind and words; its row, and its column in halves of a box's width."""

    path: str
    kind: Kind
    words: str
    row: int
    column: int


class Edge(Struct, frozen=True, kw_only=True):
    """A way from the node at `source` to the one at `target`, in the words of when it is gone; it runs down in column `lane`."""

    source: str
    target: str
    words: str
    lane: int


class Graph(Struct, frozen=True, kw_only=True):
    """The nodes of a flow, each before those that it leads to, and the edges."""

    flow: Flow
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(flow: Flow) -> Graph:
    """The graph of a flow."""
    return _Layout(flow).graph()


class _Loose(NamedTuple):
    """An edge whose target is not known yet. `lane` None: that of the target."""

    source: str
    words: str
    lane: int | None


class _Layout:
    """Steps below each other; the ways out of one beside each other, each in lanes of its own."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def graph(self) -> Graph:
        """The whole flow."""
        middle = _width(self.flow.steps)
        self.put("begin", "begin", beginning(self.flow), 0, middle, [])
        row, loose = self.lay(self.flow.steps, 0, 2 * middle, 1, [_Loose("begin", "", None)])
        self.put("end", "end", "end", row, middle, loose)
        return Graph(flow=self.flow, nodes=tuple(self.nodes), edges=tuple(self.edges))

    def put(self, path: str, kind: Kind, words: str, row: int, column: int, loose: list[_Loose]) -> None:
        """A node, and the edges that lead to it."""
        self.nodes.append(Node(path=path, kind=kind, words=words, row=row, column=column))
        self.edges += [
            Edge(source=one.source, target=path, words=one.words, lane=column if one.lane is None else one.lane)
            for one in loose
        ]

    def lay(
        self, steps: tuple[Step, ...], left: int, wide: int, row: int, loose: list[_Loose]
    ) -> tuple[int, list[_Loose]]:
        """Steps from `row` on, in the middle of what is `wide`; the row behind them and the edges that lead there."""
        middle = left + wide // 2
        for step in steps:
            self.put(step.path, _kind(step), in_words(step, self.flow), row, middle, loose)
            row += 1
            inside = branches(step)
            if not inside:
                loose = [_Loose(step.path, "", middle)]
                continue
            loose, last = [], row
            at = middle - _step_width(step)
            for number, words in enumerate(way_words(step)):
                branch = inside[number] if number < len(inside) else ()
                needs = 2 * _width(branch)
                if branch:
                    behind, left_over = self.lay(branch, at, needs, row, [_Loose(step.path, words, None)])
                    last = max(last, behind)
                    loose += left_over
                else:
                    loose.append(_Loose(step.path, words, at + needs // 2))
                at += needs
            row = last
        return row, loose


def _width(steps: tuple[Step, ...]) -> int:
    """How many boxes lie beside each other at most."""
    return max([_step_width(step) for step in steps], default=1)


def _step_width(step: Step) -> int:
    inside = branches(step)
    empty = len(way_words(step)) - len(inside)
    return max(1, sum(map(_width, inside)) + empty)


def _kind(step: Step) -> Kind:
    if isinstance(step, (Wait, WaitFor)):
        return "wait"
    if isinstance(step, (Split, Experiment)):
        return "split"
    return "send" if isinstance(step, Send) else "effect"


def as_text(flow: Flow) -> str:
    """The flow as a tree of lines; each step with its path, as decisions and `takk flows migrate` name it."""
    lines = [f"{flow.name} v{flow.version}, {flow.status}, {flow.purpose}", f"begins on {beginning(flow)}"]
    if ending(flow):
        lines.append(f"ends on {ending(flow)}")
    if flow.not_with:
        lines.append(f"its mails wait while one of these runs: {', '.join(flow.not_with)}")
    return "\n".join([*lines, *_branch(flow.steps, "", flow)]) + "\n"


def _branch(steps: tuple[Step, ...], indent: str, flow: Flow) -> Iterator[str]:
    for step in steps:
        is_last = step is steps[-1]
        yield f"{indent}{'└' if is_last else '├'}─ {step.path} {in_words(step, flow)}"
        inside = indent + ("   " if is_last else "│  ")
        told = [(words, branch) for words, branch in zip(way_words(step), branches(step), strict=False) if branch]
        for number, (words, branch) in enumerate(told):
            ends = number + 1 == len(told)
            yield f"{inside}{'└' if ends else '├'}─ {words}"
            yield from _branch(branch, inside + ("   " if ends else "│  "), flow)


_HARMLESS = " .,:_-"
_SHAPES: dict[Kind, tuple[str, str]] = {
    "begin": ("([", "])"),
    "end": ("([", "])"),
    "wait": ("{{", "}}"),
    "split": ("{", "}"),
    "send": ("[", "]"),
    "effect": ("[[", "]]"),
}


def as_mermaid(flow: Flow) -> str:
    """The flow as a Mermaid flowchart. Whatever the file says stands in quotes, and is written in codes but for letters and what is harmless."""
    graph = graph_of(flow)
    lines = ["flowchart TD"]
    for node in graph.nodes:
        opening, closing = _SHAPES[node.kind]
        lines.append(f'    {_id(node.path)}{opening}"{_quoted(node.words)}"{closing}')
    for edge in graph.edges:
        words = f'|"{_quoted(edge.words)}"|' if edge.words else ""
        lines.append(f"    {_id(edge.source)} -->{words} {_id(edge.target)}")
    return "\n".join(lines) + "\n"


def _id(path: str) -> str:
    return f"s_{path.replace('.', '_')}"


def _quoted(words: str) -> str:
    return "".join([one if one.isalnum() or one in _HARMLESS else f"#{ord(one)};" for one in words])
