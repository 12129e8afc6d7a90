"""Flows that start at the launch of a product that the customer viewed before it."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import log_missing_flow
from streams.core.instances.start import has_instance, instance_id_of, is_too_old, start_once
from streams.core.instances.waiting import find_instance, other_instances, suspend
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import DATE_STEP, Flow
from streams.core.rules.trigger_names import LAUNCH
from streams.core.values import ids, local_time

#: The names of the trigger data of an instance that waits for a launch. They are stored: `told_at` is the time of the event that
#: stated the launch.
SKU, LAUNCHES_AT, _STATED_AT = "sku", "launches_at", "told_at"


def schedule_launch(uow: UnitOfWork, sku: str, launches_at: datetime, viewed_at: datetime) -> None:
    """Schedule the flows that start at a launch for that of one product.

    Args:
        uow: the unit of work.
        sku: the product.
        launches_at: when it is launched, UTC, as stated at `viewed_at`. The newest statement counts, in whatever order they arrive.
        viewed_at: when the customer viewed the product, UTC.
    """
    for compiled in uow.ruleset.by_trigger.get(LAUNCH, ()):
        _schedule_launch(uow, compiled, sku, launches_at, viewed_at)


def _schedule_launch(
    uow: UnitOfWork, compiled: CompiledFlow, sku: str, launches_at: datetime, viewed_at: datetime
) -> None:
    flow = compiled.flow
    if has_instance(uow, _launch_id(uow, flow, sku)):
        return
    instance_id = ids.instance_id(uow.customer_id, flow.name, f"launch/{sku}")
    scheduled = find_instance(uow, instance_id)
    first_viewed_at, stated_at = viewed_at, viewed_at
    if scheduled is not None:
        first_viewed_at = min(viewed_at, scheduled.started_at)
        times = {name: datetime.fromisoformat(value) for name, value in scheduled.trigger_data if name != SKU}
        if viewed_at <= times[_STATED_AT]:
            launches_at, stated_at = times[LAUNCHES_AT], times[_STATED_AT]
    elif viewed_at >= launches_at:
        return
    trigger_data = (
        (SKU, sku),
        (LAUNCHES_AT, local_time.text_of(launches_at)),
        (_STATED_AT, local_time.text_of(stated_at)),
    )
    due_at = _starts_at(uow, flow, launches_at)
    others = other_instances(uow, instance_id)
    waiting = Instance(
        instance_id,
        flow.name,
        flow.version,
        "",
        None,
        DATE_STEP,
        due_at,
        first_viewed_at,
        trigger_data=trigger_data,
    )
    if due_at <= uow.now:
        uow.instances = others
        if not uow.is_imported and not is_too_old(uow, flow, uow.now - max(due_at, first_viewed_at)):
            _start(uow, compiled, waiting)
    elif scheduled is None and not _has_room(uow, flow, waiting):
        return
    elif scheduled is None or scheduled.due_at != due_at:
        suspend(uow, waiting, others)
    elif scheduled != waiting:  # the timer of this time exists already
        uow.instances = (*others, waiting)
        uow.changed = True


def _launch_id(uow: UnitOfWork, flow: Flow, sku: str) -> str:
    """Return the id of the one instance that the launch of a product starts."""
    return instance_id_of(uow, flow.name, f"product/{sku}")


def _starts_at(uow: UnitOfWork, flow: Flow, launches_at: datetime) -> datetime:
    return local_time.round_up(
        launches_at - local_time.scale(timedelta(days=flow.trigger.before), uow.ruleset.day_scale)
    )


def _has_room(uow: UnitOfWork, flow: Flow, waiting: Instance) -> bool:
    """Return whether one more instance may wait for a launch. Log it if not."""
    limits, repeat = uow.ruleset.limits, local_time.text_of(waiting.due_at)
    if len([instance for instance in uow.instances if instance.waits_for_launch]) >= limits.launches:
        detail = f"more than {limits.launches} launches waited for at once"
        uow.decisions(flow, waiting).limit("launches", detail, repeat=repeat)
        return False
    if len(uow.instances) >= limits.instances:
        detail = f"more than {limits.instances} flows at once"
        uow.decisions(flow, waiting).limit("instances", detail, repeat=repeat)
        return False
    return True


def _start(uow: UnitOfWork, compiled: CompiledFlow, scheduled: Instance) -> None:
    """Start the flow for a product whose launch has come.

    It starts at its scheduled time, or when the customer first viewed the product if that was later.
    """
    data = dict(scheduled.trigger_data)
    viewed_at = local_time.text_of(scheduled.started_at)
    trigger_data = ((SKU, data[SKU]), ("seen_at", viewed_at), (LAUNCHES_AT, data[LAUNCHES_AT]))
    started_at = min(max(scheduled.due_at, scheduled.started_at), uow.now)
    instance_id = _launch_id(uow, compiled.flow, data[SKU])
    start_once(uow, compiled, instance_id, LAUNCH, EvalContext(uow, None, None, trigger_data), started_at)


def start_on_launch(uow: UnitOfWork, scheduled: Instance) -> None:
    """Start the flow that waits for a launch, or keep it waiting if the flow now starts later."""
    others = other_instances(uow, scheduled.instance_id)
    uow.instances = others
    uow.changed = True
    compiled = uow.ruleset.newest_flow(scheduled.flow)
    if compiled is None or compiled.flow.trigger.on != LAUNCH:
        log_missing_flow(uow, scheduled)
        return
    launches_at = datetime.fromisoformat(dict(scheduled.trigger_data)[LAUNCHES_AT])
    due_at = _starts_at(uow, compiled.flow, launches_at)
    if due_at > uow.now:
        suspend(uow, replace(scheduled, flow_version=compiled.flow.version, due_at=due_at), others)
        return
    _start(uow, compiled, scheduled)
