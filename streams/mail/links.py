"""The sender of the emails, and the signed links that an email carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parseaddr

from streams.core.rules.consent_policy import has_opt_out, is_transactional
from streams.core.values.tokens import Keyring
from streams.mail.command import Command


@dataclass(frozen=True)
class Links:
    """The links of one email. A link that is None is left out."""

    unsubscribe: str | None
    pixel: str | None
    review: str


@dataclass(frozen=True)
class Sender:
    """The sender of all emails.

    Attributes:
        address: address of the header From and of the SMTP envelope.
        name: display name of the header From.
        domain: domain of Message-ID and List-ID.
        base_url: where all links start, without a slash at the end.
        keys: sign the links.
    """

    address: str
    name: str
    domain: str
    base_url: str
    keys: Keyring = field(repr=False)

    @classmethod
    def parse(cls, mail_from: str, domain: str, base_url: str, keys: Keyring) -> Sender:
        """Return the sender written as `Name <address>` in `mail_from`."""
        name, address = parseaddr(mail_from)
        return cls(address, name or address, domain, base_url.rstrip("/"), keys)

    def links(self, command: Command) -> Links:
        """Return the links of an email.

        An email about an order has neither an unsubscribe link nor a pixel. A service email has a link to opt out of service emails. An
        email that may not be tracked has no pixel.
        """
        parts = (command.send_id, command.customer_id)
        scope = command.purpose if command.purpose in ("review", "survey", "service") else "marketing"
        unsubscribe = pixel = None
        if has_opt_out(command.purpose):
            unsubscribe = f"{self.base_url}/u/{self.keys.sign('unsubscribe', *parts, scope)}"
        if not is_transactional(command.purpose):
            # A command of an earlier version may allow tracking of a transactional email.
            pixel = f"{self.base_url}/o/{self.keys.sign('open', *parts)}" if command.tracking else None
        return Links(
            unsubscribe=unsubscribe,
            pixel=pixel,
            review=f"{self.base_url}/r/{self.keys.sign('review', *parts)}",
        )
