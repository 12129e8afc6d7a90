"""Checks of copy files, and the positions of their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.reader import ReaderError

from streams.definitions.language.yaml_reader import invalid_yaml
from streams.definitions.problems import Location, Position, Problem

_TEXT_TAG = "tag:yaml.org,2002:str"
_LINES = 'write each text as key: "text"'


def check_copy(path: Path) -> Iterator[Problem]:
    """Yield what prevents a copy file from being read: invalid YAML, and values that are not texts.

    Args:
        path: a UTF-8 file.
    """
    content = path.read_text(encoding="utf-8")
    try:
        texts = yaml.safe_load(content)
        root = yaml.compose(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        yield invalid_yaml(error).in_file(path)
        return
    except (yaml.YAMLError, ReaderError) as error:
        yield Problem("yaml.E001", f"invalid YAML: {error}", "remove the character").in_file(path)
        return
    if not isinstance(root, yaml.MappingNode):
        yield Problem("message.E007", "the file has no texts", _LINES).in_file(path)
    elif not all(isinstance(text, str) for text in texts.values()):
        for key, value in root.value:
            if value.tag != _TEXT_TAG:
                message = f"the value of {key.value!r} is not a text"
                location = Location(value.start_mark.line + 1, value.start_mark.column + 1)
                yield Problem("message.E007", message, "put quotes around it", location).in_file(path)


def text_position(path: Path, key: str, word: str) -> Position | None:
    """Return the position of a text in a copy file, or of `word` in it; None if the file has no such text."""
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    root = yaml.compose(content, yaml.SafeLoader)
    for name, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key:
            start, end = value.start_mark, value.end_mark
            written = content[start.index : end.index]
            offset = start.index + max(written.find(word), 0)
            before = content[:offset]
            return before.count("\n") + 1, offset - before.rfind("\n")
    return None
