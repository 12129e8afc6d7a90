"""Classification of SMTP refusals: a dead address, a temporary problem of the mailbox, or a fault of the sender. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streams.mail.delivery.providers import Provider
from streams.mail.delivery.refusals import Phase as Phase
from streams.mail.delivery.refusals import Reason as Reason
from streams.mail.delivery.refusals import find_row

#: Reasons of enhanced status codes that fit no row of the table of refusals (RFC 3463 and its registry). 4.x.y is the temporary form of 5.x.y.
_BY_STATUS: dict[str, Reason] = {
    "1.1": "no_mailbox",
    "1.2": "no_domain",
    "1.3": "no_mailbox",
    "1.6": "no_mailbox",
    "1.7": "policy",
    "1.10": "no_domain",
    "2.1": "mailbox_disabled",
    "2.2": "mailbox_full",
    "4.5": "rate_limited",
}
#: Reason by the subject of the status (RFC 3463, its second number), if the detail is unknown.
_BY_SUBJECT: dict[str, Reason] = {"3": "server_trouble", "4": "server_trouble", "6": "policy", "7": "policy"}
#: The address is dead: no email to it can arrive.
_DEAD_ADDRESS = frozenset({"no_mailbox", "no_domain", "mailbox_disabled"})
#: A fault of the sender or the content. It does not count against the recipient's address.
_SENDER_FAULTS = frozenset(
    {"sender_authentication", "sender_alignment", "no_tls", "spam_rate", "rate_limited", "policy", "too_large", "server_trouble"}
)  # fmt: skip
_STATUS = re.compile(r"(?<![\d.])[245]\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_FULL = re.compile(r"\b(quota|mailbox (is )?full|insufficient storage)\b", re.IGNORECASE)
_SPAM = re.compile(
    r"\b(spam|block(ed|list)|blacklist|denylist|dnsbl|policy|reputation|spf|dkim|dmarc|relay)", re.IGNORECASE
)
_GONE = frozenset({550, 551, 553})
_DOMAIN_WITHOUT_MAIL = frozenset({521, 556})  # RFC 7504


@dataclass(frozen=True)
class BounceClass:
    """The meaning of a refusal for the address.

    Attributes:
        reason: why the server refused the email.
        is_hard: whether the address is permanently dead.
        is_sender_fault: whether the sender or the content was refused, not the address.
        is_about_sender: whether the sender was refused, so that any other email would meet the same. Such an email waits.
    """

    reason: Reason
    is_hard: bool
    is_sender_fault: bool
    is_about_sender: bool = False


def classify(code: int, text: str, phase: Phase, provider: Provider = "other") -> BounceClass:
    """Classify a 4xx or 5xx reply.

    Args:
        code: the SMTP reply code (RFC 5321).
        text: the server's text, with the enhanced status code (RFC 3463) if it gave one.
        phase: the command that was answered. A refusal of MAIL never counts against the recipient.
        provider: the provider of the recipient's mailbox.
    """
    row = find_row(code, text, phase, provider)
    reason = (row.reason if row is not None else None) or _reason(code, text, phase)
    is_about_sender = row is not None and row.about == "sender"
    is_dead = reason in _DEAD_ADDRESS and code >= 500 and phase != "mail" and not is_about_sender
    return BounceClass(reason, is_dead, is_about_sender or phase == "mail" or reason in _SENDER_FAULTS, is_about_sender)


def _reason(code: int, text: str, phase: Phase) -> Reason:
    status = _STATUS.search(text)
    if status is not None and status[1] != "0":
        return _BY_STATUS.get(f"{status[1]}.{status[2]}") or _BY_SUBJECT.get(status[1]) or "other"
    # Without an enhanced status code, the reason follows from the reply code, the text and the phase.
    if _FULL.search(text) or code in (452, 552):
        return "mailbox_full"
    if _SPAM.search(text):
        return "policy"
    if code in _DOMAIN_WITHOUT_MAIL:
        return "no_domain"
    # After DATA a 550 is mostly about the content.
    if code in _GONE:
        return "no_mailbox" if phase == "rcpt" else "policy"
    return "other"
