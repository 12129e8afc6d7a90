"""Positions of the parts of a flow in flow.yaml, and of a brand in brand.yaml, for problems that are found after the whole file is read."""

from __future__ import annotations

import yaml

from streams.definitions.problems import Position


def positions_in(text: str) -> dict[str, Position]:
    """Return the positions of the flow in `text`, which must be valid.

    Steps are found by their path ("1.0.2"), branches by theirs ("1.0"), everything else by its keys: "trigger.where", or "migrations.3.1.0.2"
    for the target of step 1.0.2 of version 3.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    positions: dict[str, Position] = {}
    for key, value in _pairs(root):
        positions[key] = _position_of(value)
        if key == "trigger":
            positions |= {f"trigger.{name}": _position_of(node) for name, node in _pairs(value)}
        elif key == "steps":
            _add_steps(value, "", positions)
        elif key == "migrations":
            _add_migrations(value, positions)
    return positions


def brand_positions(text: str) -> dict[str, Position]:
    """Return the positions of the values of the brand in `text`, which must be valid: "legal", "colors" and "colors.accent"."""
    positions: dict[str, Position] = {}
    for key, value in _pairs(yaml.compose(text, yaml.SafeLoader)):
        positions[key] = _position_of(value)
        if key == "colors":
            positions |= {f"colors.{name}": _position_of(node) for name, node in _pairs(value)}
    return positions


def _add_steps(node: yaml.Node | None, prefix: str, positions: dict[str, Position]) -> None:
    for index, step in enumerate(_items(node)):
        path = f"{prefix}{index}"
        positions[path] = _position_of(step)
        for kind, value in _pairs(step):
            for number, (branch, steps) in enumerate(_branches(kind, value)):
                if branch is not None:
                    positions[f"{path}.{number}"] = _position_of(branch)
                _add_steps(steps, f"{path}.{number}.", positions)


def _branches(kind: str, value: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
    """Return the node of each branch of a step, and the node of its steps."""
    values = dict(_pairs(value))
    if kind == "wait_for":
        return [(values.get(name), values.get(name)) for name in ("then", "otherwise")]
    arms = _items(values.get("arms")) if kind == "experiment" else _items(value) if kind == "split" else []
    keys = [dict(_pairs(arm)) for arm in arms]
    return [(arm, pairs.get("steps") or pairs.get("otherwise")) for arm, pairs in zip(arms, keys, strict=True)]


def _add_migrations(node: yaml.Node, positions: dict[str, Position]) -> None:
    for item in _items(node):
        values = dict(_pairs(item))
        version = values["from"].value
        positions[f"migrations.{version}"] = _position_of(item)
        positions |= {f"migrations.{version}.{old}": _position_of(new) for old, new in _pairs(values["steps"])}


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _position_of(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1
