"""Runs of flows: starting them, waking them, ending them."""

from __future__ import annotations

from datetime import datetime

from streams.core import ids, local_time
from streams.core.conditions import View
from streams.core.customer import Instance, OrderState, Parcel
from streams.core.effects import LogDecision, ScheduleStep
from streams.core.events import StepDue
from streams.core.flow import Flow, Program, Send, Wait
from streams.core.sending import decide_send
from streams.core.turn import Turn, has_mark


def trigger(turn: Turn, name: str, order: OrderState, parcel: Parcel | None, occurred_at: datetime) -> None:
    """Start every flow that `name` (for example "order.placed") starts and that has not run for this order or parcel before."""
    started_at = occurred_at if occurred_at < turn.now else turn.now
    for program in turn.world.by_trigger.get(name, ()):
        flow = program.flow
        key = order.order_id
        if flow.trigger.once_per == "parcel" and parcel is not None:
            key = f"{key}/{parcel.parcel_id}"
        elif name == "shipment.delivered" and not order.is_delivered():
            continue
        instance_id = ids.instance_id(turn.customer_id, flow.name, key)
        if _is_known(turn, instance_id):
            continue
        _start(turn, program, instance_id, name, order, parcel, started_at)


def _is_known(turn: Turn, instance_id: str) -> bool:
    if has_mark(turn.ended_marks, bytes.fromhex(instance_id)[:8]):
        return True
    return instance_id in [instance.instance_id for instance in turn.instances]


def _start(
    turn: Turn,
    program: Program,
    instance_id: str,
    name: str,
    order: OrderState,
    parcel: Parcel | None,
    started_at: datetime,
) -> None:
    flow, first = program.flow, program.first
    order_id = order.order_id
    reason = exit_reason(turn, flow, order, started_at)
    if reason is not None:
        turn.decide(
            flow, instance_id, first or "", "exit", reason, f"{reason} before the flow began", order_id=order_id
        )
    elif name == "shipment.shipped" and parcel is not None and parcel.has("delivered"):
        words = "the parcel was delivered before Takk heard that it was shipped"
        turn.decide(flow, instance_id, first or "", "skip", "already_delivered", words, order_id=order_id)
    elif flow.trigger.where is not None and not flow.trigger.where.holds(View(turn, order, parcel)):
        words = f"not true: {flow.trigger.where.source}"
        turn.decide(flow, instance_id, first or "", "skip", "where", words, order_id=order_id)
    else:
        parcel_id = parcel.parcel_id if parcel is not None else None
        fresh = Instance(instance_id, flow.name, flow.version, order_id, parcel_id, first or "", started_at, started_at)
        waiting = _run(turn, program, fresh, order, parcel, started_at, is_start=True)
        if waiting is not None and len(turn.instances) < turn.world.limits.instances:
            _await(turn, waiting, turn.instances)
            return
        if waiting is not None:
            words = f"more than {turn.world.limits.instances} flows at once"
            turn.decide(flow, instance_id, waiting.step, "limit", "instances", words, order_id=order_id)
    _note_end(turn, instance_id)


def _run(
    turn: Turn,
    program: Program,
    instance: Instance,
    order: OrderState,
    parcel: Parcel | None,
    start: datetime,
    *,
    is_start: bool = False,
) -> Instance | None:
    """Take steps from the instance's own on. Waits are counted from `start`. The instance as it waits, or None if it came to its end."""
    flow, world = program.flow, turn.world
    path: str | None = instance.step
    taken = 0
    while path:
        step = program.steps[path]
        taken += 1
        if taken > world.limits.steps_per_wake_up:
            words = f"more than {world.limits.steps_per_wake_up} steps at one wake-up"
            turn.decide(flow, instance.instance_id, path, "limit", "steps_per_wake_up", words, order_id=order.order_id)
            return None
        following = program.following[path]
        if isinstance(step, Wait):
            where = (
                turn.zone_of(order)
                if step.clock == "customer"
                else local_time.local_zone(None, "", world.shop.time_zone)
            )
            due_at = local_time.scaled(start, local_time.due(step, start, where), world.day_scale)
            if due_at > turn.now and following is not None:
                return _waiting(instance, following, due_at)
            start = due_at
            is_start = False
        elif isinstance(step, Send):
            if flow.status == "paused":
                due_at = local_time.scaled(turn.now, turn.now + world.paused_for, world.day_scale)
                words = "the flow is paused; looked at again later"
                moment = local_time.text_of(due_at)
                turn.decide(
                    flow, instance.instance_id, path, "defer", "paused", words, order_id=order.order_id, moment=moment
                )
                return _waiting(instance, path, due_at)
            # A mail sent at once speaks of the moment of the order; any other of the moment at which it is sent.
            facts = order.facts
            is_at_once = is_start and flow.trigger.on == "order.placed" and facts is not None
            moment_spoken_of = facts.placed_at if is_at_once and facts is not None else turn.now
            decide_send(turn, flow, step, instance.instance_id, order, parcel, moment_spoken_of)
            start = turn.now  # what follows a mail is counted from the mail
        else:
            view = View(turn, order, parcel)
            for arm in step.arms:
                if arm.when is None or arm.when.holds(view):
                    following = arm.steps[0].path if arm.steps else following
                    break
            else:
                words = "no arm of the split is true"
                turn.decide(flow, instance.instance_id, path, "skip", "no_arm", words, order_id=order.order_id)
        path = following
    return None


def _waiting(instance: Instance, step: str, due_at: datetime) -> Instance:
    return Instance(
        instance.instance_id,
        instance.flow,
        instance.flow_version,
        instance.order_id,
        instance.parcel_id,
        step,
        due_at,
        instance.started_at,
    )


def _await(turn: Turn, instance: Instance, others: tuple[Instance, ...]) -> None:
    turn.instances = (*others, instance)
    turn.changed = True
    turn.effects.append(
        ScheduleStep(
            timer_id=ids.timer_id(instance.instance_id, instance.step, instance.due_at),
            customer_id=turn.customer_id,
            instance_id=instance.instance_id,
            flow=instance.flow,
            step=instance.step,
            due_at=instance.due_at,
        )
    )


def _others(turn: Turn, instance_id: str) -> tuple[Instance, ...]:
    return tuple([other for other in turn.instances if other.instance_id != instance_id])


def _end(turn: Turn, instance_id: str) -> None:
    turn.instances = _others(turn, instance_id)
    _note_end(turn, instance_id)


def _note_end(turn: Turn, instance_id: str) -> None:
    turn.ended_marks = turn.with_mark(turn.ended_marks, bytes.fromhex(instance_id)[:8])
    turn.changed = True


def wake(turn: Turn, event: StepDue) -> None:
    """Go on with the instance that waits for this very timer. A timer nobody waits for changes nothing."""
    instance = next((one for one in turn.instances if one.instance_id == event.instance_id), None)
    if instance is None or instance.step != event.step or instance.due_at != event.due_at:
        return
    program = turn.world.program(instance.flow, instance.flow_version, instance.step)
    order = turn.order(instance.order_id)
    if program is None:
        _end(turn, instance.instance_id)
        _decide_without_program(turn, instance)
        return
    flow = program.flow
    if order is None:
        words = f"more than {turn.world.limits.orders} orders; this one is no longer remembered"
        turn.decide(flow, instance.instance_id, instance.step, "limit", "orders", words, order_id=instance.order_id)
        _end(turn, instance.instance_id)
        return
    reason = exit_reason(turn, flow, order, instance.started_at)
    if reason is not None:
        _exit(turn, flow, instance, reason)
        return
    waiting = _run(turn, program, instance, order, order.parcel(instance.parcel_id), turn.now)
    if waiting is not None:
        _await(turn, waiting, _others(turn, waiting.instance_id))
    else:
        _end(turn, instance.instance_id)


def _decide_without_program(turn: Turn, instance: Instance) -> None:
    turn.effects.append(
        LogDecision(
            decision_id=ids.decision_id(instance.instance_id, instance.step, "flow_gone"),
            customer_id=turn.customer_id,
            flow=instance.flow,
            flow_version=instance.flow_version,
            instance_id=instance.instance_id,
            step=instance.step,
            outcome="exit",
            rule="flow_gone",
            detail="the flow, or this step of it, is no longer there",
            send_id=None,
            order_id=instance.order_id,
            decided_at=turn.now,
        )
    )


def leave(turn: Turn, name: str, order_id: str | None) -> None:
    """End the waiting instances that the event `name` ends: those of `order_id`, or all the customer's if it is None."""
    if name not in turn.world.exits:
        return
    for instance in turn.instances:
        program = turn.world.program(instance.flow, instance.flow_version, instance.step)
        if program is None or name not in program.flow.exit_on:
            continue
        if order_id is not None and instance.order_id != order_id:
            continue
        order = turn.order(instance.order_id)
        if order is None:
            continue
        reason = exit_reason(turn, program.flow, order, instance.started_at)
        if reason is not None:
            _exit(turn, program.flow, instance, reason)


def _exit(turn: Turn, flow: Flow, instance: Instance, reason: str) -> None:
    turn.decide(
        flow,
        instance.instance_id,
        instance.step,
        "exit",
        reason,
        f"left the flow: {reason}",
        order_id=instance.order_id,
    )
    _end(turn, instance.instance_id)


def exit_reason(turn: Turn, flow: Flow, order: OrderState, started_at: datetime) -> str | None:
    """The first of the flow's exit events that has come true by now."""
    for name in flow.exit_on:
        if name == "order.refunded":
            is_true = order.refunded_at is not None
        elif name == "order.cancelled":
            is_true = order.cancelled_at is not None
        elif name == "shipment.returned":
            is_true = any(parcel.has("returned") for parcel in order.parcels)
        elif name == "customer.unsubscribed":
            is_true = bool(turn.consent.unsubscribed)
        else:  # order.placed: another one since
            is_true = any(
                other.placed
                and other.order_id != order.order_id
                and other.facts is not None
                and other.facts.placed_at > started_at
                for other in turn.orders
            )
        if is_true:
            return name
    return None
