"""Layers: a shop's templates folder over the library, the templates that Takk comes with.

A folder with `library.yaml` has only what the shop changes, and the names of the flows of Takk that run. It is read as one folder, whose files
are put together in memory. A folder without `library.yaml` is read as it is.

A flow is one unit: the shop's folder of a flow replaces the whole folder of Takk, so texts and templates of two versions never mix. The
brand and the consent policy are statements of the shop, so they never come from Takk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from errno import ELOOP
from pathlib import Path, PurePosixPath
from textwrap import indent
from typing import TypeAlias

import yaml
from msgspec import Struct
from msgspec.structs import replace

from streams.core.values import ids
from streams.core.values.text import nearest
from streams.definitions.checks.shop_brand import BRAND
from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem, not_utf8
from streams.mail.rendering.copy import InvalidCopy, compose_copy, copy_texts
from streams.mail.rendering.template_folders import COPY, FLOWS, SHARED
from streams.settings import PROJECT_ROOT

#: The templates that Takk comes with.
LIBRARY = PROJECT_ROOT / "templates"
#: The file that makes a templates folder a layer over the library.
MARKER = "library.yaml"
#: The file with the segments. Like shared copies, it is put together key by key.
SEGMENTS = "segments.yaml"
#: Files that never come from the library, besides those of flows that are off: the shop itself must state what they say.
_OWN = frozenset({BRAND, "consent.yaml"})
#: Folders at the top of a templates folder that no process reads.
_UNREAD = frozenset({"stories", "tests"})
#: Folders in each other. Takk has four. Links between folders can make more without end.
MOST_LEVELS = 20
#: Characters after which YAML would break a line: never.
_ENDLESS = 1_000_000
#: Characters of a version: enough to tell all versions of a folder apart.
VERSION_LENGTH = 12

#: The content of files, by their path relative to the templates folder, with slashes.
Files: TypeAlias = Mapping[str, bytes]


class Layers(Struct, frozen=True, kw_only=True):
    """A templates folder as it is read.

    Attributes:
        path: the folder to read. With a library it has the files of both layers.
        shop: the folder of the shop.
        library: the folder of the library.
        off: the flows of the library that do not run.
        problems: the problems of `library.yaml`.
        inherited: the files of `path` that come from the library.
        own_lines: the number of lines of each text file that has lines of the library after those of the shop.
    """

    path: Path
    shop: Path
    library: Path = LIBRARY
    off: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    inherited: frozenset[str] = frozenset()
    own_lines: Mapping[str, int] = {}

    def located(self, problem: Problem) -> Problem:
        """Return a problem of `path` at the file of the layer that it comes from."""
        return self._located(problem)[0]

    def shown(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems of `path`, each at the file of its layer, without warnings of the library: a shop cannot act on them."""
        return tuple([each for each, is_own in map(self._located, problems) if is_own or each.level == "error"])

    def _located(self, problem: Problem) -> tuple[Problem, bool]:
        file = Path(problem.location.file)
        if self.path == self.shop or not file.is_relative_to(self.path):
            return problem, True
        name = file.relative_to(self.path).as_posix()
        is_own = not self._is_inherited(name, problem.location.line)
        layer = self.shop if is_own else self.library
        return replace(problem, location=replace(problem.location, file=str(layer / name))), is_own

    def _is_inherited(self, name: str, line: int) -> bool:
        if name in self.own_lines:
            return line > self.own_lines[name]
        folder = "/".join(name.split("/")[:3]) if _flow_of(name) else name  # a flow is of one layer, also what it lacks
        return name in self.inherited or any(file.startswith(f"{folder}/") for file in self.inherited)


class Snapshot(Struct, frozen=True):
    """The content of a templates folder at one moment.

    Attributes:
        version: the hash of the shop's files.
        files: the files of both layers.
        layers: where they come from, with the shop's folder as `path`.
    """

    version: str
    files: Files
    layers: Layers

    def write(self, target: Path) -> Layers:
        """Write the files below `target`, which need not exist, and return them as layers.

        Raises:
            OSError: they cannot be written.
        """
        for name, content in self.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return replace(self.layers, path=target)


def read_snapshot(root: Path, library: Path = LIBRARY) -> Snapshot:
    """Return the content of a templates folder, with what it takes from the library.

    Raises:
        OSError: a file or folder cannot be read.
    """
    shop = read_files(root)
    layers = Layers(path=root, shop=root, library=library)
    if MARKER not in shop:
        return Snapshot(version_of(shop), shop, layers)
    takk = read_files(library)
    flows, problems = _flows(shop[MARKER], takk)
    files = {name: content for name, content in takk.items() if _is_taken(name, shop, flows)}
    inherited = frozenset(files) - shop.keys()
    own_lines: dict[str, int] = {}
    for name, content in shop.items():
        files[name] = content
        if name in takk and (name == SEGMENTS or _is_shared_copy(name)):
            files[name] = _with_missing_texts(content, takk[name])
            own_lines[name] = content.rstrip().count(b"\n") + 1
    del files[MARKER]
    off = {flow for name in takk if (flow := _flow_of(name))} - set(flows) - {_flow_of(name) for name in shop}
    return Snapshot(
        version_of(shop),
        files,
        replace(
            layers,
            off=frozenset(off),
            problems=tuple([problem.in_file(root / MARKER) for problem in problems]),
            inherited=inherited,
            own_lines=own_lines,
        ),
    )


@contextmanager
def open_layers(root: Path, library: Path = LIBRARY) -> Iterator[Layers]:
    """Return a templates folder as it is read. With a library, it is a temporary folder until the end of the context.

    Raises:
        OSError: a file of a folder with `library.yaml` cannot be read.
    """
    if not (root / MARKER).is_file():
        yield Layers(path=root, shop=root, library=library)
        return
    with tempfile.TemporaryDirectory(prefix="takk-templates-") as folder:
        yield read_snapshot(root, library).write(Path(folder))


def version_of(files: Files) -> str:
    """Return the version of the content of a templates folder: a hash, as hexadecimal text."""
    # A name on Linux may be any bytes.
    parts = [part for name in sorted(files) for part in (os.fsencode(name), files[name])]
    return ids.digest_of(*parts)[:VERSION_LENGTH]


def read_files(root: Path) -> dict[str, bytes]:
    """Return the files of a templates folder, without hidden ones, pages for people, stories and tests.

    Raises:
        OSError: a file or folder cannot be read.
    """
    return {name: path.read_bytes() for name, path in paths_of(root)}


def paths_of(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that `read_files` reads: the names and the paths. Pipes and devices are not files: reading one may never end.

    Raises:
        OSError: a folder cannot be read, or has more than `MOST_LEVELS` folders in each other.
    """
    yield from _paths(root, "", (os.path.realpath(root),))


def _paths(folder: Path, prefix: str, parents: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    if len(parents) > MOST_LEVELS:
        raise OSError(ELOOP, f"more than {MOST_LEVELS} folders in each other", str(folder))
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        name = entry.name
        if name.startswith((".", "__pycache__")) or name.endswith(("~", ".md")) or (not prefix and name in _UNREAD):
            continue
        if not entry.is_dir():
            # A link that leads nowhere is an error where it is read.
            if entry.is_file() or not os.path.exists(entry.path):
                yield prefix + name, Path(entry.path)
        # A mounted folder may consist of links (as a Kubernetes ConfigMap does), and a link may lead to a parent.
        elif (real := os.path.realpath(entry.path)) not in parents:
            yield from _paths(Path(entry.path), f"{prefix}{name}/", (*parents, real))


def _is_taken(name: str, shop: Files, flows: Iterable[str]) -> bool:
    """Return whether a file of the library is part of the whole, unless the shop has a file with its name."""
    flow = _flow_of(name)
    if flow:
        return flow in flows and not any(_flow_of(own) == flow for own in shop)
    top = PurePosixPath(name).parts[0]
    return name not in _OWN and (top in (SHARED, COPY) or "/" not in name)


def _flow_of(name: str) -> str:
    """Return the flow that a file belongs to, or "" if it belongs to none."""
    parts = name.split("/")
    return parts[2] if len(parts) > 3 and parts[0] == FLOWS else ""


def _is_shared_copy(name: str) -> bool:
    return name.startswith(f"{COPY}/") and name.count("/") == 1


def _with_missing_texts(own: bytes, takk: bytes) -> bytes:
    """Return a file of texts or conditions of the shop, and after its lines those of Takk that it lacks.

    An invalid one stays as it is: a check reports it.
    """
    try:
        keys, column = _keys(own.decode())
        missing = {key: text for key, text in copy_texts(takk.decode()).items() if key not in keys}
        if not missing:
            return own
        lines = yaml.safe_dump(missing, allow_unicode=True, sort_keys=False, width=_ENDLESS, default_style='"')
        whole = own.rstrip() + b"\n" + indent(lines, " " * column).encode()
        _keys(whole.decode())  # the shop's lines may be in a form that no line can follow
    except (UnicodeDecodeError, yaml.YAMLError, InvalidCopy):
        return own
    return whole


def _keys(content: str) -> tuple[frozenset[str], int]:
    """Return the keys of a file, and the column at which they begin. A file with comments only has none.

    Raises:
        yaml.YAMLError: the file is not valid YAML.
        InvalidCopy: the file does not have keys with values.
    """
    root = compose_copy(content)
    if root is None:
        return frozenset(), 0
    if not isinstance(root, yaml.MappingNode):
        raise InvalidCopy("expected lines of the form `key: text`")
    return frozenset([str(key.value) for key, _ in root.value]), root.start_mark.column


def _flows(content: bytes, takk: Files) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the flows of the library that run, and the problems of `library.yaml`."""
    known = sorted({flow for name in takk if (flow := _flow_of(name))})
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return (), [not_utf8(Path(MARKER), error)]
    parsed = read_yaml(text, _MarkerReader(known), _MarkerReader.flows)
    return ((), parsed) if isinstance(parsed, list) else (parsed, [])


class _MarkerReader(Reader):
    """Reads `library.yaml`; `known` are the flows of the library."""

    def __init__(self, known: list[str]) -> None:
        super().__init__()
        self._known = known

    def flows(self, root: yaml.Node | None) -> tuple[str, ...]:
        """Return the flows of the library that run."""
        values = self.mapping(root or empty(MARKER), ("flows",), ("flows",))
        names = []
        for node in self.items(values["flows"], "flows") if "flows" in values else []:
            name = self.text(node)
            if name in self._known:
                names.append(name)
            else:
                hint = nearest(name, self._known)
                self.error("files.E011", node, f"Takk has no flow {name!r}", hint)
        return tuple(names)
