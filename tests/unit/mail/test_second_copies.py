"""Second copies of emails whose first copy may have arrived: deferred, sent or given up, the email's outcome keeps the doubt."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

import pytest

from streams.mail.report import Report
from tests.harness.commands import NOW
from tests.harness.mailer_in_memory import MailerInMemory, to
from tests.harness.smtp_in_memory import CLOSE, GOOD, InMemoryServer, Script
from tests.harness.virtual_time import run

LATER = b"450 4.2.0 later\r\n"


async def delivered(replies: dict[str, list[bytes]], *, has_time: bool) -> tuple[Report, int]:
    """Return the last report of a receipt, and how often its data was sent.

    Args:
        replies: command to the server's first replies; all others are good.
        has_time: whether the receipt has time for a retry.
    """
    left = {name: deque(answers) for name, answers in replies.items()}

    def reply(name: str, recipient: str) -> bytes:
        return left[name].popleft() if left.get(name) else GOOD[name]

    server = InMemoryServer(Script(reply=reply))
    mailer = MailerInMemory(server)
    first = (await mailer.deliver(to("a", not_after=NOW + timedelta(seconds=3600 if has_time else 5))))["a"]
    return await mailer.outcome(first), sum(command.startswith(". ") for command in server.commands)


@pytest.mark.parametrize(
    ("deferrals", "has_time", "outcome", "rule", "is_resend", "copies"),
    [
        (0, True, "sent", "sent_again", True, 2),
        (1, True, "sent", "sent_again", True, 2),
        (3, True, "sent", "sent_again", True, 2),
        (1, False, "unknown", "gave_up", False, 1),
    ],
)
def test_the_doubt_of_the_first_copy_stays(
    deferrals: int, *, has_time: bool, outcome: str, rule: str, is_resend: bool, copies: int
) -> None:
    """However often the second copy is deferred, the report says that it was sent again; without time for it the outcome is unknown."""
    replies = {".": [CLOSE], "RCPT": [GOOD["RCPT"], *[LATER] * deferrals]}
    report, sent = run(delivered(replies, has_time=has_time), 5000)
    assert (report.outcome, report.rule, report.is_resend) == (outcome, rule, is_resend)
    assert sent == copies
