"""Checks of copy files, and the positions of their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.reader import ReaderError

from streams.definitions.language.yaml_reader import invalid_character, invalid_yaml, location
from streams.definitions.problems import Location, Position, Problem
from streams.mail.rendering.copy import InvalidCopy, compose_copy, is_text
from streams.mail.rendering.yaml_nodes import compose

#: The most characters of a key in a message.
MAX_SHOWN = 60
_LINES = 'write each text as key: "text"'


def check_copy(path: Path) -> Iterator[Problem]:
    """Yield what prevents a copy file from being read: invalid YAML, and values that are not texts.

    Args:
        path: a UTF-8 file.
    """
    content = path.read_text(encoding="utf-8")
    try:
        root = compose_copy(content)
    except yaml.MarkedYAMLError as error:
        yield invalid_yaml(error).in_file(path)
        return
    except ReaderError as error:
        yield invalid_character(content, error).in_file(path)
        return
    except InvalidCopy as error:
        yield Problem("yaml.E004", str(error), "remove some levels", Location(1)).in_file(path)
        return
    if not isinstance(root, yaml.MappingNode):
        yield Problem("message.E007", "the file has no texts", f"{_LINES}, or remove the file", Location(1)).in_file(
            path
        )
        return
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode):
            yield Problem("message.E007", "the key is not a text", _LINES, location(key.start_mark)).in_file(path)
        elif not is_text(value):
            message = f"the value of {key.value[:MAX_SHOWN]!r} is not a text"
            yield Problem("message.E007", message, "put quotes around it", location(value.start_mark)).in_file(path)


def text_position(path: Path, key: str, word: str, number: int = 1) -> Position | None:
    """Return the position of a text in a copy file; None if the file has no such text.

    Args:
        path: a UTF-8 file.
        key: the key of the text.
        word: the word in it that the position is of; "" for none.
        number: the line of the text without such a word, from 1. Only in a block (`|`) it is a line of the file.
    """
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    root = compose(content)
    for name, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key:
            start, end = value.start_mark, value.end_mark
            written = content[start.index : end.index]
            if word not in written or not word:
                lines = written.splitlines()
                if value.style != "|" or number >= len(lines):
                    return start.line + 1, start.column + 1
                line = lines[number]
                return start.line + number + 1, len(line) - len(line.lstrip()) + 1
            before = content[: start.index + written.find(word)]
            return before.count("\n") + 1, len(before) - before.rfind("\n")
    return None
