"""The rules, as one function: what is known and what happened in, what is known now and what is to be done out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from streams.core.handlers.browsing import take_browsing
from streams.core.handlers.contacts import take_pressure
from streams.core.handlers.delivery import take_report, take_retry
from streams.core.handlers.engagement import take_engagement
from streams.core.handlers.orders import take_order
from streams.core.handlers.profiles import take_profile
from streams.core.handlers.shipments import take_shipment
from streams.core.handlers.wakeups import take_code, wake
from streams.core.instances.reschedule import follow_moments
from streams.core.model.customer import Customer
from streams.core.model.effects import Effect
from streams.core.model.events import (
    CodeGranted,
    ContactPressed,
    EngagementEvent,
    Event,
    MailReported,
    OrderCancelled,
    OrderChanged,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    ProfileUpdated,
    RetryDue,
    ShipmentUpdated,
    StepDue,
)
from streams.core.model.ruleset import Ruleset
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers.rewards import withdraw_claims
from streams.core.sending.consent import withdraw
from streams.core.triggers.segments import watch_segments


def advance(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> tuple[Customer, list[Effect]]:
    """The customer after `event`, and what is to be done about it.

    The same arguments give the same result. An event that was seen before changes nothing and asks for nothing; then the state
    returned is `state` itself.

    Args:
        world: the flows and the shop's rules.
        state: the customer that the event happened to.
        event: a fact; it may be late, doubled or out of order.
        now: the moment of deciding, timezone-aware UTC.
    """
    uow = UnitOfWork(ruleset, state, now)
    _HANDLERS[type(event)](uow, event)
    if uow.consent is not state.consent:
        withdraw(uow)
    if uow.changed and ruleset.watched:
        watch_segments(uow)
    if uow.changed and uow.instances:
        follow_moments(uow)
    if uow.instances is not state.instances:
        withdraw_claims(uow)
    return uow.finish()


_HANDLERS: Mapping[type[Event], Callable[[UnitOfWork, Any], None]] = MappingProxyType(
    {
        **dict.fromkeys((OrderPlaced, OrderPaid, OrderChanged, OrderCancelled, OrderRefunded), take_order),
        **dict.fromkeys(get_args(EngagementEvent), take_engagement),
        ShipmentUpdated: take_shipment,
        StepDue: wake,
        CodeGranted: take_code,
        MailReported: take_report,
        RetryDue: take_retry,
        ProfileUpdated: take_profile,
        ProductBrowsed: take_browsing,
        ContactPressed: take_pressure,
    }
)
