"""What a server's refusal means: a dead mailbox, a mailbox that will do again, or something that speaks of us. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["mail", "rcpt", "data"]
Reason: TypeAlias = Literal[
    "no_mailbox",
    "no_domain",
    "mailbox_full",
    "mailbox_disabled",
    "sender_authentication",
    "sender_alignment",
    "no_tls",
    "spam_rate",
    "rate_limited",
    "policy",
    "too_large",
    "server_trouble",
    "other",
]

#: RFC 3463 and its registry, and what Gmail and Microsoft add to it; 4.x.y and 5.x.y mean the same, now or for good.
_BY_STATUS: dict[str, Reason] = {
    "1.1": "no_mailbox",
    "1.2": "no_domain",
    "1.3": "no_mailbox",
    "1.6": "no_mailbox",
    "1.7": "policy",
    "1.8": "policy",
    "1.10": "no_domain",
    "2.1": "mailbox_disabled",
    "2.2": "mailbox_full",
    "2.3": "too_large",
    "3.4": "too_large",
    "4.5": "rate_limited",
    "7.20": "sender_authentication",
    "7.21": "sender_authentication",
    "7.22": "sender_authentication",
    "7.23": "sender_authentication",
    "7.25": "sender_authentication",
    "7.26": "sender_authentication",
    "7.27": "sender_authentication",
    "7.28": "spam_rate",
    "7.29": "no_tls",
    "7.30": "sender_authentication",
    "7.32": "sender_alignment",
    "7.509": "sender_authentication",
    "7.515": "sender_authentication",
}
#: By the subject of the status (RFC 3463, its second number), when the detail is not known.
_BY_SUBJECT: dict[str, Reason] = {"3": "server_trouble", "4": "server_trouble", "6": "policy", "7": "policy"}
#: The address itself is dead: no other mail to it can arrive.
_DEAD = frozenset({"no_mailbox", "no_domain", "mailbox_disabled"})
#: About the sender or the content: it says nothing of the recipient's address, and is not held against it.
_OURS = frozenset(
    {"sender_authentication", "sender_alignment", "no_tls", "spam_rate", "rate_limited", "policy", "too_large", "server_trouble"}
)  # fmt: skip
_STATUS = re.compile(r"(?<![\d.])[245]\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_FULL = re.compile(r"\b(quota|mailbox (is )?full|insufficient storage)\b", re.IGNORECASE)
_SPAM = re.compile(
    r"\b(spam|block(ed|list)|blacklist|denylist|dnsbl|policy|reputation|spf|dkim|dmarc|relay)", re.IGNORECASE
)
_GONE = frozenset({550, 551, 553})
_NO_MAIL_HERE = frozenset({521, 556})  # RFC 7504


@dataclass(frozen=True)
class Meaning:
    """`is_hard`: the address is dead for good. `is_ours`: about the sender or the content, not about the address."""

    reason: Reason
    is_hard: bool
    is_ours: bool


def classify(code: int, text: str, phase: Phase) -> Meaning:
    """What a 4xx or 5xx answer means.

    Args:
        code: the SMTP reply code.
        text: the server's words, with the enhanced status code if it gave one.
        phase: the command that was answered; a refusal of the sender is never held against the recipient.
    """
    reason = _reason(code, text, phase)
    is_dead = reason in _DEAD and code >= 500 and phase != "mail"
    return Meaning(reason, is_dead, phase == "mail" or reason in _OURS)


def _reason(code: int, text: str, phase: Phase) -> Reason:
    status = _STATUS.search(text)
    if status is not None and status[1] != "0":
        known = _BY_STATUS.get(f"{status[1]}.{status[2]}") or _BY_SUBJECT.get(status[1])
        return known or "other"
    # A server of the old kind: the code, the words, and when they were said.
    if _FULL.search(text) or code in (452, 552):
        return "mailbox_full"
    if _SPAM.search(text):
        return "policy"
    if code in _NO_MAIL_HERE:
        return "no_domain"
    # After the content the same 550 is mostly a judgement on the content.
    if code in _GONE:
        return "no_mailbox" if phase == "rcpt" else "policy"
    return "other"
