"""The inbox's journal: an append-only file with one line per accepted email."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

#: Headers that the journal contains. They never contain an address or a name.
JOURNAL_HEADERS = ("feedback-id", "list-id", "auto-submitted")


class JournalEntry(msgspec.Struct, frozen=True):
    """A line of the journal: an accepted email. `received_at_ms` is Unix time in ms, `size` is in bytes."""

    message_id: str
    received_at_ms: int
    size: int
    headers: dict[str, str]


class Journal:
    """The append-only file of accepted emails. The kernel has a line before `append` returns.

    Args:
        path: the file. An incomplete last line is removed: it was never acknowledged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole != self._file.tell():
            self._file.truncate(whole)

    def append(self, accepted: JournalEntry) -> None:
        """Write one line.

        Raises:
            OSError: the line was not written completely; the email must not be acknowledged.
        """
        line = msgspec.json.encode(accepted) + b"\n"
        if self._file.write(line) != len(line):
            raise OSError("only a part of the line was written")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> Iterator[JournalEntry]:
    """Yield the accepted emails of the journal at `path`, in order, without an incomplete last line."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=JournalEntry)
