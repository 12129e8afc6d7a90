"""The owner of a name in a group: the state folder whose process uses it.

A name (KIP-345) belongs to one process. When a second one joins under it, the broker gives the name a new member id, and no longer knows
that of the first. The state folder keeps the newest member id of its process. So a process recognises its own predecessor, which the
broker lists until its session ends, and another process that has taken the name. A process with a new folder takes the name over: its
predecessor may have lost its disk.

The client id and the host that the broker lists cannot show that: they stay those of the name's first process
(ClassicGroup.replaceStaticMember in Kafka).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from streams.runtime.faust_adapter.group_members import Member

log = structlog.get_logger(__name__)


class NameOwner:
    """The right of a process to its name.

    Args:
        folder: the state folder, which the process keeps.
        instance_id: the name, or None.

    Attributes:
        member_id: the newest member id of this folder's process; empty for a new folder.
    """

    def __init__(self, folder: Path, instance_id: str | None) -> None:
        self.instance_id = instance_id
        self._file = folder / "name-owner"
        self.member_id = self._file.read_text().strip() if self._file.exists() else ""

    def keep(self, member_id: str) -> None:
        """Keep the member id that the broker has given this process, for the next start."""
        if self.instance_id is None or member_id == self.member_id:
            return
        self.member_id = member_id
        new = self._file.with_suffix(".new")
        try:
            new.write_text(member_id)
            new.replace(self._file)
        except OSError as error:
            # The next start waits until the session of this process has ended.
            log.warning("the owner of the name is not kept", at=str(self._file), error=error)

    def other(self, members: Iterable[Member]) -> Member | None:
        """Return the member that uses the name and is not this folder's process, or None if this process may use the name.

        Args:
            members: the members of the group, as the broker lists them.
        """
        if self.instance_id is None or not self.member_id:
            return None
        owners = (member for member in members if member.group_instance_id == self.instance_id)
        return next((member for member in owners if member.member_id != self.member_id), None)
