"""Smart sending: frequency caps, quiet hours and pauses. A blocked email is deferred and checked again, never lost."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from streams.core.model.customer import HELD_OUT, ExternalContact, Sent
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Flow, Send
from streams.core.rules.sending_rules import Cap
from streams.core.sending import consent
from streams.core.values import local_time
from streams.core.values.holidays import is_holiday

#: When a pause ends is unknown (a late order, another flow): it is checked again after this time, sooner if the email expires soon.
RECHECK_AFTER = timedelta(days=1)
_RECHECK_AFTER_AT_LEAST = timedelta(hours=1)
#: An email that lets others that are due now go first is checked again after this time.
RECHECK_BEHIND_OTHERS_AFTER = timedelta(minutes=1)
#: Days in a row that may all be quiet: holidays and weekends together.
_MAX_QUIET_DAYS = 21
#: The cap of a customer who wants fewer emails, in a shop without caps.
_FEWER = (Cap(most=1, per=timedelta(days=7)),)
#: Outcomes of emails that the customer did not receive: no cap counts them.
_NOT_RECEIVED = frozenset((HELD_OUT, "refused", "expired", "suppressed"))


class Deferral(NamedTuple):
    """Why an email has to wait: the rule, a text for people, and the time of the next check (UTC)."""

    rule: str
    text: str
    until: datetime


def expires_at(uow: UnitOfWork, step: Send, wanted_at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the email of `step` expires (UTC). Its time starts with its `not_before` day, if the instance arrives earlier.

    Args:
        uow: the customer.
        step: the step that sends the email.
        wanted_at: when the instance reached the step (UTC).
        zone: the customer's time zone.
    """
    not_before = _not_before(step, zone)
    due_at = wanted_at if not_before is None else max(wanted_at, not_before)
    return due_at + local_time.scale(step.expires, uow.ruleset.day_scale)


def _not_before(step: Send, zone: ZoneInfo) -> datetime | None:
    return datetime.combine(step.not_before, time(), zone).astimezone(UTC) if step.not_before is not None else None


def check(
    uow: UnitOfWork,
    flow: Flow,
    step: Send,
    instance_id: str,
    not_after: datetime,
    zone: ZoneInfo,
    country: str,
    *,
    is_any_hour: bool = False,
) -> Deferral | None:
    """Return the first rule that defers an email, or None if it may be sent now.

    A transactional email only waits for its `not_before` day.

    Args:
        uow: the customer.
        flow: the flow of the email.
        step: the step that sends it.
        instance_id: the instance that reached the step.
        not_after: when the email expires (UTC). With the priority it ranks emails that compete for the same place of a cap.
        zone: the customer's time zone.
        country: the customer's country, for its public holidays (ISO 3166-1 alpha-2).
        is_any_hour: whether the email may come in the quiet hours.
    """
    not_before = _not_before(step, zone)
    if not_before is not None and uow.now < not_before:
        return Deferral("not_before", f"not before {step.not_before}", not_before)
    if is_transactional(step.purpose):
        return None
    return (
        _pause_rules(uow, not_after)
        or _conflicts(uow, flow, not_after)
        or (None if is_any_hour else _quiet_hours(uow, zone, country))
        or _caps(uow, flow, step, (-step.priority, not_after, instance_id))
    )


def _recheck_at(uow: UnitOfWork, not_after: datetime) -> datetime:
    """Return when to check a pause again whose end is unknown: after a day, or after half of the time until the email expires."""
    day_scale, half = uow.ruleset.day_scale, (not_after - uow.now) / 2
    longest = local_time.scale(RECHECK_AFTER, day_scale)
    shortest = local_time.scale(_RECHECK_AFTER_AT_LEAST, day_scale)
    return uow.now + min(longest, max(shortest, half))


def _pause_rules(uow: UnitOfWork, not_after: datetime) -> Deferral | None:
    rules, now = uow.ruleset.rules, uow.now
    for order in uow.orders if rules.pause_if_late else ():
        if order.is_late(now, uow.ruleset.late_at_most) and not order.is_test:
            return Deferral("order_late", "an order is late", _recheck_at(uow, not_after))
    if rules.pause_after_refund:
        refunds = [order.refunded_at for order in uow.orders if order.refunded_at is not None and not order.is_test]
        if refunds:
            until = max(refunds) + local_time.scale(rules.pause_after_refund, uow.ruleset.day_scale)
            if until > now:
                return Deferral("refunded", "an order was refunded recently", until)
    series = _running_series(uow, rules.pause_series)
    if series is not None:
        until = min(_recheck_at(uow, not_after), series.ends_at)
        return Deferral("calm_series", f"the series {series.source} is running", until)
    return None


def _running_series(uow: UnitOfWork, names: tuple[str, ...]) -> ExternalContact | None:
    """Return a series of another system that has one of the names and has not ended, or None."""
    for contact in uow.contacts if names else ():
        if contact.is_series and contact.source in names and contact.ends_at > uow.now:
            return contact
    return None


def _conflicts(uow: UnitOfWork, flow: Flow, not_after: datetime) -> Deferral | None:
    for instance in uow.instances if flow.not_with else ():
        if instance.flow in flow.not_with and instance.flow != flow.name and _may_send(uow, instance):
            return Deferral("clash", f"the flow {instance.flow} is running", _recheck_at(uow, not_after))
    series = _running_series(uow, flow.not_with)
    if series is not None:
        until = min(_recheck_at(uow, not_after), series.ends_at)
        return Deferral("clash", f"the series {series.source} is running", until)
    return None


def _may_send(uow: UnitOfWork, instance: Instance) -> bool:
    """Return whether an instance has started, may still send an email, and belongs to a flow that is not a draft.

    An instance that only waits for an answer, or whose remaining steps send nothing on any path, does not hold other emails back.
    """
    version, step = uow.ruleset.migrate_position(instance.flow, instance.flow_version, instance.step)
    # An instance that waits for its date to start is not at a step of any flow.
    compiled = uow.ruleset.find_flow(instance.flow, version, step)
    return compiled is not None and step in compiled.sending and compiled.flow.status != "draft"


def _quiet_hours(uow: UnitOfWork, zone: ZoneInfo, country: str) -> Deferral | None:
    quiet = uow.ruleset.rules.quiet
    # If a day is scaled, for example to a second, there is no time of day.
    if quiet is None or uow.ruleset.day_scale != 1.0:
        return None
    until = local_time.end_of_quiet_hours(uow.now, quiet.begins, quiet.ends, zone)
    for _ in range(_MAX_QUIET_DAYS):
        local = until.astimezone(zone)
        if local.weekday() not in quiet.days and not (quiet.holidays and is_holiday(country, local.date())):
            break
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone).astimezone(UTC)
        until = local_time.end_of_quiet_hours(max(midnight, until), quiet.begins, quiet.ends, zone)
    return Deferral("quiet_hours", "it is the customer's quiet time", until) if until > uow.now else None


def _caps(uow: UnitOfWork, flow: Flow, step: Send, rank: tuple[int, datetime, str]) -> Deferral | None:
    """Return a deferral if a cap is full, or if emails that rank higher take the rest of its places.

    Emails that are sent together take one place.
    """
    caps = [(cap, *_free_places(uow, cap)) for cap in caps_of(uow) if cap.covers(step.purpose)]
    until = max([free_from for _, places, free_from in caps if places <= 0], default=None)
    if until is not None:
        if uow.gateway.wants_fewer:
            return Deferral("fewer", "the customer wants fewer emails", until)
        return Deferral("cap", "enough emails for now", until)
    own = (flow.name, step.path) if step.together else None
    for cap, places, _ in caps:
        higher = {_rival(uow, other, cap, rank) for other in uow.instances} - {None, own}
        if len(higher) >= places:
            # Whether those are sent is only decided when their own timers fire.
            recheck_at = uow.now + local_time.scale(RECHECK_BEHIND_OTHERS_AFTER, uow.ruleset.day_scale)
            return Deferral("cap", "other emails that are due now go first", recheck_at)
    return None


def caps_of(uow: UnitOfWork) -> tuple[Cap, ...]:
    """Return the caps of the customer. For one who wants fewer emails each counts for twice as long; without caps, there is one a week."""
    caps = uow.ruleset.rules.caps
    if not uow.gateway.wants_fewer:
        return caps
    return tuple([replace(cap, per=cap.per * 2) for cap in caps]) or _FEWER


def _free_places(uow: UnitOfWork, cap: Cap) -> tuple[int, datetime]:
    """Return how many places the cap has, and when the next is free (UTC; now if it has one)."""
    now, per = uow.now, local_time.scale(cap.per, uow.ruleset.day_scale)
    taken = [sent.at for sent in uow.sends if _takes_place(sent, cap, now - per)]
    taken += [contact.at for contact in uow.contacts if contact.at > now - per and _contact_takes_place(contact, cap)]
    taken.sort()
    return cap.most - len(taken), taken[len(taken) - cap.most] + per if len(taken) >= cap.most else now


def is_counted(uow: UnitOfWork, sent: Sent) -> bool:
    """Return whether a cap counts the email now, so that it must be remembered."""
    day_scale = uow.ruleset.day_scale
    return any(_takes_place(sent, cap, uow.now - local_time.scale(cap.per, day_scale)) for cap in caps_of(uow))


def _takes_place(sent: Sent, cap: Cap, since: datetime) -> bool:
    """Return whether an email takes a place of the cap, whose period began at `since` (UTC)."""
    return (
        sent.at > since
        and not is_transactional(sent.purpose)
        and cap.covers(sent.purpose)
        and sent.outcome not in _NOT_RECEIVED
    )


def _contact_takes_place(contact: ExternalContact, cap: Cap) -> bool:
    """Return whether an email of another system takes a place of the cap."""
    return not contact.is_series and not is_transactional(contact.purpose) and cap.covers(contact.purpose)


def _rival(uow: UnitOfWork, instance: Instance, cap: Cap, rank: tuple[int, datetime, str]) -> tuple[str, str] | None:
    """Return the email of another instance that is due now too, counts for the cap, and ranks higher by priority and expiry; else None.

    It is the flow and the instance, or the step for emails that are sent together.
    """
    if instance.due_at > uow.now or instance.instance_id == rank[2]:
        return None
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    step = compiled.steps[instance.step] if compiled is not None else None
    if compiled is None or not isinstance(step, Send) or compiled.flow.status != "live":
        return None
    if is_transactional(step.purpose) or not cap.covers(step.purpose):
        return None
    order = uow.order(instance.order_id)
    not_after = expires_at(uow, step, instance.wanted_at or instance.due_at, uow.zone_of(order))
    if not consent.decide(uow, step.purpose, order).is_allowed:
        return None
    if uow.now > not_after or (-step.priority, not_after, instance.instance_id) >= rank:
        return None
    return instance.flow, instance.step if step.together else instance.instance_id
