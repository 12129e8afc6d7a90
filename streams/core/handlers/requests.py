"""Handler of what customers ask for on the pages of the gateway: preferences, fewer emails, their data, an erasure, another address.

Preferences and the frequency act at once. A link to the pages may reach other people, for they forward emails. So an export, an erasure and
another address wait until the customer has followed the link of an email: to the present address, or to the new one. Doing something twice
changes nothing, because a request is stored under its id.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from streams.core.conditions.context import TriggerData
from streams.core.handlers.erasure import is_known
from streams.core.handlers.profiles import on_profile_updated, update_profile
from streams.core.instances.occurrence import Occurrence
from streams.core.model.consent import Consent, Resubscription
from streams.core.model.customer import Profile
from streams.core.model.effects import EmitSignal, ForgetCustomer
from streams.core.model.gateway_state import Request
from streams.core.model.person_events import CustomerRequested
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import REQUEST_ASKED, REQUEST_CONFIRMED
from streams.core.sending.check import REQUEST_ID, TO_ADDRESS
from streams.core.triggers.dispatch import dispatch
from streams.core.values import ids, local_time

#: How long after the request its link can be followed.
CONFIRM_WITHIN = timedelta(days=7)
_DAY = timedelta(days=1)
_SERVICE = "service"
#: The signal for the systems of the shop when a request was confirmed.
_SIGNALS = {"export": "export_requested", "erase": "erasure_requested", "change_address": "address_changed"}
#: The rules of decisions.
UNKNOWN, EXPIRED, TOO_MANY, UNANSWERED, CONFIRMED = (
    "request_unknown", "request_expired", "request_limit", "request_unanswered", "request_confirmed",
)  # fmt: skip


def on_customer_requested(uow: UnitOfWork, event: CustomerRequested) -> None:
    """Apply a request, ask the customer to confirm it, or carry out one that was confirmed."""
    if event.kind == "frequency":
        _set_frequency(uow, event)
    elif event.kind == "preferences":
        _set_preferences(uow, event)
    elif event.stage == "done" or _is_refused(uow, event):
        return
    elif event.stage == "asked":
        _ask(uow, event)
    else:
        _carry_out(uow, event)


def _is_refused(uow: UnitOfWork, event: CustomerRequested) -> bool:
    """Return whether a request cannot be carried out for this customer id, and log it.

    The links in the emails of an erased customer stay valid for a while. Of an id that several people share, one of them would get the data
    of the others.
    """
    log = uow.decisions_of("", 0, "", "")
    repeat = f"{event.request_id} {event.stage}"
    if not is_known(uow.state):
        log.skip(UNKNOWN, f"{event.kind}: nothing is known of the customer", repeat=repeat)
    elif uow.is_shared:
        log.skip("shared_id", f"{event.kind}: several people share this customer id", repeat=repeat)
    else:
        return False
    return True


def _is_in_time(event: CustomerRequested, request: Request, uow: UnitOfWork) -> bool:
    """Return whether a confirmation came soon enough after the request."""
    within = local_time.scale(CONFIRM_WITHIN, uow.ruleset.day_scale)
    return event.occurred_at <= request.asked_at + within


def _set_frequency(uow: UnitOfWork, event: CustomerRequested) -> None:
    """Store how many emails the customer wants. Of two answers at the same time, the one for fewer counts."""
    stored, at = uow.gateway, event.occurred_at
    if stored.frequency_at is not None and (at, event.wants_fewer) <= (stored.frequency_at, stored.wants_fewer):
        return
    uow.gateway = replace(stored, wants_fewer=event.wants_fewer, frequency_at=at)
    uow.changed = True


def _set_preferences(uow: UnitOfWork, event: CustomerRequested) -> None:
    if event.profile is not None:
        on_profile_updated(uow, event.profile, is_by_customer=True)
    if event.wants_service is None:
        return
    consent = _with_service(uow, event)
    if consent != uow.consent:
        uow.consent, uow.changed = consent, True


def _with_service(uow: UnitOfWork, event: CustomerRequested) -> Consent:
    """Return the consent with the answer about service emails. A yes needs the notice, as a return after every unsubscription does."""
    consent, at, is_out = uow.consent, event.occurred_at, _SERVICE in uow.consent.unsubscribed
    if not event.wants_service:
        if is_out and consent.unsubscription_at(_SERVICE) is None:
            return consent  # of unknown time: nothing counts more
        return consent.with_unsubscription(_SERVICE, at)
    profile = event.profile
    if profile is None or not profile.consent_notice or not is_out:
        return consent
    source, wording = profile.consent_source or "", profile.consent_wording or ""
    yes = Resubscription(_SERVICE, at, uow.profile.country, profile.consent_notice, source, wording)
    return consent.with_resubscription(yes)


def _ask(uow: UnitOfWork, event: CustomerRequested) -> None:
    """Store the request, and start the flow that sends the email with the link."""
    gateway, at = uow.gateway, event.occurred_at
    if gateway.request(event.request_id) is not None:
        return
    log = uow.decisions_of("", 0, "", "")
    most = uow.ruleset.limits.requests
    day = local_time.scale(_DAY, uow.ruleset.day_scale)
    if sum(request.asked_at > at - day for request in gateway.requests) >= most:
        if uow.is_new(TOO_MANY, event.request_id):
            log.limit(TOO_MANY, f"{most} requests within a day: this one is not accepted", repeat=event.request_id)
        return
    request = Request(event.request_id, event.kind, at, event.email)
    requests = sorted((*gateway.requests, request), key=lambda each: (each.asked_at, each.request_id))
    uow.gateway = replace(gateway, requests=tuple(requests[-most:]))
    uow.changed = True
    if REQUEST_ASKED not in uow.ruleset.by_trigger:
        log.skip(UNANSWERED, "no flow starts with request.asked: the customer gets no link", repeat=event.request_id)
        return
    _dispatch(uow, REQUEST_ASKED, event, event.email)


def _dispatch(uow: UnitOfWork, name: str, event: CustomerRequested, to_address: str) -> None:
    """Start the flows about a request. Their emails go to `to_address`, or to the customer's own address if that is ""."""
    data: TriggerData = ((REQUEST_ID, event.request_id), ("kind", event.kind))
    if to_address:
        data = (*data, (TO_ADDRESS, to_address))
    dispatch(uow, Occurrence(name, None, None, event.occurred_at, data))


def _carry_out(uow: UnitOfWork, event: CustomerRequested) -> None:
    request = uow.gateway.request(event.request_id)
    log, repeat = uow.decisions_of("", 0, "", ""), event.request_id
    if request is None or request.kind != event.kind:
        if uow.is_new(UNKNOWN, event.request_id):
            log.skip(UNKNOWN, f"{event.kind}: confirmed, but it was not asked for", repeat=repeat)
        return
    if request.is_confirmed:
        return
    if not _is_in_time(event, request, uow):
        if uow.is_new(EXPIRED, event.request_id):
            log.skip(EXPIRED, f"{event.kind}: confirmed more than {CONFIRM_WITHIN.days} days later", repeat=repeat)
        return
    confirmed = replace(request, email="", is_confirmed=True)
    others = [confirmed if each is request else each for each in uow.gateway.requests]
    uow.gateway = replace(uow.gateway, requests=tuple(others))
    uow.changed = True
    log.note(CONFIRMED, f"{event.kind}: the customer confirmed it", repeat=repeat)
    _signal(uow, event)
    if event.kind == "erase":
        _forget(uow, event)
    elif event.kind == "change_address":
        before = uow.profile.email
        update_profile(uow, Profile(email=request.email, at=event.occurred_at))
        # The person at the old address must learn of it, for another one may have opened the link to the page.
        _dispatch(uow, REQUEST_CONFIRMED, event, before)
    else:
        _dispatch(uow, REQUEST_CONFIRMED, event, "")


def _signal(uow: UnitOfWork, event: CustomerRequested) -> None:
    """Tell the systems of the shop: they have the customer's data too."""
    uow.effects.append(
        EmitSignal(
            signal_id=ids.digest("signal", uow.customer_id, event.request_id),
            customer_id=uow.customer_id,
            kind=_SIGNALS[event.kind],
            flow="",
            flow_version=0,
            instance_id="",
            step="",
            order_id=None,
            emitted_at=uow.now,
        )
    )


def _forget(uow: UnitOfWork, event: CustomerRequested) -> None:
    """Delete the records of all ids of the person on `customers`. Their readers erase the customer, as after `takk forget`."""
    for customer_id in (*(uow.merge.ids if uow.merge is not None else ()), uow.customer_id):
        uow.effects.append(
            ForgetCustomer(erasure_id=ids.digest("forget", customer_id, event.request_id), forgotten_id=customer_id)
        )
