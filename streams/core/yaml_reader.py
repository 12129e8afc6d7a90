"""Reads YAML so that every mistake is told at its line and column, all at once."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

import yaml

from streams.core.flow_language import FlowError, nearest


def open_yaml(text: str) -> yaml.Node | list[FlowError] | None:
    """The root of what `text` says, None if it says nothing, or why it is no YAML."""
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                return [FlowError(line, column, "aliases (*) are not understood here", "write it out")]
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark
        line, column = (found.line + 1, found.column + 1) if found else (1, 1)
        return [FlowError(line, column, f"this is no YAML: {error.problem}", "look at the indentation and the colons")]
    except (yaml.YAMLError, RecursionError) as error:
        return [
            FlowError(1, 1, f"this is no YAML: {type(error).__name__}", "look for odd characters and for deep nesting")
        ]


class YamlReader:
    """Walks YAML nodes and gathers what is wrong. What is wrong is replaced by something harmless, and the walk goes on."""

    def __init__(self) -> None:
        self.errors: list[FlowError] = []

    def wrong(self, node: yaml.Node, problem: str, remedy: str) -> None:
        """Note a mistake at `node`."""
        self.errors.append(FlowError(node.start_mark.line + 1, node.start_mark.column + 1, problem, remedy))

    def pairs(self, node: yaml.Node, example: str) -> list[tuple[yaml.Node, str, yaml.Node]]:
        """Key, its text and value of each pair of a mapping; a doubled key is noted. A key's text is what was written: `NO` is Norway."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "here a mapping is expected", example)
            return []
        found: dict[str, tuple[yaml.Node, str, yaml.Node]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in found:
                self.wrong(key, f"the key {name!r} is there twice", "keep one of them")
            else:
                found[name] = (key, name, value)
        return list(found.values())

    def mapping(self, node: yaml.Node, known: Collection[str], needed: Collection[str]) -> dict[str, yaml.Node]:
        """The values of a mapping by key; unknown, doubled and missing keys are noted."""
        values: dict[str, yaml.Node] = {}
        meant: list[str] = []  # a needed key that is only misspelt is one mistake, not two
        for key, name, value in self.pairs(node, f"key: value, with keys {', '.join(known)}"):
            if name in known:
                values[name] = value
            else:
                self.wrong(key, f"unknown key {name!r}", nearest(name, known))
                meant += get_close_matches(name, known, n=1)
        if isinstance(node, yaml.MappingNode):
            for name in needed:
                if name not in values and name not in meant:
                    self.wrong(node, f"{name!r} is missing", f"add {name}: …")
        return values

    def text(self, node: yaml.Node) -> str:
        """The text of a scalar as it was written, whatever YAML takes it for; an empty one is noted."""
        if not isinstance(node, yaml.ScalarNode):
            self.wrong(node, "here a single value is expected", "write one word, number or text")
            return ""
        value = str(node.value).strip()
        if not value:
            self.wrong(node, "here a value is expected, and there is none", "write one word, number or text")
        return value

    def choice(self, node: yaml.Node, known: Collection[str], what: str) -> str:
        """One of the `known` words, or "" if it is none."""
        value = self.text(node)
        if value and value not in known:
            self.wrong(node, f"unknown {what} {value!r}", nearest(value, known))
        return value if value in known else ""

    def number(self, node: yaml.Node, least: int, most: int) -> int:
        """A whole number between `least` and `most`."""
        value = self.text(node)
        if re.fullmatch(r"\d{1,9}", value) and least <= int(value) <= most:
            return int(value)
        if value:
            self.wrong(node, f"{value!r} is not a whole number between {least} and {most}", f"for example {least}")
        return least
