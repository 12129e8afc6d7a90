"""The nodes of YAML files: the same as PyYAML's own, from a faster parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.mail.rendering.yaml_nodes import AliasFound, compose

TEMPLATES = Path(__file__).parents[4] / "templates"
FILES = [path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.rglob("*.yaml"))]
#: Text that means something in YAML, or that the two parsers could read differently.
PIECES = (
    *"\t\n'\"[]{}:,|>%\\@`é😀\r\x85\u2028\ufeff\0\ud800",
    " #",
    "- ",
    "&a ",
    "*a",
    "---\n",
    "...\n",
    "!x ",
    "<<: ",
)


def values_of(node: yaml.Node | None) -> Any:
    """Return tag, content and start of a node and of all nodes in it."""
    if node is None:
        return None
    start = (node.start_mark.line, node.start_mark.column, node.start_mark.index)
    if isinstance(node, yaml.ScalarNode):
        return node.tag, node.value, start if node.value else None, node.end_mark.index if node.value else None
    if isinstance(node, yaml.SequenceNode):
        return node.tag, [values_of(item) for item in node.value], start
    return node.tag, [(values_of(key), values_of(value)) for key, value in node.value], start


def read(text: str) -> Any:
    """Return what PyYAML's own parser reads: values and starts, or the error."""
    try:
        return values_of(yaml.compose(text, yaml.SafeLoader))
    except yaml.YAMLError as error:
        return str(error)


def test_shipped_files() -> None:
    """Every shipped file has the same nodes at the same positions with both parsers."""
    assert FILES
    for text in FILES:
        assert values_of(compose(text)) == read(text)


@given(text=st.sampled_from(FILES), data=st.data())
def test_changed_files(text: str, data: st.DataObject) -> None:
    """Files with anything inserted have the same nodes, or the same error with both parsers."""
    lines = text.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 1))
    part = "".join(lines[first : first + data.draw(st.integers(1, 12))])
    for piece in data.draw(st.lists(st.sampled_from(PIECES), max_size=3)):
        at = data.draw(st.integers(0, len(part)))
        part = part[:at] + piece + part[at:]
    try:
        composed = values_of(compose(part))
    except yaml.YAMLError as error:
        composed = str(error)
    assert composed == read(part)


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000])
def test_deep_nesting(text: str) -> None:
    """Deep nesting is an error, and does not end the process."""
    with pytest.raises((RecursionError, yaml.YAMLError)):
        compose(text)


def test_aliases() -> None:
    """Aliases are read where nobody refuses them, and found at their place where somebody does."""
    text = "a: &x 1\nb: *x\n"
    assert values_of(compose(text)) == read(text)
    with pytest.raises(AliasFound) as found:
        compose(text, refuses_aliases=True)
    assert (found.value.mark.line, found.value.mark.column) == (1, 3)
