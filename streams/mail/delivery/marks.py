"""Marks that only this disk has of a send: whether its data began to leave, and whether the mail server accepted it.

The ledger in Kafka records `in_flight` before any data leaves, and `sent` with the batch. A crash between the two leaves a doubt. The
marks, written at once to the local store, narrow that doubt to the time between the final dot and the server's answer. Marks are lost
with the disk and say nothing of other workers, so a send that another disk had in flight may have left.

The store does not sync its log, so a mark survives its process but not a power loss: the page cache ends with the kernel. Marks are
therefore trusted within one boot of one kernel only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from uuid import uuid4

#: How far a send that was in flight had come before the crash.
CrashState: TypeAlias = Literal["none", "begun", "accepted"]

#: Key of the disk's name. The ledger stores it, joined with the boot id, with every send in flight: it says which marks to trust.
DISK = b"disk"
#: The kernel's random id of the current boot (Linux, random(4)). All containers of a machine share it.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BEGUN = b"1"
ACCEPTED = b"2"
#: Accepted, by an attempt that knew that the email may have left before. An older mailer takes it for a send that has begun.
ACCEPTED_AGAIN = b"3"


class LocalStore(Protocol):
    """A store of marks that survives the process, but not the disk."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written. It is closed when the partition is given away."""

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write the mark of `key`, or delete it if `value` is None."""

    def delete_local(self, keys: Iterable[bytes]) -> None:
        """Delete the marks of `keys`."""

    def get_local(self, key: bytes) -> bytes | None:
        """Return the mark of `key`, or None."""


def boot_id(path: Path = BOOT_ID) -> str:
    """Return the id of the kernel's current boot. A system without one gets a new id per process, so that it trusts no earlier marks."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return uuid4().hex


class DeliveryMarks:
    """The marks of one partition's sends.

    Args:
        store: where the marks are stored.
        name: name of the disk if `store` is new, different from every other disk's name. An existing store keeps its name.
        boot: the id of the current boot, from `boot_id`.

    Attributes:
        disk: name of the disk, joined with the boot. Marks of another disk, or of another boot, are not trusted.
    """

    def __init__(self, store: LocalStore, name: str, boot: str) -> None:
        self._store = store
        if store.get_local(DISK) is None:
            store.put_local(DISK, name.encode())
        self.disk = f"{(store.get_local(DISK) or b'').decode()}.{boot}"

    @property
    def is_open(self) -> bool:
        """Whether marks can be written."""
        return self._store.is_open

    def mark_begun(self, send_id: str) -> None:
        """Record that the data of a send is about to leave."""
        self._store.put_local(send_id.encode(), BEGUN)

    def mark_accepted(self, send_id: str, queue_id: str | None, *, is_resend: bool = False) -> None:
        """Record that the server accepted the email under `queue_id`. A resend may have left before, too."""
        mark = ACCEPTED_AGAIN if is_resend else ACCEPTED
        self._store.put_local(send_id.encode(), mark + (queue_id or "").encode())

    def clear(self, send_id: str) -> None:
        """Delete the mark of a send that the server did not accept."""
        self._store.put_local(send_id.encode(), None)

    def clear_all(self, send_ids: Iterable[str]) -> None:
        """Delete the marks of sends whose outcomes are in the ledger."""
        self._store.delete_local([send_id.encode() for send_id in send_ids])

    def crash_state(self, send_id: str, disk: str | None) -> CrashState:
        """Return how far a send in flight had come.

        Args:
            send_id: the send.
            disk: name of the disk and the boot that marked it, from the ledger. The sends of any other count as begun.
        """
        if disk != self.disk:
            return "begun"
        mark = self._store.get_local(send_id.encode())
        if mark is None:
            return "none"
        return "accepted" if mark.startswith((ACCEPTED, ACCEPTED_AGAIN)) else "begun"

    def queue_id(self, send_id: str) -> str | None:
        """Return the server's id of an accepted email, or None if the server gave no id."""
        mark = self._store.get_local(send_id.encode()) or b""
        return mark[1:].decode() or None if mark.startswith((ACCEPTED, ACCEPTED_AGAIN)) else None

    def is_resend(self, send_id: str) -> bool:
        """Return whether an accepted email may have left before, too."""
        return (self._store.get_local(send_id.encode()) or b"").startswith(ACCEPTED_AGAIN)
