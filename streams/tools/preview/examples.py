"""The examples with which a message is shown: the shop's own files, and sample data with every optional part and with as few as possible."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.core.rules.flow import Flow, Send
from streams.definitions.checks.sample_data import template_sample
from streams.mail.rendering.template_folders import message_names

#: The name of the data in `example.json`. Data in `example.<name>.json` has the name in the file's name. If that is a message, or begins with
#: one and a dot, the data is for that message only.
OWN = "example"
#: Sample data with every optional part, and with as few as possible.
FULL, LEAST = "full", "least"
_OWN_FILES = f"{OWN}*.json"


class InvalidExample(ValueError):
    """An example that cannot be read. The text names the file."""


def example_files(folder: Path) -> dict[str, Path]:
    """Return the shop's own examples in a flow's folder by name. `example.json` is the first."""
    found = {path.name.removesuffix(".json").removeprefix(f"{OWN}."): path for path in folder.glob(_OWN_FILES)}
    return dict(sorted(found.items(), key=lambda item: (item[0] != OWN, item[0])))


def example_names(folder: Path, message: str, step: Send | None, *, has_samples: bool = True) -> tuple[str, ...]:
    """Return the names of the examples of a message: its own, else those of the flow.

    Args:
        folder: the flow's folder.
        message: the message.
        step: the step that sends the message; None if no step does, or if the flow contains errors. Then there is no sample data.
        has_samples: whether sample data counts although the shop has examples of its own.
    """
    messages = message_names(folder)
    found = {name: name.partition(".")[0] if name != OWN else "" for name in example_files(folder)}
    own = tuple([name for name, first in found.items() if first == message])
    own = own or tuple([name for name, first in found.items() if first not in messages])
    return (*own, FULL, LEAST) if step is not None and (has_samples or not own) else own


def read_example(folder: Path, name: str, flow: Flow | None, step: Send | None) -> Mapping[str, Any]:
    """Return the data of an example.

    Raises:
        InvalidExample: it is unknown, or its file is not a JSON object.
    """
    path = example_files(folder).get(name)
    if path is None:
        if flow is None or step is None or name not in (FULL, LEAST):
            raise InvalidExample(f"unknown example {name!r} of {folder.name}")
        return template_sample(flow, step, is_full=name == FULL)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidExample(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise InvalidExample(f"{path}: not a JSON object")
    return data
