"""The events of a customer's email addresses, which count for everybody who uses the same address.

An event has the keyed hash of the address. A ruleset without a key publishes none.
"""

from __future__ import annotations

from datetime import datetime

from streams.core.model.consent import Answer, Consent
from streams.core.model.customer import Sent
from streams.core.model.effects import AddressEventKind, NoteAddress
from streams.core.model.events import EngagementEvent, MailBounced, MailComplained, Unsubscribed
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import is_transactional
from streams.core.sending.address_limits import ANSWERED_NO, UNSUBSCRIBED
from streams.core.values import ids, local_time
from streams.core.values.addresses import address_hash


def note_engagement(uow: UnitOfWork, event: EngagementEvent, sent: Sent | None) -> None:
    """Note an unsubscription, a complaint or a hard bounce. An opt-out of service emails holds for the customer id only.

    Args:
        uow: the customer.
        event: any engagement.
        sent: the email that it is about, or None if it is unknown.
    """
    at = event.occurred_at
    if isinstance(event, MailBounced):
        if event.hard:
            _note(uow, _recipient(uow, sent), "bounced_hard", at, send_id=event.send_id)
    elif isinstance(event, MailComplained) or (isinstance(event, Unsubscribed) and not is_transactional(event.scope)):
        # The person who received the email refuses, whichever address they gave since.
        own = _hash(uow, uow.profile.email)
        _mark_noted(uow, own)
        for address in sorted({_recipient(uow, sent), own}):
            if isinstance(event, Unsubscribed):
                _note(uow, address, "refused", at, scope=event.scope, reason=UNSUBSCRIBED, send_id=event.send_id)
            else:
                _note(uow, address, "complained", at, send_id=event.send_id)


def note_answers(uow: UnitOfWork) -> None:
    """Note each answer to a consent question that this event changed. A yes counts only with the notice that the customer was shown."""
    before, after, address = uow.state.consent, uow.consent, _hash(uow, uow.profile.email)
    at = after.marketing_at
    if at is not None and (after.marketing, at) != (before.marketing, before.marketing_at):
        _note_answer(uow, address, Answer("marketing", bool(after.marketing), at, notice=after.marketing_notice))
    for answer in after.answers:
        if answer != before.answer(answer.purpose):
            _note_answer(uow, address, answer)
    if after != before:
        _mark_noted(uow, address)


def note_refusals(uow: UnitOfWork) -> None:
    """Note what the customer refused for an address that they gave later, and for one of the time before the shop had a key.

    The time of a complaint is not stored, and neither is that of an unsubscription from earlier versions: these count as new.
    """
    consent = uow.consent
    if not _refuses(consent):  # nearly every customer, and a hash takes time
        return
    address = _hash(uow, uow.profile.email)
    if not address or uow.noted_address.hex() == address:
        return
    uow.noted_address = bytes.fromhex(address)
    for scope in consent.unsubscribed:
        if not is_transactional(scope) and consent.is_unsubscribed(scope):
            at = consent.unsubscription_at(scope) or uow.now
            _note(uow, address, "refused", at, scope=scope, reason=UNSUBSCRIBED)
    if consent.complained:
        _note(uow, address, "complained", uow.now)
    if consent.marketing is False and consent.marketing_at is not None:
        _note_answer(uow, address, Answer("marketing", False, consent.marketing_at))
    for answer in consent.answers:
        if not answer.is_yes:
            _note_answer(uow, address, answer)


def _mark_noted(uow: UnitOfWork, address: str) -> None:
    """Mark the refusals of this event as noted, unless there are older ones, which `note_refusals` notes."""
    if not _refuses(uow.state.consent):
        uow.noted_address = bytes.fromhex(address)


def _refuses(consent: Consent) -> bool:
    return (
        bool(consent.unsubscribed)
        or consent.complained
        or consent.marketing is False
        or any(not answer.is_yes for answer in consent.answers)
    )


def _note_answer(uow: UnitOfWork, address: str, answer: Answer) -> None:
    if not answer.is_yes:
        _note(uow, address, "refused", answer.at, scope=answer.purpose, reason=ANSWERED_NO)
    elif answer.notice:
        _note(uow, address, "consented", answer.at, scope=answer.purpose)


def _recipient(uow: UnitOfWork, sent: Sent | None) -> str:
    """Return the hash of the address that an email went to, or "" if it is unknown."""
    if sent is not None and sent.address:
        return sent.address.hex()
    order = uow.order(sent.order_id) if sent is not None and sent.order_id is not None else None
    own = order.facts.email if order is not None and order.facts is not None else ""
    is_receipt = sent is not None and is_transactional(sent.purpose)
    return _hash(uow, own or uow.profile.email if is_receipt else uow.profile.email or own)


def _hash(uow: UnitOfWork, address: str) -> str:
    key = uow.ruleset.address_key
    return address_hash(key, address).hex() if key and address else ""


def _note(
    uow: UnitOfWork,
    address: str,
    kind: AddressEventKind,
    at: datetime,
    *,
    scope: str = "",
    reason: str = "",
    send_id: str | None = None,
) -> None:
    if not address:
        return
    uow.effects.append(
        NoteAddress(
            event_id=ids.digest("address", address, kind, scope, reason, send_id or "", local_time.text_of(at)),
            address=address,
            kind=kind,
            occurred_at=at,
            scope=scope,
            reason=reason,
            send_id=send_id,
        )
    )
