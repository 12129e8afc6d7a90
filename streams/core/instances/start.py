"""What starts a run of a flow, and what keeps it from starting."""

from __future__ import annotations

from datetime import datetime

from streams.core.conditions.context import EvalContext, TriggerData
from streams.core.instances.exits import exit_reason, is_finished, mark_finished
from streams.core.instances.steps import execute_steps
from streams.core.instances.waiting import suspend
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance, LastStart, OrderState, Parcel
from streams.core.model.flow import Flow
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.sending.decide import hold_out
from streams.core.values import ids, local_time
from streams.core.values.buckets import in_share

#: News of a parcel that are none any more once it is delivered.
_ON_THE_WAY = frozenset(("shipment.shipped", "shipment.out_for_delivery", "shipment.delayed"))


def trigger(
    uow: UnitOfWork,
    name: str,
    order: OrderState | None,
    parcel: Parcel | None,
    occurred_at: datetime,
    about: TriggerData = (),
) -> None:
    """Start every flow that `name` (for example "order.placed") starts and that has not run for this before."""
    started_at = occurred_at if occurred_at < uow.now else uow.now
    for compiled in uow.ruleset.by_trigger.get(name, ()):
        told = compiled.flow.trigger
        if told.segment and ("segment", told.segment) not in about:
            continue
        if told.which == "last" and order is not None and not order.all_parcels(name.partition(".")[2]):
            continue
        for key, more in _keys(compiled.flow, order, parcel, about):
            context = EvalContext(uow, order, parcel, (*about, *more))
            if told.again_after is not None:
                _start_again(uow, compiled, key, name, context, started_at)
            else:
                start_once(
                    uow, compiled, ids.instance_id(uow.customer_id, compiled.flow.name, key), name, context, started_at
                )


def _keys(
    flow: Flow, order: OrderState | None, parcel: Parcel | None, about: TriggerData
) -> list[tuple[str, TriggerData]]:
    """What an event starts the flow for, each at most once, and what conditions may know of it."""
    once_per = flow.trigger.once_per
    if order is None and once_per == "product":
        return [(f"product/{dict(about)['sku']}", ())]
    if order is None or once_per == "customer":
        return [("customer", ())]
    if once_per == "parcel" and parcel is not None:
        return [(f"{order.order_id}/{parcel.parcel_id}", ())]
    if once_per == "product":
        lines = order.facts.lines if order.facts is not None else ()
        return [(f"product/{sku}", (("sku", sku),)) for sku in dict.fromkeys([line.sku for line in lines])]
    return [(order.order_id, ())]


def _start_again(
    uow: UnitOfWork, compiled: CompiledFlow, key: str, name: str, context: EvalContext, started_at: datetime
) -> None:
    """Start a flow that may begin again, unless it last began too short a time ago."""
    flow = compiled.flow
    gap = flow.trigger.again_after
    fingerprint = ids.mark("run", flow.name, key)
    last = next((run for run in uow.last_starts if run.fingerprint == fingerprint), None)
    if last is not None and gap is not None and started_at < last.at + local_time.scale(gap, uow.ruleset.day_scale):
        return
    instance_id = ids.instance_id(uow.customer_id, flow.name, f"{key}@{local_time.text_of(started_at)}")
    if start_once(uow, compiled, instance_id, name, context, started_at):
        others = tuple([run for run in uow.last_starts if run is not last])
        uow.last_starts = (*others, LastStart(fingerprint, started_at))[-uow.ruleset.limits.last_starts :]
        uow.changed = True


def start_once(
    uow: UnitOfWork, compiled: CompiledFlow, instance_id: str, name: str, context: EvalContext, started_at: datetime
) -> bool:
    """Start a flow as the run `instance_id`, unless it is waiting or has ended already, or is not for this; whether it has begun now.

    What `where` refuses is no beginning: the next event is asked again.
    """
    if not is_known(uow, instance_id):
        return _start(uow, compiled, instance_id, name, context, started_at)
    if is_finished(
        uow, instance_id
    ):  # asked for again it is forgotten last: once a customer is once, however much comes between
        mark_finished(uow, instance_id)
    return False


def is_known(uow: UnitOfWork, instance_id: str) -> bool:
    """Whether a run waits or has ended."""
    return is_finished(uow, instance_id) or instance_id in [instance.instance_id for instance in uow.instances]


def _start(
    uow: UnitOfWork, compiled: CompiledFlow, instance_id: str, name: str, context: EvalContext, started_at: datetime
) -> bool:
    flow, first, order, parcel = compiled.flow, compiled.first, context.order, context.parcel
    order_id = order.order_id if order is not None else None
    where = flow.trigger.where
    if where is not None and not where.holds(context):
        # Of two orders, or two parcels, of one moment each is refused.
        moment = " ".join(
            [order_id or "", parcel.parcel_id if parcel is not None else "", local_time.text_of(started_at)]
        )
        words = f"not true: {where.source}"
        uow.decide(flow, instance_id, first or "", "skip", "where", words, order_id=order_id, moment=moment)
        return False
    reason = exit_reason(context, flow, started_at)
    if reason is not None:
        uow.decide(flow, instance_id, first or "", "exit", reason, f"{reason} before the flow began", order_id=order_id)
    elif name in _ON_THE_WAY and parcel is not None and parcel.has("delivered"):
        words = f"the parcel was delivered before Takk heard of {name}"
        uow.decide(flow, instance_id, first or "", "skip", "already_delivered", words, order_id=order_id)
    elif _is_held_out(uow, flow):
        hold_out(uow, flow, instance_id, first or "", "", flow.purpose, order_id)
    else:
        parcel_id = parcel.parcel_id if parcel is not None else None
        fresh = Instance(
            instance_id, flow.name, flow.version, order_id or "", parcel_id, first or "", started_at, started_at, about=context.trigger_data
        )  # fmt: skip
        waiting = execute_steps(uow, compiled, fresh, context, started_at, first, is_start=True)
        if waiting is not None and len(uow.instances) < uow.ruleset.limits.instances:
            suspend(uow, waiting, uow.instances)
            return True
        if waiting is not None:
            rewards.cancel_claims(uow, instance_id)
            words = f"more than {uow.ruleset.limits.instances} flows at once"
            uow.decide(flow, instance_id, waiting.step, "limit", "instances", words, order_id=order_id)
    mark_finished(uow, instance_id)
    return True


def _is_held_out(uow: UnitOfWork, flow: Flow) -> bool:
    shares = (("flow", flow.name, flow.holdout), ("all", "", 0 if flow.is_transactional else uow.ruleset.rules.holdout))
    return any(share and in_share(share, "holdout", what, name, uow.customer_id) for what, name, share in shares)
