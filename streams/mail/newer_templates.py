"""Commands of an email that this mailer's templates do not have yet.

While new templates roll out, a worker may have them before this mailer. The email then waits for its next attempt: the mailer that owns the
partition by then may have them. A flow or a message that was deleted, and a version that was rolled back, look the same, so the wait ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from streams.mail.command import Command
from streams.mail.delivery.ledger import retry_at
from streams.mail.report import Report

log = structlog.get_logger(__name__)

#: How long after the first command an email waits for a newer version. Then this mailer sends its own version of the message.
LONGEST_FOR_VERSION = timedelta(hours=1)
#: The same for an unknown message, which cannot be sent at all: a weekend passes between a rollout that stops halfway and its repair.
LONGEST_FOR_MESSAGE = timedelta(days=7)
#: Seconds between two attempts, at most.
LONGEST_BACKOFF_S = 3600


class NewerTemplates:
    """Decides which commands wait for newer templates.

    Args:
        newest_versions: flow -> its newest version in the templates of this mailer. A reload changes it.
        backoff_scale: factor of all waits.
    """

    def __init__(self, newest_versions: Mapping[str, int], backoff_scale: float) -> None:
        self._newest = newest_versions
        self._scale = backoff_scale
        self._logged: set[tuple[str, int]] = set()

    def wait_for_version(self, command: Command, now: datetime) -> Report | None:
        """Return the report of a command that waits because its version of the flow is newer than all here. None if it does not wait."""
        newest = self._newest.get(command.flow)
        if newest is None or command.flow_version <= newest:
            return None
        text = describe_problem(command, f"the newest version here is {newest}")
        return self._wait(command, now, LONGEST_FOR_VERSION, text)

    def wait_for_message(self, command: Command, now: datetime, problem: str) -> Report | None:
        """Return the report of a command that waits for its message. None if newer templates no longer have it, or if the wait is over.

        Args:
            command: the command.
            now: the present, UTC.
            problem: what is missing.
        """
        if command.flow_version < self._newest.get(command.flow, 0):
            return None
        return self._wait(command, now, LONGEST_FOR_MESSAGE, describe_problem(command, problem))

    def _wait(self, command: Command, now: datetime, longest: timedelta, text: str) -> Report | None:
        end = command.commanded_at + longest * self._scale
        due = retry_at(command, now, self._scale, longest_s=LONGEST_BACKOFF_S)
        if due is None or now >= end:
            return None
        key = (command.flow, command.flow_version)
        if key not in self._logged and len(self._logged) < 1000:
            self._logged.add(key)
            log.warning(
                "emails wait for newer templates",
                flow=command.flow,
                flow_version=command.flow_version,
                message=command.message,
                hint="give this mailer the templates of the workers",
            )
        return Report(
            command=command, outcome="deferred", at=now, rule="newer_templates", text=text, retry_at=min(due, end)
        )


def describe_problem(command: Command, problem: str) -> str:
    """Return `problem` with the flow, the message and the version that it concerns."""
    place = f"{command.flow}/{command.message}"
    return f"{place}, version {command.flow_version}: {problem.removeprefix(f'{place}: ')}"
