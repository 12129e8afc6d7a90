"""Smart sending: whether a mail may go now, or has to wait so that the customer is not pestered. It is put off and looked at again, not lost."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streams.core.model.consent_policy import is_transactional
from streams.core.model.customer import HELD_OUT, ExternalContact, Instance, Sent
from streams.core.model.flow import Flow, Send
from streams.core.model.sending_rules import Cap
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending import consent
from streams.core.values import local_time
from streams.core.values.holidays import is_holiday

#: What ends without a known moment (a late order, another flow) is looked at again so often, and more often when the mail is soon to expire.
LOOK_AGAIN = timedelta(days=1)
_LOOK_AGAIN_LAST = timedelta(hours=1)
#: And so soon what has to let others of the same moment go first.
LOOK_SOON = timedelta(minutes=1)
#: Days on end that may all be quiet: holidays and weekends together.
_LONGEST_REST = 21
#: Outcomes of mails that never came: they press on nobody.
_NEVER_CAME = frozenset((HELD_OUT, "refused", "expired", "suppressed"))


class Deferral(NamedTuple):
    """Why a mail waits, in a rule and its words, and until when (UTC)."""

    rule: str
    words: str
    until: datetime


def expires_at(uow: UnitOfWork, step: Send, wanted_at: datetime, where: ZoneInfo) -> datetime:
    """Until when (UTC) the mail of `step` may go that a run came to at `wanted_at`: before its own day it is not due."""
    begins = _first_day(step, where)
    due_at = wanted_at if begins is None else max(wanted_at, begins)
    return due_at + local_time.scale(step.expires, uow.ruleset.day_scale)


def _first_day(step: Send, where: ZoneInfo) -> datetime | None:
    return datetime.combine(step.not_before, time(), where).astimezone(UTC) if step.not_before is not None else None


def put_off(
    uow: UnitOfWork, flow: Flow, step: Send, instance_id: str, not_after: datetime, where: ZoneInfo, country: str
) -> Deferral | None:
    """The first rule by which the mail of `step` has to wait, or None if it may go now. Transactional mail only waits for its own day.

    Args:
        turn: the customer's turn.
        flow: the flow that wants to send.
        step: the mail.
        instance_id: the run that wants it.
        not_after: when it expires, which with the priority decides between several that want the same place.
        where: the customer's time zone.
        country: the customer's country, for its holidays.
    """
    begins = _first_day(step, where)
    if begins is not None and uow.now < begins:
        return Deferral("not_before", f"not before {step.not_before}", begins)
    if is_transactional(step.purpose):
        return None
    return (
        _calm(uow, not_after)
        or _clash(uow, flow, not_after)
        or _quiet(uow, where, country)
        or _capped(uow, step, (-step.priority, not_after, instance_id))
    )


def _again(uow: UnitOfWork, not_after: datetime) -> datetime:
    """When to look again at what ends without a known moment: in a day, or when half of the time is over that the mail has left."""
    scale, left = uow.ruleset.day_scale, (not_after - uow.now) / 2
    longest, shortest = local_time.scale(LOOK_AGAIN, scale), local_time.scale(_LOOK_AGAIN_LAST, scale)
    return uow.now + min(longest, max(shortest, left))


def _calm(uow: UnitOfWork, not_after: datetime) -> Deferral | None:
    rules, now, scale = uow.ruleset.rules, uow.now, uow.ruleset.day_scale
    for order in uow.orders if rules.calm_if_late else ():
        if order.is_late(now, uow.ruleset.late_at_most):
            return Deferral("order_late", "an order is late", _again(uow, not_after))
    if rules.calm_after_refund:
        refunds = [order.refunded_at for order in uow.orders if order.refunded_at is not None]
        until = max(refunds, default=None)
        if until is not None and until + local_time.scale(rules.calm_after_refund, scale) > now:
            return Deferral(
                "refunded", "an order was refunded lately", until + local_time.scale(rules.calm_after_refund, scale)
            )
    running = _running(uow, rules.calm_series)
    if running is not None:
        return Deferral("calm_series", f"{running.source} is running", min(_again(uow, not_after), running.ends()))
    return None


def _running(uow: UnitOfWork, names: tuple[str, ...]) -> ExternalContact | None:
    """A series of another system that has one of the names and is not over."""
    for series in uow.contacts if names else ():
        if series.is_series and series.source in names and series.ends() > uow.now:
            return series
    return None


def _clash(uow: UnitOfWork, flow: Flow, not_after: datetime) -> Deferral | None:
    for instance in uow.instances if flow.not_with else ():
        if instance.flow in flow.not_with and instance.flow != flow.name and _runs(uow, instance):
            return Deferral("clash", f"the flow {instance.flow} is running", _again(uow, not_after))
    series = _running(uow, flow.not_with)
    if series is not None:
        until = min(_again(uow, not_after), series.ends())
        return Deferral("clash", f"the series {series.source} is running", until)
    return None


def _runs(uow: UnitOfWork, instance: Instance) -> bool:
    """Whether an instance has begun and is no draft's, which nobody must notice."""
    compiled = uow.ruleset.find_flow(
        instance.flow, instance.flow_version, instance.step
    )  # none while its day has not come
    return compiled is not None and compiled.flow.status != "draft"


def _quiet(uow: UnitOfWork, where: ZoneInfo, country: str) -> Deferral | None:
    quiet = uow.ruleset.rules.quiet
    # Where a day lasts a second there is no time of day.
    if quiet is None or uow.ruleset.day_scale != 1.0:
        return None
    until = local_time.end_of_quiet_hours(uow.now, quiet.begins, quiet.ends, where)
    for _ in range(_LONGEST_REST):
        local = until.astimezone(where)
        if local.weekday() not in quiet.days and not (quiet.holidays and is_holiday(country, local.date())):
            break
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), where).astimezone(UTC)
        until = local_time.end_of_quiet_hours(max(midnight, until), quiet.begins, quiet.ends, where)
    return Deferral("quiet_hours", "it is the customer's quiet time", until) if until > uow.now else None


def _capped(uow: UnitOfWork, step: Send, rank: tuple[int, datetime, str]) -> Deferral | None:
    """The cap that is full, or has no place for who comes behind those that are due now too."""
    caps = [(cap, *_places(uow, cap)) for cap in uow.ruleset.rules.caps if cap.covers(step.purpose)]
    until = max([free_from for _, places, free_from in caps if places <= 0], default=None)
    if until is not None:
        return Deferral("cap", "enough mails for now", until)
    for cap, places, _ in caps:
        if sum([_goes_first(uow, other, cap, rank) for other in uow.instances]) >= places:
            # They may not be sent after all, which only their own turns tell.
            again = uow.now + local_time.scale(LOOK_SOON, uow.ruleset.day_scale)
            return Deferral("cap", "others that are due now go first", again)
    return None


def _places(uow: UnitOfWork, cap: Cap) -> tuple[int, datetime]:
    """How many places the cap has, and when it next has one."""
    now, per = uow.now, local_time.scale(cap.per, uow.ruleset.day_scale)
    taken = [sent.at for sent in uow.sends if _takes(sent, cap, now - per)]
    taken += [one.at for one in uow.contacts if one.at > now - per and _counts(one, cap)]
    taken.sort()
    return cap.most - len(taken), taken[len(taken) - cap.most] + per if len(taken) >= cap.most else now


def is_counted(uow: UnitOfWork, sent: Sent) -> bool:
    """Whether a mail takes a place of a cap now: it is not forgotten before its time is over."""
    scale = uow.ruleset.day_scale
    return any(_takes(sent, cap, uow.now - local_time.scale(cap.per, scale)) for cap in uow.ruleset.rules.caps)


def _takes(sent: Sent, cap: Cap, since: datetime) -> bool:
    """Whether a mail takes a place of the cap, whose period began at `since`."""
    return (
        sent.at > since
        and not is_transactional(sent.purpose)
        and cap.covers(sent.purpose)
        and sent.outcome not in _NEVER_CAME
    )


def _counts(contact: ExternalContact, cap: Cap) -> bool:
    """Whether a mail of another system takes a place of the cap."""
    return not contact.is_series and not is_transactional(contact.purpose) and cap.covers(contact.purpose)


def _goes_first(uow: UnitOfWork, instance: Instance, cap: Cap, rank: tuple[int, datetime, str]) -> bool:
    """Whether another instance's mail is due now too, wants a place of the cap, and comes first by priority and expiry."""
    if instance.due_at > uow.now or instance.instance_id == rank[2]:
        return False
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    step = compiled.steps[instance.step] if compiled is not None else None
    if compiled is None or not isinstance(step, Send) or compiled.flow.status != "live":
        return False
    if is_transactional(step.purpose) or not cap.covers(step.purpose):
        return False
    order = uow.order(instance.order_id)
    not_after = expires_at(uow, step, instance.wanted_at or instance.due_at, uow.zone_of(order))
    if not consent.ruling(uow, step.purpose, order).is_allowed:
        return False
    return uow.now <= not_after and (-step.priority, not_after, instance.instance_id) < rank
