"""Classification of refusals: only a dead address is a hard bounce, and a fault of the sender is never one."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mail.delivery.bounces import Phase, classify
from streams.mail.delivery.providers import Provider
from streams.mail.delivery.refusals import ROWS


@pytest.mark.parametrize(
    ("code", "text", "phase", "reason", "is_hard", "is_sender_fault"),
    [
        (550, "5.1.1 The email account that you tried to reach does not exist", "rcpt", "no_mailbox", True, False),
        (550, "No such user here", "rcpt", "no_mailbox", True, False),
        (550, "5.1.10 null MX", "rcpt", "no_domain", True, False),
        (521, "Host does not accept mail", "rcpt", "no_domain", True, False),
        (550, "5.2.1 The account is disabled", "data", "mailbox_disabled", True, False),
        (552, "5.2.2 The mailbox is full", "rcpt", "mailbox_full", False, False),
        (452, "4.2.2 over quota", "rcpt", "mailbox_full", False, False),
        (450, "4.1.1 not yet", "rcpt", "no_mailbox", False, False),
        (550, "5.7.26 Unauthenticated mail, SPF and DKIM did not pass", "data", "sender_authentication", False, True),
        (550, "5.7.515 Access denied, sending domain does not meet", "data", "sender_authentication", False, True),
        (421, "4.7.28 unusual rate of mail", "data", "spam_rate", False, True),
        (550, "5.7.29 no TLS", "rcpt", "no_tls", False, True),
        (421, "4.7.32 From is not aligned", "data", "sender_alignment", False, True),
        (550, "5.7.1 Relaying denied", "rcpt", "policy", False, True),
        (550, "rejected: listed at a blocklist, see 195.7.12.3", "rcpt", "policy", False, True),
        (550, "user 10.5.1.1 unknown", "rcpt", "no_mailbox", True, False),
        (554, "no", "data", "other", False, False),
        (550, "Content not wanted", "data", "policy", False, True),
        (553, "5.1.1 sender unknown", "mail", "no_mailbox", False, True),
        (451, "try later", "rcpt", "other", False, False),
    ],
)
def test_classify(code: int, text: str, phase: Phase, reason: str, is_hard: bool, is_sender_fault: bool) -> None:
    """Replies of real servers have the right reason and class."""
    bounce_class = classify(code, text, phase)
    assert (bounce_class.reason, bounce_class.is_hard, bounce_class.is_sender_fault) == (
        reason,
        is_hard,
        is_sender_fault,
    )


@pytest.mark.parametrize(
    ("code", "text", "phase", "provider"),
    [
        (554, "554 5.7.1 <anna@post.example>: Relay access denied", "rcpt", "other"),
        (550, "550 relay not permitted", "rcpt", "other"),
        (550, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "rcpt", "other"),
        (550, "550 5.7.64 TenantAttribution; Relay Access Denied", "rcpt", "other"),
        (504, "504 5.5.2 <a1b2c3>: Helo command rejected: need fully-qualified hostname", "rcpt", "other"),
        (450, "450 4.7.1 <a1b2c3>: Helo command rejected: Host not found", "rcpt", "other"),
        (503, "503 5.5.1 Error: send HELO/EHLO first", "mail", "other"),
        (530, "530 5.7.0 Authentication required", "mail", "other"),
        (530, "530 Must issue a STARTTLS command first", "mail", "other"),
        (535, "535 5.7.8 authentication failed", "auth", "other"),
        (530, "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail", "mail", "other"),
        (554, "554 5.2.252 SendAsDenied; hello@shop.example not allowed to send as other@shop.example", "dot", "other"),
        (550, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "dot", "other"),
        (554, "554 Message rejected: Email address is not verified.", "dot", "other"),
        (553, "553 5.7.1 <hello@shop.example>: Sender address rejected: not owned by user shop", "rcpt", "other"),
        (454, "454 Throttling failure: Maximum sending rate exceeded.", "dot", "other"),
        (454, "454 4.7.0 Throttling failure: Daily message quota exceeded", "data", "other"),
        (452, "452 4.5.3 Too many recipients", "rcpt", "other"),
        (550, "550 5.5.1 Invalid command sequence", "rcpt", "other"),
        (550, "550 5.7.26 Unauthenticated email", "dot", "gmail"),
        (421, "421 4.7.28 unusual rate of unsolicited mail", "dot", "gmail"),
        (550, "550 5.7.515 Access denied, sending domain does not meet", "dot", "microsoft"),
        (
            550,
            "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Our network is on our block list",
            "mail",
            "microsoft",
        ),
        (554, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "rcpt", "other"),
        (554, "554 5.7.9 Message not accepted for policy reasons", "dot", "yahoo"),
        (421, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", "mail", "yahoo"),
        (550, "550 5.1.8 Access denied, bad outbound sender", "dot", "microsoft"),
    ],
)
def test_refusals_of_the_sender(code: int, text: str, phase: Phase, provider: Provider) -> None:
    """An answer about the sender is never about the recipient, in any phase."""
    bounce = classify(code, text, phase, provider)
    assert (bounce.is_about_sender, bounce.is_hard, bounce.is_sender_fault) == (True, False, True)


@pytest.mark.parametrize(
    ("code", "text", "phase", "provider", "reason"),
    [
        (550, "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "rcpt", "other", "no_mailbox"),
        (
            550,
            "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)",
            "rcpt",
            "microsoft",
            "no_mailbox",
        ),
        (554, "554 delivery error: dd This user doesn't have a yahoo.com account", "rcpt", "yahoo", "no_mailbox"),
        (
            554,
            "554 30 Sorry, your message cannot be delivered. This mailbox is disabled (554.30).",
            "dot",
            "yahoo",
            "mailbox_disabled",
        ),
        (
            550,
            "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown in local recipient table",
            "rcpt",
            "other",
            "no_mailbox",
        ),
        (550, "550 5.1.1 no", "rcpt", "gmail", "no_mailbox"),
        (550, "550 5.1.10 null MX", "rcpt", "other", "no_domain"),
    ],
)
def test_dead_addresses(code: int, text: str, phase: Phase, provider: Provider, reason: str) -> None:
    """A mailbox that does not exist is a hard bounce, also where a provider gives it a code of another meaning."""
    bounce = classify(code, text, phase, provider)
    assert (bounce.is_hard, bounce.reason, bounce.is_about_sender) == (True, reason, False)


@pytest.mark.parametrize(
    ("code", "text", "phase"),
    [
        (451, "451 4.7.1 Greylisting in action, please come back later", "rcpt"),
        (450, "450 4.2.0 Mailbox busy", "rcpt"),
        (552, "552 5.2.2 The mailbox is full", "rcpt"),
        (552, "552 5.3.4 message size exceeds fixed limit", "mail"),
        (554, "554 5.6.0 content not wanted", "dot"),
        (550, "550 5.7.1 this message looks like spam", "dot"),
    ],
)
def test_refusals_of_one_email(code: int, text: str, phase: Phase) -> None:
    """A full mailbox, greylisting and the content concern one email: it is not the sender, and the address is not dead."""
    bounce = classify(code, text, phase)
    assert (bounce.is_about_sender, bounce.is_hard) == (False, False)


def test_every_row_has_a_source() -> None:
    """Each row of the table names the document that it is taken from."""
    assert all(row.source.startswith(("RFC ", "https://")) for row in ROWS)
    assert len(ROWS) > 20


@given(
    code=st.integers(400, 599),
    text=st.text(max_size=400),
    phase=st.sampled_from(get_args(Phase)),
    provider=st.sampled_from(get_args(Provider)),
)
def test_any_reply_has_a_class(code: int, text: str, phase: Phase, provider: Provider) -> None:
    """Any reply is classified. Only a permanent one about the recipient is a hard bounce."""
    bounce = classify(code, text, phase, provider)
    assert not (bounce.is_hard and (bounce.is_about_sender or code < 500 or phase == "mail"))
