"""Texts of the copy that no template uses: left over, or misspelt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import yaml
from jinja2 import DictLoader, TemplateSyntaxError, nodes

from streams.core.sending.greeting import MOODS
from streams.core.values.text import similar
from streams.definitions.language.yaml_reader import location
from streams.definitions.problems import Problem
from streams.mail.rendering.copy import InvalidCopy, compose_copy
from streams.mail.rendering.environment import new_environment
from streams.mail.rendering.occasions import read_occasions
from streams.mail.rendering.salutations import words_of
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.template_folders import COPY, flow_folders, message_names, shared_templates
from streams.mail.rendering.texts import MESSAGE_TEXTS

#: The texts of greetings and closings, which templates use by other names. `regards` is the closing of earlier versions.
_MOODS = ("regards", *(key for mood in MOODS for key in words_of(mood)))
#: The texts of documents begin with this.
_DOCUMENTS = "document."


def check_unused_copy(root: Path) -> list[Problem]:
    """Return a warning for each text that no template uses, at its line. Files that cannot be read are left out.

    Args:
        root: the templates folder.
    """
    environment = new_environment(DictLoader({}), autoescape=True)
    shared_files = _copies(root)
    shared = [_Uses.of(environment, _texts_of(shared_templates(root), shared_files))]
    shared[0].keys.update([key for name in read_occasions(root).names for key in words_of(name)])
    problems: list[Problem] = []
    everywhere = [*shared]
    for folder in flow_folders(root).values():
        files = _copies(folder)
        own = _Uses.of(environment, _texts_of(folder.glob("*.j2"), files))
        own.keys.update([f"{name}.{part}" for name in message_names(folder) for part in MESSAGE_TEXTS])
        everywhere.append(own)
        for path in files:
            problems += _unused(path, [own, *shared])
    for path in shared_files:
        problems += _unused(path, everywhere)
    return problems


class _Uses:
    """The texts that some templates use.

    Attributes:
        keys: keys that are written out.
        patterns: keys that are put together, as in `t("row." ~ row.kind)`.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set(_MOODS)
        self.patterns: set[str] = set()

    @classmethod
    def of(cls, environment: Sandbox, sources: Iterable[str]) -> _Uses:
        """Return the texts that the sources of templates and texts use, as far as they can be parsed."""
        uses = cls()
        for source in sources:
            try:
                tree = environment.parse(source)
            except TemplateSyntaxError:
                continue  # reported where the message is rendered
            for call in tree.find_all(nodes.Call):
                if isinstance(call.node, nodes.Name) and call.node.name == "t" and len(call.args) == 1:
                    uses.add(call.args[0])
        return uses

    def add(self, key: nodes.Expr) -> None:
        """Note a use of a text."""
        if isinstance(key, nodes.CondExpr):
            for side in (key.expr1, key.expr2):
                self.add(side) if side is not None else None
        elif isinstance(key, nodes.Const):
            self.keys.add(str(key.value))
        else:
            parts = _parts(key)
            self.patterns.add("".join(re.escape(part) if part is not None else ".*" for part in parts))

    def has(self, key: str) -> bool:
        """Return whether a text is used."""
        return (
            key in self.keys
            or key.startswith(_DOCUMENTS)
            or any(re.fullmatch(pattern, key) for pattern in self.patterns)
        )


def _parts(key: nodes.Expr) -> Iterator[str | None]:
    """Yield the parts that a key is put together of; None for one that is known only when an email is written."""
    if isinstance(key, nodes.Const):
        yield str(key.value)
    elif isinstance(key, nodes.Concat):
        for node in key.nodes:
            yield from _parts(node)
    elif isinstance(key, nodes.Add):
        yield from _parts(key.left)
        yield from _parts(key.right)
    else:
        yield None


def _unused(path: Path, uses: Collection[_Uses]) -> Iterator[Problem]:
    entries = dict(_entries(path))
    missing = {key for each in uses for key in each.keys} - entries.keys()
    for key, mark in entries.items():
        if not any(each.has(key) for each in uses):
            meant = similar(key, sorted(missing))
            hint = f"did you mean {meant!r}?" if meant is not None else "remove it, or use it in a template"
            problem = Problem("message.W005", f"no template uses the text {key!r}", hint, location(mark))
            yield problem.in_file(path)


def _copies(folder: Path) -> list[Path]:
    return sorted((folder / COPY).glob("*.yaml"))


def _texts_of(templates: Iterable[Path], copies: Iterable[Path]) -> Iterator[str]:
    """Yield the sources of templates, and the texts of copy files, which may use other texts."""
    for path in templates:
        yield _content(path)
    for path in copies:
        if (root := _root(path)) is not None:
            yield from [str(value.value) for _, value in root.value if isinstance(value, yaml.ScalarNode)]


def _entries(path: Path) -> Iterator[tuple[str, yaml.Mark]]:
    """Yield the keys of a copy file with their positions."""
    if (root := _root(path)) is not None:
        yield from [(str(key.value), key.start_mark) for key, _ in root.value if isinstance(key, yaml.ScalarNode)]


def _root(path: Path) -> yaml.MappingNode | None:
    """Return the root of a copy file; None if it cannot be read, which `check_messages` reports."""
    try:
        root = compose_copy(_content(path))
    except (yaml.YAMLError, InvalidCopy):
        return None
    return root if isinstance(root, yaml.MappingNode) else None


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # `check_messages` reports it
