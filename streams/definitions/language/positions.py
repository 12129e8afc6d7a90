"""Positions of the parts of a flow in flow.yaml, and of a brand in brand.yaml, for problems that are found after the whole file is read."""

from __future__ import annotations

import yaml

from streams.definitions.language.steps.kinds import BY_KEY
from streams.definitions.language.steps.reader import items_of, pairs_of
from streams.definitions.problems import Position
from streams.mail.rendering.yaml_nodes import compose


def positions_in(text: str) -> dict[str, Position]:
    """Return the positions of the flow in `text`, which must be valid.

    Steps are found by their path ("1.0.2"), branches by theirs ("1.0"), everything else by its keys: "trigger.where", or "migrations.3.1.0.2"
    for the target of step 1.0.2 of version 3.
    """
    root = compose(text)
    positions: dict[str, Position] = {}
    for key, value in pairs_of(root):
        positions[key] = _position_of(value)
        if key == "trigger":
            positions |= {f"trigger.{name}": _position_of(node) for name, node in pairs_of(value)}
        elif key == "steps":
            _add_steps(value, "", positions)
        elif key == "migrations":
            _add_migrations(value, positions)
    return positions


def brand_positions(text: str) -> dict[str, Position]:
    """Return the positions of the values of the brand in `text`, which must be valid: "legal", "colors" and "colors.accent"."""
    positions: dict[str, Position] = {}
    for key, value in pairs_of(compose(text)):
        positions[key] = _position_of(value)
        if key == "colors":
            positions |= {f"colors.{name}": _position_of(node) for name, node in pairs_of(value)}
    return positions


def _add_steps(node: yaml.Node | None, prefix: str, positions: dict[str, Position]) -> None:
    for index, step in enumerate(items_of(node)):
        path = f"{prefix}{index}"
        positions[path] = _position_of(step)
        for kind, value in pairs_of(step):
            for number, (branch, steps) in enumerate(BY_KEY[kind].branch_nodes(value)):
                if branch is not None:
                    positions[f"{path}.{number}"] = _position_of(branch)
                _add_steps(steps, f"{path}.{number}.", positions)


def _add_migrations(node: yaml.Node, positions: dict[str, Position]) -> None:
    for item in items_of(node):
        values = dict(pairs_of(item))
        version = values["from"].value
        positions[f"migrations.{version}"] = _position_of(item)
        positions |= {f"migrations.{version}.{old}": _position_of(new) for old, new in pairs_of(values["steps"])}


def _position_of(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1
