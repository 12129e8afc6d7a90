"""The owner of a name in a group: the state folder whose process uses it.

A name (KIP-345) belongs to one process. When a second one joins under it, the broker removes the first. aiokafka joins again at once, so two
running processes take the name from each other until one of them ends. That one then looks whose process uses the name before it joins, unless
its folder is new.

The broker lists the client id of each member. A process has the id of its state folder there, so it recognises its own predecessor, which
the broker lists until its session ends. A process with a new folder takes the name over: its predecessor may have lost its disk. The broker
then keeps the client id of the predecessor and only changes the member id (KIP-345), so the folder has that one too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class NameOwner:
    """The right of a process to its name.

    Args:
        folder: the state folder, which the process keeps.
        instance_id: the name, or None.

    Attributes:
        client_id: the client id of the process in its group.
    """

    def __init__(self, folder: Path, instance_id: str | None) -> None:
        self.instance_id = instance_id
        self._file = folder / "name-owner"
        kept = self._file.read_text().split() if self._file.exists() else []
        self._is_new = not kept
        self.client_id = kept[0] if kept else f"takk-{uuid.uuid4().hex}"
        self._member_id = kept[1] if len(kept) > 1 else ""

    def keep(self, member_id: str) -> None:
        """Keep the client id and the member id for the next start.

        Call it once the process is a member: before that, it has not taken the name over.
        """
        if not self._is_new and member_id == self._member_id:
            return
        self._is_new = False
        self._member_id = member_id
        new = self._file.with_suffix(".new")
        try:
            new.write_text(f"{self.client_id}\n{member_id}\n")
            new.replace(self._file)
        except OSError as error:
            # The next start takes the name over, as with a new folder.
            log.warning("the owner of the name is not kept", at=str(self._file), error=error)

    def other(self, members: Iterable[Any], member_id: str = "") -> Any | None:
        """Return the member of another folder that uses the name, or None if this process may use it.

        Args:
            members: the members of the group, as librdkafka describes them.
            member_id: the member id of this process, once it has one.
        """
        if self.instance_id is None or self._is_new:
            return None
        owners = (member for member in members if member.group_instance_id == self.instance_id)
        own = {self._member_id, member_id}
        return next((m for m in owners if m.client_id != self.client_id and m.member_id not in own), None)
