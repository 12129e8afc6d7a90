"""Scenarios with odd recipients, and with a mail server that is slow while a mailer stops."""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun
from tests.harness.scripted_inbox import CUT, SILENCE

#: Emails to wait for between two steps.
EMAILS_BETWEEN = 100
#: The answers to odd recipients, selected by a hash of the address. Others get 250.
ODD: tuple[str | bytes, ...] = (
    "421 4.3.2 Service not available, closing transmission channel",
    "251 User not local; will forward",
    "252 Cannot VRFY user, but will accept message",
    "450 4.2.0 Greylisted, come back later",
    "452 4.2.2 Mailbox full",
    "550 5.1.1 No such user",
    "550 5.4.1 Recipient address rejected: Access denied",
    "550 5.1.1 Empfänger ungültig".encode("latin-1"),
    "550 5.1.1 \x1b[31mred\x1b[0m\x07",
    "\x00\x01 what?",
    CUT,
)
#: One address in so many is odd, and one in so many is not answered at all.
ODD_SHARE, SILENT_SHARE = 10, 400
#: Seconds that the slow server takes for an email: more than the 12 s that a rebalance grants other stages.
SLOW_S = 15.0
#: Seconds that a mailer may take to stop.
STOP_TIMEOUT_S = 40.0


def odd_recipients(run: ScenarioRun) -> None:
    """Let the server answer some recipients oddly, cut their connections or not answer at all: the emails of all others arrive."""
    answered: Counter[str | bytes] = Counter()

    def answer(address: str) -> str | bytes | None:
        number = crc32(address.encode())
        if number % SILENT_SHARE == 0:
            odd: str | bytes = SILENCE
        elif number % ODD_SHARE == 0:
            odd = ODD[number // ODD_SHARE % len(ODD)]
        else:
            return None
        answered[odd] += 1
        return odd

    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.note_fault(others=["mailer"])
        run.inbox.on_recipient = answer
        run.await_emails(12 * EMAILS_BETWEEN)
        run.wait_until(lambda: {*ODD, SILENCE} <= answered.keys(), "every odd answer is given")
        run.await_emails(3 * EMAILS_BETWEEN)
        run.inbox.on_recipient = lambda address: None
        run.await_emails(EMAILS_BETWEEN)
    run.log(f"odd answers: {sorted(answered.values())}")
    bounced = {event["outcome"] for event in run.stack.records(topics.EVENTS)}
    assert {"sent", "refused"} <= bounced


def slow_stop(run: ScenarioRun) -> None:
    """Stop a mailer cleanly while its emails wait for a slow server: it waits for the answers, and no email is in doubt."""
    victim, inbox = run.stack.mailers[0], run.inbox
    with run.shop_open():
        for _ in range(2):
            run.await_emails(EMAILS_BETWEEN)
            inbox.delay_s = SLOW_S
            run.wait_until(lambda: inbox.waiting >= 2 * run.stack.settings.smtp_connections, "emails wait for answers")
            run.note_fault(victim)
            code = victim.stop(STOP_TIMEOUT_S)
            inbox.delay_s = 0.0
            assert code == 0, f"exit code {code}"
            run.restart(victim)
        run.await_emails(EMAILS_BETWEEN)
