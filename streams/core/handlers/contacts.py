"""Handler of external contacts: emails that other systems send, and series that they run."""

from __future__ import annotations

from collections.abc import Iterable

from streams.core.model.customer import ExternalContact
from streams.core.model.events import ContactPressed
from streams.core.model.unit_of_work import UnitOfWork


def on_contact(uow: UnitOfWork, event: ContactPressed) -> None:
    """Store an email that another system sent, or the end of a series that it runs. Of a series the newest event counts.

    At most `Limits.contacts` are stored. The oldest are dropped first, and running series last: a complaint may stay open for
    longer than other systems need to send that many emails.
    """
    at = event.occurred_at
    if event.kind == "sent":
        contact = ExternalContact(event.source, at, event.purpose)
        if contact in uow.contacts:
            return
        others = uow.contacts
    else:
        contact = ExternalContact(event.source, at, "", event.until if event.kind == "running" else at)
        stored = next((other for other in uow.contacts if other.is_series and other.source == event.source), None)
        # Of two events at the same time, the one with the later end counts, in whatever order they arrive.
        if stored is not None and (at, contact.ends_at) <= (stored.at, stored.ends_at):
            return
        others = tuple([other for other in uow.contacts if other is not stored])
    contacts = kept_contacts(uow, [*others, contact])
    if contacts != uow.contacts:  # a contact older than all that are stored changes nothing
        uow.contacts, uow.changed = contacts, True


def kept_contacts(uow: UnitOfWork, contacts: Iterable[ExternalContact]) -> tuple[ExternalContact, ...]:
    """Return the contacts that are stored of some, the newest last."""
    by_rank = sorted(contacts, key=lambda item: (item.is_series and item.ends_at > uow.now, *_by_time(item)))
    return tuple(sorted(by_rank[-uow.ruleset.limits.contacts :], key=_by_time))


def _by_time(contact: ExternalContact) -> tuple[object, ...]:
    return contact.at, contact.source, contact.purpose
