"""The sender of the emails, and the sealed links that an email carries."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import cached_property
from typing import get_args

from streams.core.rules.consent_policy import has_opt_out, is_transactional
from streams.core.values.tokens import MAX_CHARS
from streams.mail.command import Command
from streams.mail.tokens import LinkKeys, Use


@dataclass(frozen=True)
class Links:
    """The links of one email. A link that is None is left out.

    Attributes:
        unsubscribe, pixel, preferences, reorder, referral, confirm: the addresses.
        seal: returns the address for a use and its target.
        is_tracked: whether clicks on the other links of the email may be measured.
    """

    unsubscribe: str | None
    pixel: str | None
    seal: Callable[[Use, str], str]
    preferences: str | None = None
    reorder: str | None = None
    referral: str | None = None
    confirm: str | None = None
    is_tracked: bool = False

    @cached_property
    def review(self) -> str:
        """The address of the page for a review. Few emails have it, so it is sealed on its first use."""
        return self.seal("r", "")

    def survey(self, question: str) -> str:
        """Return the address of the page with a question."""
        return self.seal("s", question)

    def contest(self, contest: str) -> str:
        """Return the address of the page on which the customer takes part in a contest."""
        return self.seal("k", contest)

    def click(self, address: str) -> str | None:
        """Return the address that redirects to `address` and counts the click; None if it would be too long."""
        sealed = self.seal("c", address)
        return sealed if len(sealed) <= MAX_CHARS else None


@dataclass(frozen=True)
class Sender:
    """The sender of all emails.

    Attributes:
        address: address of the header From and of the SMTP envelope.
        name: display name of the header From.
        domain: domain of Message-ID and List-ID.
        base_url: where all links start, without a slash at the end.
        keys: seal the links.
    """

    address: str
    name: str
    domain: str
    base_url: str
    keys: LinkKeys = field(repr=False)

    @classmethod
    def parse(cls, mail_from: str, domain: str, base_url: str, keys: LinkKeys) -> Sender:
        """Return the sender written as `Name <address>` in `mail_from`."""
        name, address = parseaddr(mail_from)
        return cls(address, name or address, domain, base_url.rstrip("/"), keys)

    def links(self, command: Command) -> Links:
        """Return the links of an email. They are the same for every attempt.

        A service email has a link to opt out of service emails, and an email about an order has none. Neither has a link to the preferences:
        they go to the address of the order, which may be another person's. An email that may not be tracked has no pixel, and its other
        links do not lead through the gateway. A referral needs the code of a reward, and a confirmation a request.
        """

        def seal(use: Use, target: str) -> str:
            token = self.keys.seal(use, command.customer_id, command.send_id, target, command.commanded_at)
            return f"{self.base_url}/{use}/{token}"

        # A command of an earlier version may allow tracking of a transactional email.
        is_tracked = command.tracking and not is_transactional(command.purpose)
        offers_choice = has_opt_out(command.purpose)
        scope = command.purpose if command.purpose in ("review", "survey", "service") else "marketing"
        code = _text(command, "reward", "code")
        request_id = _text(command, "request", "request_id")
        return Links(
            unsubscribe=seal("u", scope) if offers_choice else None,
            pixel=seal("o", "") if is_tracked else None,
            seal=seal,
            preferences=None if is_transactional(command.purpose) else seal("p", ""),
            reorder=seal("b", command.order_id) if offers_choice and command.order_id else None,
            referral=seal("f", code) if code else None,
            confirm=seal("a", request_id) if request_id else None,
            is_tracked=is_tracked,
        )

    def is_own(self, address: str) -> bool:
        """Return whether an address is a link of Takk."""
        return address.startswith(self.base_url) and _OWN.match(address, len(self.base_url)) is not None


_OWN = re.compile(rf"/[{''.join(get_args(Use))}]/[^/?#]")


def _text(command: Command, part: str, field: str) -> str:
    """Return a text in the data of a command, "" if it is missing."""
    fields = command.context.get(part)
    text = fields.get(field) if isinstance(fields, dict) else None
    return text if isinstance(text, str) else ""
