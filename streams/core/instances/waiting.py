"""Waiting instances: suspend one, find, replace or drop one, and list the others."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.effects import ScheduleTimer
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow
from streams.core.values import ids, local_time


def suspend(uow: UnitOfWork, instance: Instance, others: tuple[Instance, ...]) -> None:
    """Store `instance` beside the `others`, and schedule the timer that wakes it at `instance.due_at`."""
    uow.instances = (*others, instance)
    uow.changed = True
    schedule_timer(uow, instance, instance.due_at)


def schedule_timer(uow: UnitOfWork, instance: Instance, due_at: datetime) -> None:
    """Schedule a timer for the step at which an instance waits, at `due_at` (UTC)."""
    uow.effects.append(timer_of(uow.customer_id, instance.instance_id, instance.flow, instance.step, due_at))


def timer_of(customer_id: str, instance_id: str, flow: str, step: str, due_at: datetime) -> ScheduleTimer:
    """Return the timer of a step of an instance at `due_at` (UTC). The same step at the same time has the same timer."""
    return ScheduleTimer(
        timer_id=ids.timer_id(instance_id, step, due_at),
        customer_id=customer_id,
        instance_id=instance_id,
        flow=flow,
        step=step,
        due_at=due_at,
    )


def schedule_start(uow: UnitOfWork, flow: Flow, instance: Instance) -> None:
    """Suspend an instance that waits to start, in place of its earlier schedule. Log it if the limit of instances is reached."""
    others = other_instances(uow, instance.instance_id)
    limit = uow.ruleset.limits.instances
    if len(others) >= limit:
        repeat = local_time.text_of(instance.due_at)
        uow.decisions(flow, instance).limit("instances", f"more than {limit} flows at once", repeat=repeat)
        return
    suspend(uow, instance, others)


def find_instance(uow: UnitOfWork, instance_id: str) -> Instance | None:
    """Return the waiting instance with this id, or None."""
    for instance in uow.instances:
        if instance.instance_id == instance_id:
            return instance
    return None


def replace_instance(uow: UnitOfWork, instance: Instance, changed: Instance) -> None:
    """Store `changed` in the place of a waiting instance."""
    uow.instances = tuple([changed if other is instance else other for other in uow.instances])
    uow.changed = True


def drop_instance(uow: UnitOfWork, instance_id: str) -> None:
    """Remove an instance from the waiting ones. A later event may start it again."""
    uow.instances = other_instances(uow, instance_id)
    uow.changed = True


def other_instances(uow: UnitOfWork, instance_id: str) -> tuple[Instance, ...]:
    """Return the customer's waiting instances without the one with this id."""
    return tuple([other for other in uow.instances if other.instance_id != instance_id])
