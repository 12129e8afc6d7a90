"""The inbox's journal: an append-only file with one line per accepted email."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

#: Headers that also go into the journal. None of them holds an address or a name.
JOURNAL_HEADERS = ("feedback-id", "list-id", "auto-submitted")


class Accepted(msgspec.Struct, frozen=True):
    """One line of the journal: a mail that was accepted. `received_at_ms` is Unix time, `size` is in bytes."""

    message_id: str
    received_at_ms: int
    size: int
    headers: dict[str, str]


class Journal:
    """The append-only file of what was accepted; a line is in the kernel's hands before `append` returns.

    Args:
        path: the file; an unfinished last line (a crash in mid-write, so never acknowledged) is cut off.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole != self._file.tell():
            self._file.truncate(whole)

    def append(self, accepted: Accepted) -> None:
        """Write one line.

        Raises:
            OSError: it could not be written whole; the mail must not be acknowledged.
        """
        line = msgspec.json.encode(accepted) + b"\n"
        if self._file.write(line) != len(line):
            raise OSError("the journal took only a part of a line")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> Iterator[Accepted]:
    """What the journal at `path` says was accepted, in order; an unfinished last line is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=Accepted)
