"""Problems: what is wrong with the files of a templates folder, where it is, and how to fix it.

Modelled on Django's system checks (`CheckMessage`). `problem_table.py` describes every id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from streams.core.values.text import plain

Level: TypeAlias = Literal["error", "warning"]
#: A line and a column, both counted from 1.
Position: TypeAlias = tuple[int, int]


#: The hints of `text.nearest`, which need no introduction.
_NAMES = re.compile(
    r"did you mean|known: |\w+ (?:names|triggers|events|times): |(?:names|triggers|events|times) start with "
)


class Location(Struct, frozen=True):
    """A position in a file; `line` and `column` count from 1.

    `part` names a part of a flow ("1.0.2", "trigger.where") while its position is unknown; see `language/positions.py`.
    """

    line: int = 1
    column: int = 1
    file: str = ""
    part: str = ""


class Problem(Struct, frozen=True):
    """One thing that is wrong. `hint` says how to fix it.

    The first letter after the dot of `id` is the level: `flow.E001` is an error, `flow.W001` a warning.
    """

    id: str
    message: str
    hint: str
    location: Location = Location()

    @property
    def level(self) -> Level:
        """Whether a worker refuses to start (error), or the configuration is merely redundant (warning)."""
        return "warning" if self.id.partition(".")[2].startswith("W") else "error"

    def in_file(self, path: Path | str, positions: Mapping[str, Position] | None = None) -> Problem:
        """Return the problem with its file. `positions` of the flow's parts give the line and column of `location.part`."""
        line, column = self.location.line, self.location.column
        if positions is not None:
            line, column = positions.get(self.location.part, (1, 1))
        return replace(self, location=Location(line, column, str(path), self.location.part))

    @property
    def text(self) -> str:
        """Level, id, message and hint, without the location."""
        hint = self.hint if _NAMES.match(self.hint) else f"hint: {self.hint}"
        return f"{self.level} {self.id}: {self.message} ({hint})"

    def __str__(self) -> str:
        at = self.location
        return plain(f"{at.file}:{at.line}:{at.column}: {self.text}")

    def as_json(self) -> dict[str, str | int]:
        """Return the problem as `takk flows check --json` prints it. Scripts of shops read these keys."""
        at = self.location
        return {
            "file": at.file,
            "line": at.line,
            "column": at.column,
            "problem": self.message,
            "remedy": self.hint,
            "id": self.id,
            "level": self.level,
        }


def problem_at(part: str, id: str, message: str, hint: str) -> Problem:
    """Return a problem at a part of a flow, for example "1.0.2" or "trigger.where"."""
    return Problem(id, message, hint, Location(part=part))


class FlowFileError(ValueError):
    """The files of a templates folder contain errors, all of them in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    @property
    def errors(self) -> list[str]:
        """One line per error: `file:line:column: error id: message (hint)`."""
        return [str(problem) for problem in self.problems]


def unreadable(path: Path, error: OSError) -> Problem:
    """Return the problem of a file or folder that cannot be read."""
    return Problem("files.E003", f"cannot read: {error.strerror}", "check its permissions").in_file(path)


def not_utf8(path: Path, error: UnicodeDecodeError) -> Problem:
    """Return the problem of a file in another encoding than UTF-8."""
    return Problem("files.E004", f"not valid UTF-8 at byte {error.start}", "save the file as UTF-8").in_file(path)
