"""Resume waiting instances: at an event that they wait for, or when a timer or a code wakes them."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import (
    exit_instance,
    exit_on_occurrence,
    exit_reason,
    has_reached_goal,
    log_missing_flow,
    remove_instance,
)
from streams.core.instances.matching import is_about
from streams.core.instances.migrate import apply_migration, migrated
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.steps.execution import Execution, planned_time
from streams.core.instances.steps.kinds import run
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.instances.unknown import hold, is_unknown
from streams.core.instances.waiting import other_instances, suspend
from streams.core.model.instance import CODE_GRANTED, HeldEvent, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow
from streams.core.rules.trigger_names import ACTIVITIES, AWAITED, MOMENTARY, OF_PRODUCTS

#: The data about the product of an event. An instance keeps the product that it started with.
_PRODUCT = ("sku", "seen_at", "launches_at")


def resume_instances(uow: UnitOfWork, occurrence: Occurrence) -> None:
    """Resume the instances that wait for `occurrence` and whose `where` holds for it, and end those of flows with it in `exit_on`.

    Keep it for those that may do so, but are unknown here.
    """
    for instance in uow.instances:
        if is_unknown(uow, instance):
            _hold(uow, instance, occurrence)
        else:
            resume(uow, instance, occurrence)


def resume(uow: UnitOfWork, instance: Instance, occurrence: Occurrence) -> None:
    """Resume an instance if it waits for `occurrence` and its `where` holds for it, or end it if its flow has it in `exit_on`."""
    if occurrence.name in uow.ruleset.momentary_exits and exit_on_occurrence(uow, instance, occurrence):
        return
    if instance.awaits != occurrence.name or not is_about(uow, instance, occurrence):
        return
    parcel = occurrence.parcel
    moved = migrated(uow, instance)
    compiled = uow.ruleset.find_flow(moved.flow, moved.flow_version, moved.step)
    step = compiled.steps[moved.step] if compiled is not None else None
    if compiled is None or not isinstance(step, WaitFor):
        return
    if parcel is not None and compiled.flow.trigger.once_per == "parcel" and parcel.parcel_id != moved.parcel_id:
        return
    if occurrence.name in ACTIVITIES and not _is_awaited_activity(compiled.flow, moved, occurrence):
        return
    order = uow.order(instance.order_id) if instance.order_id else occurrence.order
    if order is None and instance.order_id:
        return  # the order is no longer stored; the instance's timer logs that
    news = tuple([item for item in occurrence.data if item[0] not in _PRODUCT])
    names = dict(news)
    data = (*news, *(item for item in moved.trigger_data if item[0] not in names))
    parcel_id = parcel.parcel_id if parcel is not None else moved.parcel_id
    context = EvalContext(uow, order, order.parcel(parcel_id) if order is not None else None, data)
    context.reward = moved.reward
    if step.where is None or step.where.holds(context):
        path = compiled.branch(step, 0)
        apply_migration(uow, instance, moved)
        if has_reached_goal(compiled.flow, context):
            exit_instance(uow, compiled.flow, moved, "goal")
            return
        moved = replace(moved, trigger_data=data, parcel_id=parcel_id)
        continue_from(Execution(uow, compiled, moved, context, min(occurrence.at, uow.now)), path)


def _is_awaited_activity(flow: Flow, instance: Instance, occurrence: Occurrence) -> bool:
    """Return whether an activity is one that the instance waits for: later than its start and, in a flow per product, of its product."""
    if occurrence.at <= instance.started_at:
        return False
    is_of_product = flow.trigger.once_per == "product" and occurrence.name in OF_PRODUCTS
    return not is_of_product or dict(occurrence.data).get("sku") == dict(instance.trigger_data).get("sku")


def _hold(uow: UnitOfWork, instance: Instance, occurrence: Occurrence) -> None:
    """Keep an occurrence that an unknown instance waits for, for which it may wait once its present wait is over, or that may end it."""
    name, order, parcel = occurrence.name, occurrence.order, occurrence.parcel
    held = {event.name for event in instance.held_events()}
    is_blocked = instance.due_at <= uow.now or not held.isdisjoint((instance.awaits, CODE_GRANTED))
    is_exit = name in MOMENTARY and name not in held
    if not instance.has_started or not (instance.awaits == name or (is_blocked and name in AWAITED) or is_exit):
        return
    if is_about(uow, instance, occurrence):
        order_id = order.order_id if order is not None else None
        parcel_id = parcel.parcel_id if parcel is not None else None
        event = HeldEvent(name, occurrence.at, uow.now, order_id, parcel_id, occurrence.data, occurrence.send_id)
        hold(uow, instance, event)


def prepare(uow: UnitOfWork, instance: Instance) -> Execution | None:
    """Prepare a waiting instance to continue: migrate it, and end it if its flow, its order or an exit event ends it.

    Returns:
        The execution that continues the instance now, or None if the instance has ended. Its end is logged.
    """
    instance = apply_migration(uow, instance, migrated(uow, instance))
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    order = uow.order(instance.order_id)
    if compiled is None:
        remove_instance(uow, instance.instance_id)
        log_missing_flow(uow, instance)
        return None
    flow = compiled.flow
    if order is None and instance.order_id:
        detail = f"more than {uow.ruleset.limits.orders} orders; this one is no longer stored"
        uow.decisions(flow, instance).limit("orders", detail)
        remove_instance(uow, instance.instance_id)
        return None
    parcel = order.parcel(instance.parcel_id) if order is not None else None
    context = EvalContext(uow, order, parcel, instance.trigger_data)
    reason = exit_reason(context, flow, instance.started_at)
    if reason is not None:
        exit_instance(uow, flow, instance, reason)
        return None
    return Execution(uow, compiled, instance, context, planned_time(uow, instance.due_at))


def continue_from(execution: Execution, path: str | None) -> None:
    """Execute the steps of a waiting instance from `path` (None: the end of the flow), then suspend it or remove it.

    The instances that joined its email continue too.
    """
    uow, instance_id = execution.uow, execution.instance.instance_id
    waiting = run(execution, path)
    if waiting is not None:
        suspend(uow, waiting, other_instances(uow, instance_id))
    else:
        remove_instance(uow, instance_id)
    for other, next_path in execution.joined:
        continue_from(other, next_path)
