"""What this disk alone knows of a send: whether its data began, and whether the server took it.

The ledger in Kafka says `in flight` before any data leaves, and `sent` only with the batch. In between a crash leaves doubt; these notes,
written at once and cheaply to the local store, narrow it to the moment between the final dot and the server's answer. They are
lost with the disk, and they say nothing of what another worker did meanwhile: such sends in flight are in doubt.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Trace: TypeAlias = Literal["none", "begun", "accepted"]

#: Key of the name of this disk. It stands in the ledger with every send in flight, and tells whose notes to believe.
DISK = b"disk"
BEGUN = b"1"
ACCEPTED = b"2"


class Pad(Protocol):
    """Where notes are written: survives the process, not the disk."""

    def note(self, key: bytes, value: bytes | None) -> None:
        """Write a note, or delete it."""

    def noted(self, key: bytes) -> bytes | None:
        """The note under `key`."""


class Notes:
    """The notes of one partition's sends on `pad`. A new pad is called `name`, which no other was ever called; an old one keeps its own."""

    def __init__(self, pad: Pad, name: str) -> None:
        self._pad = pad
        if pad.noted(DISK) is None:
            pad.note(DISK, name.encode())
        self.disk = (pad.noted(DISK) or b"").decode()

    def begin(self, send_id: str) -> None:
        """The data is about to leave."""
        self._pad.note(send_id.encode(), BEGUN)

    def accept(self, send_id: str, queue_id: str | None) -> None:
        """The server took the mail, and calls it `queue_id`."""
        self._pad.note(send_id.encode(), ACCEPTED + (queue_id or "").encode())

    def forget(self, send_id: str) -> None:
        """The server did not take the mail, or the ledger knows how it ended."""
        self._pad.note(send_id.encode(), None)

    def trace(self, send_id: str, disk: str | None) -> Trace:
        """What is known of a send in flight that the disk called `disk` noted. What another one noted may have begun."""
        if disk != self.disk:
            return "begun"
        note = self._pad.noted(send_id.encode())
        if note is None:
            return "none"
        return "accepted" if note.startswith(ACCEPTED) else "begun"

    def queue_id(self, send_id: str) -> str | None:
        """The server's name for a mail that it took."""
        note = self._pad.noted(send_id.encode()) or b""
        return note[1:].decode() or None if note.startswith(ACCEPTED) else None
