"""Whether an address may get an email now, whichever customer id it is for. The mailer checks it right before it sends.

The check knows what the suppressions stage has published, and what this mailer has sent itself: a burst of emails to one address is faster than
the way over Kafka. Several mailers together may exceed a limit until they have read of each other's emails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from streams.core.model.address_state import NEW_ADDRESS, AddressState, Suppression
from streams.core.model.effects import NoteAddress
from streams.core.rules.consent_policy import is_transactional
from streams.core.sending.address_limits import AddressRules, apply, find_rule, suppression_of, without_send
from streams.core.values.addresses import address_hash
from streams.mail.command import Command

#: The outcomes of emails that count: the recipient has them, or may have.
COUNTED = frozenset(("sent", "unknown"))
#: Addresses whose emails a mailer remembers itself: those of some minutes, until they are read from the topic.
REMEMBERED = 20_000


class AddressCheck:
    """The check of one mailer.

    Args:
        key: the key of the hashes.
        rules: the limits of every address.
        fetch: returns the published suppressions, by the hash of the address.

    Attributes:
        rules: the limits, which a reload of the templates replaces.
    """

    def __init__(
        self, key: bytes, rules: AddressRules, fetch: Callable[[], Awaitable[Mapping[bytes, Suppression]]]
    ) -> None:
        self._key = key
        self.rules = rules
        self._fetch = fetch
        self._published: Mapping[bytes, Suppression] = {}
        #: The emails that this mailer has sent or is sending, by address; the address used last is the last.
        self._own: dict[bytes, AddressState] = {}

    async def refresh(self) -> None:
        """Wait until the suppressions have been read. Afterwards they change as new ones are published."""
        self._published = await self._fetch()

    def begin(self, command: Command) -> tuple[str, str] | None:
        """Return the rule that forbids the email, and its detail. Return None if it may be sent, and count it until `settle`."""
        address = address_hash(self._key, command.to_address)
        own = without_send(self._own.pop(address, NEW_ADDRESS), command.send_id)
        published = self._published.get(address)
        forbidden = find_rule(published, command.purpose, command.commanded_at) if published is not None else None
        if forbidden is None and own.sends:
            forbidden = find_rule(suppression_of(own, self.rules), command.purpose, command.commanded_at)
        if forbidden is None:
            own = apply(own, sent_event(address, command), self.rules)
        if own.sends:
            self._own[address] = own
            if len(self._own) > REMEMBERED:
                del self._own[next(iter(self._own))]
        return forbidden

    def settle(self, command: Command, *, is_sent: bool) -> None:
        """Keep the email in the counts only if it was sent, or may have been."""
        if is_sent:
            return
        address = address_hash(self._key, command.to_address)
        if address in self._own:
            self._own[address] = without_send(self._own[address], command.send_id)


def sent_event(address: bytes, command: Command) -> NoteAddress:
    """Return the event that the mail server accepted the email, or may have. It counts from the time of the command, as for the customer.

    Args:
        address: the hash of the recipient's address.
        command: the command of the email.
    """
    return NoteAddress(
        event_id=f"{command.send_id}.{command.attempt}.sent",
        address=address.hex(),
        kind="sent",
        occurred_at=command.commanded_at,
        send_id=command.send_id,
        purpose=command.purpose,
        is_transactional=is_transactional(command.purpose),
    )


def bounced_event(address: bytes, command: Command, at: datetime) -> NoteAddress:
    """Return the event that the mail server knows no such mailbox.

    Args:
        address: the hash of the recipient's address.
        command: the command of the email.
        at: when the server refused it, UTC.
    """
    return NoteAddress(
        event_id=f"{command.send_id}.{command.attempt}.bounced_hard",
        address=address.hex(),
        kind="bounced_hard",
        occurred_at=at,
        send_id=command.send_id,
    )
