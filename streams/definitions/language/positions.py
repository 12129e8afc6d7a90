"""Where in the text of a flow.yaml its steps stand: for mistakes that are found only when the whole flow is known."""

from __future__ import annotations

import yaml

#: Line and column, both counted from 1.
Place = tuple[int, int]


def places(text: str) -> dict[str, Place]:
    """The places of the flow in `text`, which must be right.

    Steps are found by their path ("1.0.2"), arms by theirs ("1.0"), all else by its keys ("trigger.where", "migrations.3.1.0.2" for what
    becomes of step 1.0.2 of version 3).
    """
    root = yaml.compose(text, yaml.SafeLoader)
    found: dict[str, Place] = {}
    for key, value in _pairs(root):
        found[key] = _place(value)
        if key == "trigger":
            found |= {f"trigger.{name}": _place(node) for name, node in _pairs(value)}
        elif key == "steps":
            _note_steps(value, "", found)
        elif key == "migrations":
            _note_migrations(value, found)
    return found


def _note_steps(node: yaml.Node | None, prefix: str, found: dict[str, Place]) -> None:
    for index, step in enumerate(_items(node)):
        path = f"{prefix}{index}"
        found[path] = _place(step)
        for kind, value in _pairs(step):
            for number, (place, way) in enumerate(_ways(kind, value)):
                if place is not None:
                    found[f"{path}.{number}"] = _place(place)
                _note_steps(way, f"{path}.{number}.", found)


def _ways(kind: str, value: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
    """The ways out of a step: where each stands, and its steps."""
    told = dict(_pairs(value))
    if kind == "wait_for":
        return [(told.get(way), told.get(way)) for way in ("then", "otherwise")]
    arms = _items(told.get("arms")) if kind == "experiment" else _items(value) if kind == "split" else []
    inside = [dict(_pairs(arm)) for arm in arms]
    return [(arm, known.get("steps") or known.get("otherwise")) for arm, known in zip(arms, inside, strict=True)]


def _note_migrations(node: yaml.Node, found: dict[str, Place]) -> None:
    for item in _items(node):
        told = dict(_pairs(item))
        version = told["from"].value
        found[f"migrations.{version}"] = _place(item)
        found |= {f"migrations.{version}.{old}": _place(new) for old, new in _pairs(told["steps"])}


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
