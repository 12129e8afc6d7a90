"""Emails that are sent together: the other instances of a flow whose email is due on the same day join the email of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import exit_reason
from streams.core.model.instance import JOINED_ID, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Send
from streams.core.sending.check import may_join
from streams.core.values import local_time

#: How long an email waits for others that the same event leads to. Its timer fires with the next sweep, after all of them have arrived.
GATHER_FOR = timedelta(minutes=1)


def gather_until(uow: UnitOfWork) -> datetime:
    """Return until when an email waits for those of other instances (UTC)."""
    return local_time.scale_deadline(uow.now, uow.now + GATHER_FOR, uow.ruleset.day_scale)


def joining(
    uow: UnitOfWork, compiled: CompiledFlow, step: Send, instance: Instance, context: EvalContext
) -> Iterator[tuple[Instance, EvalContext]]:
    """Yield the instances whose email can be sent together with that of `instance` now, each with its context.

    They are at the same step of the same version, and due before the customer's day ends. An instance that would end at its own wake-up,
    or whose email would be refused or go to another address, does not join.

    Args:
        uow: the customer.
        compiled: the flow.
        step: the step that sends the email.
        instance: the instance whose email is decided.
        context: its context.
    """
    ends_at = _end_of_day(uow, context)
    for other in uow.instances:
        if (other.flow, other.flow_version, other.step) != (instance.flow, instance.flow_version, step.path):
            continue
        if other.instance_id == instance.instance_id or other.due_at >= ends_at:
            continue
        order = uow.order(other.order_id)
        if order is None and other.order_id:
            continue
        parcel = order.parcel(other.parcel_id) if order is not None else None
        others = EvalContext(uow, order, parcel, other.trigger_data)
        if exit_reason(others, compiled.flow, other.started_at) is None and may_join(uow, step, other, others, context):
            yield other, others


def joined(other: Instance, instance: Instance) -> Instance:
    """Return an instance whose email is that of `instance`, as it continues after it."""
    mark = (JOINED_ID, instance.instance_id)
    data = other.trigger_data if mark in other.trigger_data else (*other.trigger_data, mark)
    return replace(other, awaits="", wanted_at=None, trigger_data=data)


def _end_of_day(uow: UnitOfWork, context: EvalContext) -> datetime:
    """Return the end of the customer's day (UTC). If a day is scaled, for example to a second, that is a day from now."""
    if uow.ruleset.day_scale != 1.0:
        return uow.now + local_time.scale(timedelta(days=1), uow.ruleset.day_scale)
    zone = uow.zone_of(context.order)
    tomorrow = uow.now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)
