"""Instances whose version of their flow this worker does not know.

While new templates roll out, another worker may have started an instance on a version, or a flow, that this one does not have. It
leaves such an instance alone, keeps the events about it, and looks again until a worker with the new templates owns the partition. An
instance of a flow that was deleted looks the same, so it ends `GONE_AFTER` its wait is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.instances.exits import log_missing_flow, remove_instance
from streams.core.instances.waiting import drop_instance, find_instance, replace_instance, schedule_timer
from streams.core.model.instance import EARLIER_ID, HeldEvent, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import MOMENTARY

#: The first look comes after `SHORTEST`. Each later one waits as long as all before it, so that the many instances of a deleted flow cost
#: little, but at most `LONGEST`.
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=1)
#: How long after the end of its wait an instance stays: longer than templates take to roll out, and that a weekend passes between a
#: rollout that stops halfway and its repair.
GONE_AFTER = timedelta(days=7)


def is_unknown(uow: UnitOfWork, instance: Instance) -> bool:
    """Return whether this worker does not know the instance's flow, or only older versions of it."""
    return not uow.ruleset.knows(instance.flow, instance.flow_version)


def is_dispatched(uow: UnitOfWork, name: str) -> bool:
    """Return whether an event may start a flow here, or resume or end an instance: also one whose flow this worker does not know."""
    ruleset = uow.ruleset
    # Instances that do not wait for it yet count too: the event is then stored as known, and resumes nothing if it is reported again.
    if name in ruleset.by_trigger or name in ruleset.exits or (uow.instances and name in ruleset.awaited):
        return True
    return name in MOMENTARY and any(is_unknown(uow, instance) for instance in uow.instances)


def hold(uow: UnitOfWork, instance: Instance, event: HeldEvent) -> None:
    """Keep an event about an unknown instance. Above the limit the newest events are dropped: the instance has to process the first ones."""
    limit = uow.ruleset.limits.held_events
    if len(instance.trigger_data) - len(instance.own_data) >= limit:
        if uow.is_new("limit", "held_events", instance.instance_id):
            detail = f"more than {limit} events before this worker knew version {instance.flow_version} of the flow"
            uow.decisions(None, instance).limit("held_events", detail)
        return
    if not instance.is_holding:
        schedule_timer(uow, instance, uow.now + SHORTEST)
    replace_instance(uow, instance, instance.holding(event))


def look_again(uow: UnitOfWork, instance: Instance, fired_for: datetime) -> None:
    """Schedule the next look at an unknown instance, or end it if its flow is gone.

    Args:
        uow: the unit of work.
        instance: the instance.
        fired_for: the due time of the timer that led here, UTC. One before the end of the wait is about the events that the instance keeps.
    """
    is_over = fired_for >= instance.due_at
    if not is_over and not instance.is_holding:
        return
    waited = uow.now - (instance.due_at if is_over else instance.held_events()[0].held_at)
    if is_over and waited > GONE_AFTER:
        log_missing_flow(uow, instance)
        if instance.has_started:
            remove_instance(uow, instance.instance_id)
        else:
            drop_instance(uow, instance.instance_id)
        return
    next_look = uow.now + min(max(waited, SHORTEST), LONGEST)
    if fired_for == instance.due_at:
        detail = f"this worker does not know version {instance.flow_version} of the flow; it looks again"
        uow.decisions(None, instance).defer("flow_unknown", detail, next_look)
    if is_over or next_look < instance.due_at:  # else the timer of the wait comes first
        schedule_timer(uow, instance, next_look)


def release(uow: UnitOfWork, instance: Instance) -> list[HeldEvent]:
    """Remove the events that an instance keeps, and return them."""
    replace_instance(uow, instance, instance.holding_none())
    return instance.held_events()


def successor(uow: UnitOfWork, instance_id: str) -> Instance | None:
    """Return the waiting instance with this id, or the one that a migration made of it; None if it has ended."""
    instance = find_instance(uow, instance_id)
    if instance is not None:
        return instance
    earlier = (EARLIER_ID, instance_id)
    return next((other for other in uow.instances if earlier in other.trigger_data), None)
