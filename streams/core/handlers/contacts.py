"""What other systems do with the customer: mails that count, and series that flows keep clear of."""

from __future__ import annotations

from streams.core.model.customer import ExternalContact
from streams.core.model.events import ContactPressed
from streams.core.model.unit_of_work import UnitOfWork


def on_contact(uow: UnitOfWork, event: ContactPressed) -> None:
    """Remember a mail that another system sent, or until when a series of its runs; of a series the newest news counts.

    What is remembered is bounded (`Limits.pressure`): the oldest goes first, and a series that is running last: a complaint may be open for
    longer than it takes other systems to send a dozen mails.
    """
    at = event.occurred_at
    if event.kind == "sent":
        fresh = ExternalContact(event.source, at, event.purpose)
        if fresh in uow.contacts:
            return
        others = uow.contacts
    else:
        ends_at = event.until if event.kind == "running" else at
        fresh = ExternalContact(event.source, at, "", ends_at)
        known = next((one for one in uow.contacts if one.is_series and one.source == event.source), None)
        # Of two of the same moment the one that ends later: then the order of arrival does not count.
        if known is not None and (at, fresh.ends()) <= (known.at, known.ends()):
            return
        others = tuple([one for one in uow.contacts if one is not known])
    kept = sorted([*others, fresh], key=lambda one: (one.is_series and one.ends() > uow.now, *_by_time(one)))
    contacts = tuple(sorted(kept[-uow.ruleset.limits.contacts :], key=_by_time))
    if contacts != uow.contacts:  # what is older than all that is remembered changes nothing
        uow.contacts, uow.changed = contacts, True


def _by_time(contacts: ExternalContact) -> tuple[object, ...]:
    return contacts.at, contacts.source, contacts.purpose
