"""Classification of refusals: only a dead address is a hard bounce, and a fault of the sender is never one."""

from __future__ import annotations

import pytest

from streams.mail.delivery.bounces import Phase, classify


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
