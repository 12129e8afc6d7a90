"""Emails whose batch no longer waits for the mail server's answer: the server answers their neighbours, and is silent after their data.

The attempt of such an email continues until the server answers or the timeout of the answer ends. It begins nothing more, and only updates
the mark of its email. The retry of the email finds the mark, and reports the outcome: see `plan_delivery`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from streams.mail.attempt import Item
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.smtp.answers import Accepted, Answer, Unknown
from streams.mail.delivery.window import Window
from streams.mail.outcomes import report_unanswered
from streams.mail.report import Report

log = structlog.get_logger(__name__)

#: Seconds from the end of an answer's timeout to the retry, per attempt. The clocks of the mailer and of the scheduler may differ, so a retry
#: may come too early. The next one then comes later.
MARGIN_S = 60.0


@dataclass
class _Left:
    item: Item
    marks: DeliveryMarks
    task: asyncio.Task[None]
    ends_at: float
    is_waived: bool = False


class Unanswered:
    """The emails of a process that still wait for an answer, although their batches do not.

    Args:
        window: the emails in doubt of the process. These are among them.
        timeout_s: seconds after the beginning of its data at which each attempt has ended.
    """

    def __init__(self, window: Window, timeout_s: float) -> None:
        self._window = window
        self._timeout_s = timeout_s
        self._left: dict[str, _Left] = {}

    def add(self, marks: DeliveryMarks, item: Item) -> None:
        """Note that the batch of `item` no longer waits for it. `marks` are those of its partition."""
        if item.task is None:
            raise ValueError(f"send {item.command.send_id} is not attempted")
        send_id = item.command.send_id
        self._left[send_id] = _Left(item, marks, item.task, item.begun_at + self._timeout_s)
        self._window.take(1)
        item.task.add_done_callback(partial(self._end, send_id))

    def _end(self, send_id: str, task: asyncio.Task[None]) -> None:
        del self._left[send_id]
        self._window.give_back(1)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("waiting for an answer failed", send_id=send_id, error=type(error).__name__, exc_info=error)

    def is_waiting(self, send_id: str) -> bool:
        """Return whether an email still waits for its answer."""
        return send_id in self._left

    def report(self, command: Command, at: datetime) -> Report:
        """Return the report of an email that waits for its answer: its retry is when the attempt must have ended.

        Args:
            command: the command to send it.
            at: the current time, UTC.
        """
        left, margin_s = self._left.get(command.send_id), MARGIN_S * command.attempt
        if left is None:  # the answer has come since the email was planned
            return report_unanswered(command, at, margin_s, is_resend=False)
        rest_s = max(0.0, left.ends_at - asyncio.get_running_loop().time())
        return report_unanswered(command, at, rest_s + margin_s, is_resend=left.item.is_again)

    async def wait(self, marks: DeliveryMarks) -> None:
        """Wait until no email of the partition with these marks waits for its answer.

        After a call that was cancelled, a later one does not wait for the same emails: a process that stops calls it several times.
        """
        while here := [left for left in self._left.values() if left.marks is marks and not left.is_waived]:
            try:
                await asyncio.wait([left.task for left in here])
            except asyncio.CancelledError:
                for left in here:
                    left.is_waived = True
                raise


def mark_late(marks: DeliveryMarks, command: Command, plan: Plan, answer: Answer) -> None:
    """Update the mark of an email after an answer for which its batch no longer waited.

    Args:
        marks: the marks of its partition.
        command: the command to send it.
        plan: the plan of the copy that was answered.
        answer: the answer. If it is unknown, the mark stays as it is.
    """
    if not marks.is_open:
        log.info("answer to an email of a partition that this mailer no longer owns", send_id=command.send_id)
    elif isinstance(answer, Accepted):
        marks.mark_accepted(command.send_id, answer.queue_id, is_resend=plan == "resend")
    elif not isinstance(answer, Unknown) and plan == "send":
        # Not accepted. Of a second copy only the first one remains, which may have arrived.
        marks.clear(command.send_id)
