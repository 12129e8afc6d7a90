"""Reads copy files: the texts of messages in one language, `key: text`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import yaml

from streams.mail.rendering.yaml_nodes import compose

_TEXT_TAG = "tag:yaml.org,2002:str"


class InvalidCopy(ValueError):
    """A file that does not contain texts. The message has no content of the file."""


def compose_copy(content: str) -> yaml.Node | None:
    """Return the root of a copy file, without making values of it: PyYAML fails for a date such as 2026-13-45, or a number of 5,000 digits.

    Raises:
        yaml.YAMLError: the file is not valid YAML.
        InvalidCopy: it is nested too deeply.
    """
    try:
        return compose(content)
    except RecursionError:
        raise InvalidCopy("brackets or lists are nested too deeply") from None


def is_text(node: yaml.Node) -> bool:
    """Return whether a value is a text, and not a number, a date or a list."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _TEXT_TAG


@lru_cache(maxsize=256)
def copy_texts(content: str) -> Mapping[str, str]:
    """Return the texts of a copy file by key. All flows read the shared copies, so the result is kept.

    Raises:
        yaml.YAMLError: the file is not valid YAML.
        InvalidCopy: the file has other values than texts.
    """
    root = compose_copy(content)
    if not isinstance(root, yaml.MappingNode) or not all(
        isinstance(key, yaml.ScalarNode) and is_text(value) for key, value in root.value
    ):
        raise InvalidCopy("expected lines of the form `key: text`")
    return MappingProxyType({str(key.value): str(value.value) for key, value in root.value})
