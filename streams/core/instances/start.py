"""Start instances: which flows an occurrence starts, and what prevents a start."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.conditions.context import EvalContext, TriggerData
from streams.core.instances.exits import exit_reason, is_finished, mark_finished
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.steps.execution import Execution
from streams.core.instances.steps.kinds import run
from streams.core.instances.waiting import find_instance, suspend
from streams.core.model.instance import Instance, LastStart
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, membership
from streams.core.rules.trigger_names import CAMPAIGN, MEMBERSHIPS, OF_REQUESTS
from streams.core.sending.decide import hold_out
from streams.core.values import ids, local_time
from streams.core.values.buckets import in_share

#: Parcel events that start no flow once the parcel is delivered: they arrived too late.
_BEFORE_DELIVERY = frozenset(
    f"shipment.{status}"
    for status in ("shipped", "in_transit", "out_for_delivery", "delayed", "exception", "ready_for_pickup", "tracked")
)


def start_flows(
    uow: UnitOfWork, occurrence: Occurrence, *, only_transactional: bool = False, only_flow: str | None = None
) -> None:
    """Start every flow that the occurrence triggers, at most once per order, parcel, product or customer.

    Args:
        uow: the unit of work.
        occurrence: what has occurred. One that is too old for a flow, or was imported, starts nothing; that is logged.
        only_transactional: whether only transactional flows start.
        only_flow: the only flow that may start, or None.
    """
    flows = uow.ruleset.by_trigger.get(occurrence.name)
    if flows is None:
        return
    name, order, data = occurrence.name, occurrence.order, occurrence.data
    started_at = min(occurrence.at, uow.now)
    # A segment changes now, but is as old as the event that changes it.
    is_membership = name in MEMBERSHIPS
    age = uow.now - (uow.caused_at if is_membership else occurrence.at)
    for compiled in flows:
        trigger = compiled.flow.trigger
        if only_transactional and not compiled.flow.is_transactional:
            continue
        if only_flow is not None and compiled.flow.name != only_flow:
            continue
        if is_membership and ("segment", membership(compiled.flow)) not in data:
            continue
        if trigger.which == "last" and order is not None and not order.all_parcels(name.partition(".")[2]):
            continue
        for key, key_data in _keys(compiled.flow, occurrence):
            context = EvalContext(uow, order, occurrence.parcel, (*data, *key_data))
            if uow.is_imported or is_too_old(uow, compiled.flow, age):
                _log_too_old(uow, compiled, key, context, age, started_at)
            elif trigger.again_after is not None:
                _start_again(uow, compiled, key, name, context, started_at)
            else:
                instance_id = instance_id_of(uow, compiled.flow.name, key)
                start_once(uow, compiled, instance_id, name, context, started_at)


def _keys(flow: Flow, occurrence: Occurrence) -> list[tuple[str, TriggerData]]:
    """Return the keys for which the occurrence starts the flow, each at most once, with the data that belongs to the key."""
    order, parcel, once_per = occurrence.order, occurrence.parcel, flow.trigger.once_per
    if occurrence.name in OF_REQUESTS:
        return [(f"request/{dict(occurrence.data)['request_id']}", ())]
    if occurrence.name == CAMPAIGN:
        return [(campaign_key(flow), ())]
    if order is None and once_per == "product":
        return [(f"product/{dict(occurrence.data)['sku']}", ())]
    if order is None or once_per == "customer":
        return [("customer", ())]
    if once_per == "parcel" and parcel is not None:
        return [(f"{order.order_id}/{parcel.parcel_id}", ())]
    if once_per == "product":
        lines = order.facts.lines if order.facts is not None else ()
        skus = [line.sku for line in lines if line.is_orderable]
        return [(f"product/{sku}", (("sku", sku),)) for sku in dict.fromkeys(skus)]
    return [(order.order_id, ())]


def campaign_key(flow: Flow) -> str:
    """Return the key under which a campaign starts once per customer. A draft has another one, so that the campaign can be made live later."""
    return "draft" if flow.status == "draft" else "customer"


def is_too_old(uow: UnitOfWork, flow: Flow, age: timedelta) -> bool:
    """Return whether an event of this age no longer starts the flow. The state has it all the same."""
    return age > local_time.scale(flow.oldest_event, uow.ruleset.day_scale)


def _log_too_old(
    uow: UnitOfWork, compiled: CompiledFlow, key: str, context: EvalContext, age: timedelta, at: datetime
) -> None:
    flow, order = compiled.flow, context.order
    instance_id = instance_id_of(uow, flow.name, key)
    if has_instance(uow, instance_id):
        return
    log = uow.decisions_of(
        flow.name,
        flow.version,
        instance_id,
        compiled.first or "",
        order_id=order.order_id if order is not None else None,
    )
    repeat = f"{context.parcel.parcel_id if context.parcel is not None else ''} {local_time.text_of(at)}"
    if not uow.is_imported and not uow.is_new("too_old", instance_id, repeat):
        return  # the order has arrived after its parcels, whose events are dispatched again
    if is_too_old(uow, flow, age):
        days = local_time.unscale(age, uow.ruleset.day_scale).days
        log.skip(
            "too_old",
            f"it occurred {days} days ago, and this flow starts by events of {flow.oldest_event.days} days at most",
            repeat=repeat,
        )
    else:
        log.skip("imported", "it was imported from an earlier system", repeat=repeat)


def _start_again(
    uow: UnitOfWork, compiled: CompiledFlow, key: str, name: str, context: EvalContext, started_at: datetime
) -> None:
    """Start a flow that may start again, unless its last start is too recent."""
    flow = compiled.flow
    gap = flow.trigger.again_after
    fingerprint = ids.fingerprint("run", flow.name, key)
    last = next((start for start in uow.last_starts if start.fingerprint == fingerprint), None)
    if last is not None and gap is not None and started_at < last.at + local_time.scale(gap, uow.ruleset.day_scale):
        return
    instance_id = instance_id_of(uow, flow.name, f"{key}@{local_time.text_of(started_at)}")
    if start_once(uow, compiled, instance_id, name, context, started_at):
        others = tuple([start for start in uow.last_starts if start is not last])
        uow.last_starts = (*others, LastStart(fingerprint, started_at))[-uow.ruleset.limits.last_starts :]
        uow.changed = True


def start_once(
    uow: UnitOfWork, compiled: CompiledFlow, instance_id: str, name: str, context: EvalContext, started_at: datetime
) -> bool:
    """Start a flow as the instance `instance_id`, unless that instance waits or has ended.

    An occurrence that the trigger's `where` rejects does not count as a start, so a later one may still start the instance.

    Args:
        uow: the unit of work.
        compiled: the flow.
        instance_id: the id of the instance.
        name: the event that starts the flow.
        context: the data for conditions.
        started_at: the time (UTC) from which waits count.

    Returns:
        Whether the instance counts as started now, even if it ended at once.
    """
    if not has_instance(uow, instance_id):
        return _start(uow, compiled, instance_id, name, context, started_at)
    if is_finished(uow, instance_id):
        # Refresh the fingerprint so that other instances cannot evict it from the bounded row.
        mark_finished(uow, instance_id)
    return False


def instance_id_of(uow: UnitOfWork, flow: str, key: str) -> str:
    """Return the id of the instance that `key` (an order, a parcel) starts: an earlier one, if a merged customer has or had it."""
    own = ids.instance_id(uow.customer_id, flow, key)
    if uow.merge is None or has_instance(uow, own):
        return own
    merged = (ids.instance_id(customer_id, flow, key) for customer_id in uow.merge.ids)
    return next((instance_id for instance_id in merged if has_instance(uow, instance_id)), own)


def has_instance(uow: UnitOfWork, instance_id: str) -> bool:
    """Return whether an instance waits or has ended."""
    return is_finished(uow, instance_id) or find_instance(uow, instance_id) is not None


def _start(
    uow: UnitOfWork, compiled: CompiledFlow, instance_id: str, name: str, context: EvalContext, started_at: datetime
) -> bool:
    flow, order, parcel = compiled.flow, context.order, context.parcel
    instance = Instance(
        instance_id,
        flow.name,
        flow.version,
        order.order_id if order is not None else "",
        parcel.parcel_id if parcel is not None else None,
        compiled.first or "",
        started_at,
        started_at,
        trigger_data=context.trigger_data,
        reward=context.reward,
    )
    where = flow.trigger.where
    if where is not None and not where.holds(context):
        # The order and the parcel are part of the id, since two of them may occur at the same time.
        repeat = f"{instance.order_id} {instance.parcel_id or ''} {local_time.text_of(started_at)}"
        if order is not None and not order.placed:
            repeat += " unplaced"  # the same event is evaluated again when the order is placed
        uow.decisions(flow, instance).skip("where", f"not true: {where.source}", repeat=repeat)
        return False
    reason = exit_reason(context, flow, started_at)
    if reason is not None:
        uow.decisions(flow, instance).exit(reason, f"{reason} before the flow started")
    elif name in _BEFORE_DELIVERY and parcel is not None and parcel.has("delivered"):
        uow.decisions(flow, instance).skip("already_delivered", f"the parcel was delivered before {name} arrived")
    elif _is_held_out(uow, flow):
        hold_out(uow, flow, instance, instance.step)
    else:
        waiting = run(Execution(uow, compiled, instance, context, started_at, is_start=True), compiled.first)
        limit = uow.ruleset.limits.instances_of(is_transactional=flow.is_transactional)
        if waiting is not None and len(uow.instances) < limit:
            suspend(uow, waiting, uow.instances)
            return True
        if waiting is not None:
            rewards.cancel_claims(uow, instance_id)
            uow.decisions(flow, waiting).limit("instances", f"more than {limit} flows at once")
    mark_finished(uow, instance_id)
    return True


def _is_held_out(uow: UnitOfWork, flow: Flow) -> bool:
    """Return whether the customer is held out of the flow, or of every flow that is not transactional."""
    if flow.holdout and in_share(flow.holdout, "holdout", "flow", flow.name, uow.customer_id):
        return True
    overall = 0 if flow.is_transactional else uow.ruleset.rules.holdout
    return bool(overall) and in_share(overall, "holdout", "all", "", uow.customer_id)
