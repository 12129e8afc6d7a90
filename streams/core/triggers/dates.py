"""Flows on days of the customer's: waiting for the next one, and starting when it has come."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import log_missing_flow
from streams.core.instances.start import start_once
from streams.core.instances.waiting import find_instance, other_instances, schedule_start
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance
from streams.core.model.flow import DATES, DAY_STEP
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time


def schedule_dates(uow: UnitOfWork) -> None:
    """See that the flows on days of the customer's (see flow.DATES) are waiting for the next one."""
    for name in sorted(DATES):  # a set has another order in every process, and effects have one
        for compiled in uow.ruleset.by_trigger.get(name, ()):
            _plan_day(uow, compiled, uow.now)


def _plan_day(uow: UnitOfWork, compiled: CompiledFlow, after: datetime) -> None:
    flow, first_order = compiled.flow, uow.first_order_at
    where = uow.zone_of(None)
    day = uow.profile.birthday
    if flow.trigger.on == "customer.anniversary":
        day = first_order.astimezone(where).date() if first_order is not None else None
    instance_id = ids.instance_id(uow.customer_id, flow.name, "day")
    known = find_instance(uow, instance_id)
    if day is None:
        if known is not None:  # the only order was cancelled
            uow.instances, uow.changed = other_instances(uow, instance_id), True
        return
    if known is not None:  # a day that has come and not begun has its timer on the way: it is still the next
        after = min(after, known.due_at - timedelta.resolution)
    due_at = local_time.next_day(day, after, where, flow.trigger.before)
    if known is None or known.due_at != due_at:
        schedule_start(uow, flow, Instance(instance_id, flow.name, flow.version, "", None, DAY_STEP, due_at, uow.now))


def start_on_date(uow: UnitOfWork, waiting: Instance) -> None:
    """Start the flow whose day has come, and wait for the next year's."""
    uow.instances = other_instances(uow, waiting.instance_id)
    uow.changed = True
    compiled = uow.ruleset.newest_flow(waiting.flow)
    if compiled is None or compiled.flow.trigger.on not in DATES:
        log_missing_flow(uow, waiting)
        return
    day = waiting.due_at.astimezone(uow.zone_of(None)).date()  # its midnight comes again to who changes the time zone
    key = f"day/{day.isoformat()}"
    instance_id = ids.instance_id(uow.customer_id, compiled.flow.name, key)
    start_once(uow, compiled, instance_id, compiled.flow.trigger.on, EvalContext(uow, None), waiting.due_at)
    _plan_day(uow, compiled, max(uow.now, waiting.due_at))
