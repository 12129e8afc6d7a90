"""The problems of a templates folder, beside the messages that they concern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from streams.definitions.layers import Layers
from streams.definitions.problems import Problem
from streams.mail.rendering.template_folders import COPY
from streams.tools.preview.emails import Message


class PlacedProblem(Struct, frozen=True):
    """A problem as a page shows it.

    Attributes:
        level: `error` or `warning`.
        id, message, hint: as of the problem.
        place: the file relative to the templates folder, with line and column.
        file: the path of the file that was read.
        line: its line.
    """

    level: str
    id: str
    message: str
    hint: str
    place: str
    file: Path
    line: int


def place(problems: Iterable[Problem], layers: Layers) -> tuple[PlacedProblem, ...]:
    """Return problems with places relative to the templates folder, errors first. Files of Takk have their whole path."""
    placed = []
    for problem in problems:
        file = shown = Path(problem.location.file)
        if file.is_relative_to(layers.shop):
            shown = file.relative_to(layers.shop)
            file = layers.path / shown
        elif file.is_relative_to(layers.library):
            file = layers.path / file.relative_to(layers.library)
        at = f"{shown}:{problem.location.line}:{problem.location.column}"
        placed.append(
            PlacedProblem(problem.level, problem.id, problem.message, problem.hint, at, file, problem.location.line)
        )
    return tuple(sorted(placed, key=lambda each: each.level != "error"))


def problems_of_flow(problems: Sequence[PlacedProblem], folder: Path) -> list[PlacedProblem]:
    """Return the problems of the files in a flow's folder."""
    return [problem for problem in problems if problem.file.is_relative_to(folder)]


def problems_of_message(problems: Sequence[PlacedProblem], message: Message, language: str = "") -> list[PlacedProblem]:
    """Return the problems of the files in a flow's folder that concern a message.

    Problems of another message's templates are left out, and with a `language` those of copies in other languages. A problem of a
    text of another message is left out too: the keys of texts that belong to one message start with its name.
    """
    return [problem for problem in problems_of_flow(problems, message.folder) if _concerns(problem, message, language)]


def problems_elsewhere(problems: Sequence[PlacedProblem], folders: Iterable[Path]) -> list[PlacedProblem]:
    """Return the problems of files that no flow has alone: shared templates, the brand, rules and segments."""
    own = tuple(folders)
    return [problem for problem in problems if not any(problem.file.is_relative_to(folder) for folder in own)]


def _concerns(problem: PlacedProblem, message: Message, language: str) -> bool:
    name = problem.file.name
    if name.endswith(".j2"):
        return name.split(".")[0] == message.name
    if problem.file.parent.name == COPY and language and problem.file.stem != language:
        return False
    others = {path.name.split(".")[0] for path in message.folder.glob("*.j2")} - {message.name}
    key = problem.message.partition("'")[2].partition("'")[0]
    return key.partition(".")[0] not in others if "." in key else True
