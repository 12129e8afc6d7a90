"""The table of refusals: what a reply of a mail server says, by enhanced status code, reply code, phase, provider and text. Pure.

The rows are tried in order, and the first that fits decides. Each row has the source of its meaning. A reply that fits no row is classified
by its enhanced status code: see bounces.py.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from streams.mail.delivery.providers import Provider

Phase: TypeAlias = Literal["connect", "helo", "auth", "mail", "rcpt", "data", "dot"]
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
#: Whom a refusal is about: the recipient's mailbox, this email's content, or the sender. A refusal of the sender says nothing of the email: it
#: would meet any other email, and ends when someone has changed the configuration, or when the sending slows down.
About: TypeAlias = Literal["recipient", "content", "sender"]

_MICROSOFT: Final = (
    "https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/non-delivery-reports-in-exchange-online"
)
_OUTLOOK: Final = "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting"
_GMAIL: Final = "https://support.google.com/a/answer/3726730"
_YAHOO: Final = "https://senders.yahooinc.com/smtp-error-codes/"
_YAHOO_HELP: Final = "https://help.yahoo.com/kb/SLN3444.html"
_SES: Final = "https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html"
_POSTFIX: Final = "https://www.postfix.org/postconf.5.html"


class Row(NamedTuple):
    """One row of the table. A pattern that is empty fits everything.

    Attributes:
        about: whom the refusal is about.
        reason: why the server refused, or None if only the status says it.
        source: where the meaning is documented.
        status: pattern of the whole enhanced status code without its class, such as `7\\.1`. A reply without one does not fit.
        text: pattern within the text, without regard to case.
        codes: the reply codes; empty for all.
        phases: the phases; empty for all.
        provider: the provider of the recipient's mailbox, or None for all.
    """

    about: About
    reason: Reason | None
    source: str
    status: str = ""
    text: str = ""
    codes: frozenset[int] = frozenset()
    phases: frozenset[Phase] = frozenset()
    provider: Provider | None = None


_LOGIN: Final = frozenset({454, 530, 534, 535, 538})
_BEFORE_RECIPIENT: Final[frozenset[Phase]] = frozenset({"connect", "helo", "auth", "mail"})
_AT_RECIPIENT: Final[frozenset[Phase]] = frozenset({"rcpt"})
_THROTTLED: Final = frozenset({421, 450, 451, 452, 454})
_HOLDING: Final = (
    r"throttl|sending (rate|limit|quota)|message quota|too many (recipients|messages|connections|errors|concurrent)"
)

_HELO: Final = r"\b(?:helo|ehlo)\b.{0,40}(?:reject|invalid|denied|required|bad|not accept|forbidden|policy)"
_RELAY: Final = (
    r"relay(?:ing)?\b.{0,40}(?:denied|not (?:permitted|allowed)|prohibited|forbidden|refused|disabled)"
    r"|(?:not (?:permitted|allowed)|unable|cannot|refus\w+|denied|won't) to relay|we do not relay|open relay"
)
_SEND_AS: Final = (
    r"send ?as ?denied|not (?:allowed|permitted|authori[sz]ed) to send (?:as|from|mail)|sender address rejected"
    r"|not owned by user|email address is not verified|client was not authenticated"
)
_LISTED: Final = (
    r"(?:block|black|deny)[ -]?list|\bdnsbl\b|\brbl\b|spamhaus|barracudacentral|spamcop|reputation|client host .{0,80}blocked"
    r"|banned sending ip|your (?:ip|network|server).{0,60}(?:block|ban|reject|poor)"
)
_NOBODY: Final = r"this user doesn't have an? (?:[\w.]+ )?account|mailbox not found|no such (?:user|mailbox)|user unknown|unknown user"
_PERMANENT: Final = frozenset({550, 551, 552, 553, 554})

ROWS: tuple[Row, ...] = (
    # Size belongs to the email, also where MAIL announces it.
    Row("content", "too_large", "RFC 3463 3.4, RFC 1870", status=r"3\.4|2\.3"),
    # The envelope has no recipient yet, so what is refused is the sender.
    Row("sender", "sender_authentication", "RFC 4954 6", codes=_LOGIN, text=r"authentic|login|credential|password|starttls|encryption"),
    Row("sender", "sender_authentication", "RFC 4954 6", status=r"7\.(?:0|8|9|11|12|13|14)", codes=_LOGIN),
    Row("sender", "rate_limited", _SES, codes=_THROTTLED, text=_HOLDING),
    Row("sender", "rate_limited", "RFC 3463 3.6 (4.5.3)", status=r"5\.3"),
    # HELO.
    Row("sender", "policy", f"{_POSTFIX}#reject_invalid_helo_hostname", text=_HELO),
    Row("sender", "policy", f"{_POSTFIX}#smtpd_helo_required", text=r"(?:need|send|invalid|bad|polite|require).{0,30}\b(?:helo|ehlo)\b"),
    # A mailbox of Outlook.com that does not exist has a status of the protocol's subject.
    Row("recipient", "no_mailbox", _OUTLOOK, status=r"5\.0", text=r"mailbox unavailable", phases=_AT_RECIPIENT),
    Row("sender", "policy", "RFC 3463 3.6", status=r"5\.\d+"),
    # Relay.
    Row("sender", "policy", _MICROSOFT, status=r"7\.(?:54|64|367|368)"),
    Row("sender", "policy", f"{_POSTFIX}#reject_unauth_destination", text=_RELAY),
    # The account may not use this sender, or may not send.
    Row("sender", "sender_authentication", _MICROSOFT, status=r"2\.25[1-9]|7\.(?:3|57|60|124|126|133|135|139|501|502|503|504|505)"),
    Row("sender", "sender_authentication", _MICROSOFT, text=_SEND_AS),
    Row("sender", "rate_limited", _MICROSOFT, status=r"1\.90|2\.(?:120|121|122)|7\.(?:232|233|508|705|708)"),
    Row("sender", "policy", _MICROSOFT, status=r"1\.8|7\.(?:511|512|513|606|607|608|609|6[1-4]\d|750)"),
    # Authentication and alignment.
    Row("sender", "sender_authentication", _MICROSOFT, status=r"7\.(?:509|515)"),
    Row("sender", "sender_authentication", f"{_GMAIL}, RFC 7372", status=r"7\.(?:2[0-7]|30)"),
    Row("sender", "spam_rate", _GMAIL, status=r"7\.28"),
    Row("sender", "no_tls", _GMAIL, status=r"7\.(?:10|29)"),
    Row("sender", "sender_alignment", _GMAIL, status=r"7\.32"),
    Row("sender", "sender_authentication", f"{_YAHOO}, RFC 7489 10.3", text=r"(?:spf|dkim|dmarc|authentication (?:check|fail)|unauthenticated)"),
    Row("sender", "sender_authentication", _YAHOO, status=r"7\.9", provider="yahoo"),
    # Reputation of the sender's address or network.
    Row("sender", "policy", "RFC 5782 1", text=_LISTED),
    Row("sender", "policy", f"{_YAHOO} (TSS), {_GMAIL} (4.7.0)", status=r"7\.0", codes=frozenset({421}), text=r"defer|unusual|user complaints|rate"),
    Row("sender", "no_tls", "RFC 3207 4", text=r"must issue a starttls|starttls (?:first|required)|encryption (?:is )?required"),
    Row("sender", None, "RFC 5321 3.3", phases=_BEFORE_RECIPIENT),
    # Mailboxes that some providers refuse with codes of other meaning.
    Row("recipient", "no_mailbox", _MICROSOFT, status=r"4\.1", text=r"recipient address rejected.{0,20}access denied"),
    Row("recipient", "no_mailbox", _YAHOO_HELP, text=_NOBODY, phases=_AT_RECIPIENT, codes=_PERMANENT),
    Row("recipient", "mailbox_disabled", _YAHOO, text=r"this mailbox is disabled", provider="yahoo"),
)  # fmt: skip

_STATUS = re.compile(r"(?<![\d.])[245]\.(\d{1,3}\.\d{1,3})(?![\d.])")
_COMPILED = tuple(
    (row, re.compile(row.status) if row.status else None, re.compile(row.text, re.IGNORECASE) if row.text else None)
    for row in ROWS
)


def find_row(code: int, text: str, phase: Phase, provider: Provider = "other") -> Row | None:
    """Return the row of the table that fits a 4xx or 5xx reply, or None.

    Args:
        code: the SMTP reply code.
        text: the server's text, with its enhanced status code if it gave one.
        phase: the command that was answered.
        provider: the provider of the recipient's mailbox.
    """
    match = _STATUS.search(text)
    status = match[1] if match is not None else None
    for row, status_pattern, text_pattern in _COMPILED:
        if (
            (not row.codes or code in row.codes)
            and (not row.phases or phase in row.phases)
            and row.provider in (None, provider)
            and (status_pattern is None or (status is not None and status_pattern.fullmatch(status) is not None))
            and (text_pattern is None or text_pattern.search(text) is not None)
        ):
            return row
    return None
