"""Merge the state of one customer into another one: everything by its own id, so that the order of events does not matter."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.handlers.browsing import remember_views
from streams.core.handlers.contacts import kept_contacts
from streams.core.handlers.merging.consent import merged_consent, with_address_of
from streams.core.handlers.merging.flows import merge_flows, merged_last_starts
from streams.core.handlers.merging.gateway import merged_gateway
from streams.core.handlers.merging.orders import merge_orders
from streams.core.handlers.profiles import merge_profile
from streams.core.handlers.shared_ids import merged_addresses
from streams.core.handlers.traits import merge_traits
from streams.core.instances.occurrence import Occurrence
from streams.core.model import clicks
from streams.core.model.customer import Customer, History, Profile, Sent
from streams.core.model.fields import kept_fields
from streams.core.model.orders.order import TRACKED
from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.ruleset import Limits
from streams.core.sending.attribution import attribute_orders
from streams.core.sending.decide import forget_sends
from streams.core.triggers.dates import end_flows_of_removed_dates, schedule_dates
from streams.core.triggers.dispatch import dispatch
from streams.core.values import fingerprints
from streams.core.values.addresses import normalise
from streams.core.values.moments import earliest, latest


def merge_state(uow: UnitOfWork, other: Customer) -> list[OrderState]:
    """Merge another customer state into this customer. No flow starts.

    Returns:
        The orders of which one of both had the parcels, and the other one the description: see `start_completed`.
    """
    limits = uow.ruleset.limits
    own_ids = (uow.customer_id, *(uow.merge.ids if uow.merge is not None else ()))
    their_ids = (other.customer_id, *(other.merge.ids if other.merge is not None else ()))
    before = uow.profile
    _merge_person(uow, other)
    uow.sends = _merged_sends(uow.sends, other.sends)
    forget_sends(uow)
    uow.last_send_at = latest(uow.last_send_at, other.last_send_at)
    merge_flows(uow, other, own_ids, their_ids)
    uow.finished_fingerprints = fingerprints.merge(
        other.finished_fingerprints, uow.finished_fingerprints, limits.fingerprints
    )
    uow.seen_fingerprints = fingerprints.merge(other.seen_fingerprints, uow.seen_fingerprints, limits.fingerprints)
    uow.last_starts = merged_last_starts(uow.last_starts, other.last_starts, limits.last_starts)
    completed = merge_orders(uow, other)
    uow.fields = kept_fields({**dict(other.fields), **dict(uow.fields)}, limits)
    uow.lists = tuple(sorted({*uow.lists, *other.lists})[: limits.lists])
    uow.segments = tuple(sorted({*uow.segments, *other.segments}))
    uow.contacts = kept_contacts(uow, dict.fromkeys((*other.contacts, *uow.contacts)))
    uow.visited_at = latest(uow.visited_at, other.visited_at)
    remember_views(uow, other.viewed)
    uow.history = _merged_history(uow.history, other.history)
    uow.gateway = merged_gateway(uow.gateway, other.gateway, limits.requests)
    uow.held_clicks = clicks.kept((*uow.held_clicks, *other.held_clicks), 2 * limits.held_clicks)
    uow.changed = True
    attribute_orders(uow)  # a click on an email of one may have led to an order of the other
    for profile in (before, other.profile):  # one of them may have removed a date whose flow has started for the other
        end_flows_of_removed_dates(uow, profile)
    return completed


def start_completed(uow: UnitOfWork, completed: list[OrderState]) -> None:
    """Start the flows of parcels whose order one of two merged customers did not know, unless one of their ids has started them.

    Args:
        uow: the customer, who knows the ids of the other one.
        completed: the orders that `merge_state` returned.
    """
    for order in completed:
        for parcel in order.parcels:
            times = (*parcel.reached, *(((TRACKED, parcel.at),) if parcel.has(TRACKED) else ()))
            for status, at in times:
                dispatch(uow, Occurrence(f"shipment.{status}", order, parcel, at))
    if uow.ruleset.has_dates:
        schedule_dates(uow)


def _merge_person(uow: UnitOfWork, other: Customer) -> None:
    """Merge the profile, the consent and the addresses."""
    own, consent = uow.profile, uow.consent
    shared_until = latest(uow.shared_until, other.shared_until)
    was_shared, uow.shared_until = uow.is_shared, shared_until
    theirs = Profile() if other.shared_until is not None and uow.now < other.shared_until else other.profile
    uow.order_addresses = merged_addresses(uow.order_addresses, other.order_addresses, uow.ruleset.limits.addresses)
    uow.profile = Profile() if uow.is_shared and not was_shared else _merged_profile(own, theirs, uow.ruleset.limits)
    address = uow.profile.email
    sides = [(own.email, consent), (theirs.email, other.consent)]
    of_address = [each for email, each in sides if not (email and address) or normalise(email) == normalise(address)]
    uow.consent = with_address_of(merged_consent(consent, other.consent), of_address)
    if uow.consent != consent:
        uow.noted_address = b""  # what the other customer refused counts for this address too


def _merged_profile(own: Profile, other: Profile, limits: Limits) -> Profile:
    """Return both profiles merged: the values of the newer one win, in whatever order both are given. One of unknown time is older."""
    older, newer = sorted((own, other), key=lambda each: (each.at is not None, each.at, repr(each)))
    merged = merge_profile(older, newer)
    return replace(merged, traits=merge_traits(merged.traits, newer.traits, limits))


def _merged_sends(own: tuple[Sent, ...], other: tuple[Sent, ...]) -> tuple[Sent, ...]:
    merged: dict[str, Sent] = {}
    for sent in (*other, *own):
        stored = merged.get(sent.send_id)
        merged[sent.send_id] = sent if stored is None else _merged_send(stored, sent)
    return tuple(sorted(merged.values(), key=lambda sent: (sent.at, sent.send_id)))


def _merged_send(one: Sent, other: Sent) -> Sent:
    outcomes = [each.outcome for each in (one, other) if each.outcome is not None]
    return replace(
        one,
        outcome="sent" if "sent" in outcomes else next(iter(sorted(outcomes)), None),
        delivered_at=earliest(one.delivered_at, other.delivered_at),
        opened_at=earliest(one.opened_at, other.opened_at),
        clicked_at=latest(one.clicked_at, other.clicked_at),
    )


def _merged_history(own: History | None, other: History | None) -> History | None:
    """Return what both bought before the first record: it is complete only if it is for both."""
    if own is None or other is None:
        return own or other
    state = own.state if own.state == other.state else "partial"
    return History(state, latest(own.at, other.at), own.orders + other.orders, own.spend_minor + other.spend_minor)
