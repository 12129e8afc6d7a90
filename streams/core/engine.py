"""The rules as one function: ruleset, state, event and time in; new state and effects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from streams.core.handlers.activities import on_customer_acted
from streams.core.handlers.browsing import on_product_browsed
from streams.core.handlers.contacts import on_contact
from streams.core.handlers.customer_pages import show_customer
from streams.core.handlers.delivery import on_delivery_report, on_retry_due
from streams.core.handlers.engagement import on_engagement
from streams.core.handlers.erasure import FOLLOW_UPS, erase, follow_up, is_known
from streams.core.handlers.merges import closes_circle, forward, hand_over, on_handed_over, reinstate
from streams.core.handlers.orders import on_order
from streams.core.handlers.product_changes import on_product_changed
from streams.core.handlers.profiles import on_profile_updated
from streams.core.handlers.requests import on_customer_requested
from streams.core.handlers.shipments import on_shipment
from streams.core.handlers.trait_room import make_room_for_traits
from streams.core.handlers.wakeups import on_code_granted, on_timer, replay_held_events
from streams.core.instances.reschedule import reschedule_waits
from streams.core.model.customer import Customer
from streams.core.model.effects import Effect
from streams.core.model.events import (
    AliasReleased,
    CodeGranted,
    ContactPressed,
    CustomerMerged,
    EngagementEvent,
    Event,
    Forwarded,
    HandedOver,
    MailReported,
    OrderCancelled,
    OrderChanged,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    ProductChanged,
    RetryDue,
    ShipmentUpdated,
    TimerFired,
)
from streams.core.model.person_events import CustomerActed, CustomerErased, CustomerRequested, ProfileUpdated
from streams.core.model.traits import NO_TRAITS
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.rewards import withdraw_claims
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.address_events import note_refusals
from streams.core.sending.consent import withdraw_emails
from streams.core.triggers.interests import changed_interests
from streams.core.triggers.segments import check_segments


def advance(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> tuple[Customer, list[Effect]]:
    """Apply an event to a customer.

    The function is pure: the same arguments give the same result.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer of the event.
        event: the event; it may be late, duplicated or out of order.
        now: the time of the decision, timezone-aware UTC.

    Returns:
        The new state and the effects. A duplicate event has no effects, and the state returned is `state` itself.
    """
    after, effects = _advance(ruleset, state, event, now)
    if (ruleset.watches_wishes and after.profile.traits is not state.profile.traits) or (
        ruleset.watches_purchases and after.orders is not state.orders
    ):
        effects = [*effects, *changed_interests(ruleset, state, after)]
    return after, effects


def _advance(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> tuple[Customer, list[Effect]]:
    if state.is_alias:
        return _advance_alias(ruleset, state, event, now)
    if type(event) is Forwarded:
        return _advance_forwarded(ruleset, state, event, now)
    if type(event) is CustomerMerged:
        return _merge(ruleset, state, event, now)
    uow = UnitOfWork(ruleset, state, now, event.occurred_at, is_imported=getattr(event, "is_imported", False))
    if type(event) is CustomerErased:
        return erase(uow, event)
    if type(event) in FOLLOW_UPS and not is_known(state):
        return state, follow_up(uow, event)
    replay_held_events(uow)
    _HANDLERS[type(event)](uow, event)
    if uow.profile.traits is not NO_TRAITS:
        make_room_for_traits(uow, state)
    if (
        uow.consent is not state.consent
        or uow.shared_until != state.shared_until
        or uow.profile.birthday != state.profile.birthday
        or uow.profile.country != state.profile.country
    ):
        withdraw_emails(uow)
    if uow.changed and ruleset.address_key:
        note_refusals(uow)
    if uow.changed and ruleset.watched_segments:
        check_segments(uow)
    if uow.changed and uow.instances:
        reschedule_waits(uow)
    if uow.instances is not state.instances:
        withdraw_claims(uow)
    if uow.changed and ruleset.shows_pages:
        show_customer(uow)
    return uow.finish()


def _advance_alias(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> tuple[Customer, list[Effect]]:
    uow = UnitOfWork(ruleset, state, now, event.occurred_at)
    if not closes_circle(state, event):
        return forward(uow, event)
    own, effects = reinstate(uow)
    after, more = _advance(ruleset, own, event, now)
    return after, [*effects, *more]


def _advance_forwarded(
    ruleset: Ruleset, state: Customer, event: Forwarded, now: datetime
) -> tuple[Customer, list[Effect]]:
    """Apply an event of a customer who was merged into this one. Of a further merge of that customer only the profile counts."""
    own = event.event
    if type(own) is not CustomerMerged:
        return _advance(ruleset, state, own, now)
    return (state, []) if own.profile is None else _advance(ruleset, state, own.profile, now)


def _merge(ruleset: Ruleset, state: Customer, event: CustomerMerged, now: datetime) -> tuple[Customer, list[Effect]]:
    """Apply the profile in the record of a merge, then hand the customer over."""
    effects: list[Effect] = []
    if event.profile is not None:
        state, effects = _advance(ruleset, state, event.profile, now)
    after, more = hand_over(UnitOfWork(ruleset, state, now, event.occurred_at), event)
    return after, [*effects, *more]


_HANDLERS: Mapping[type[Event], Callable[[UnitOfWork, Any], None]] = MappingProxyType(
    {
        **dict.fromkeys((OrderPlaced, OrderPaid, OrderChanged, OrderCancelled, OrderRefunded), on_order),
        **dict.fromkeys(get_args(EngagementEvent), on_engagement),
        ShipmentUpdated: on_shipment,
        TimerFired: on_timer,
        CodeGranted: on_code_granted,
        MailReported: on_delivery_report,
        RetryDue: on_retry_due,
        ProfileUpdated: on_profile_updated,
        ProductBrowsed: on_product_browsed,
        ProductChanged: on_product_changed,
        CustomerActed: on_customer_acted,
        CustomerRequested: on_customer_requested,
        ContactPressed: on_contact,
        HandedOver: on_handed_over,
        AliasReleased: lambda uow, event: None,  # the alias has ended already
    }
)
