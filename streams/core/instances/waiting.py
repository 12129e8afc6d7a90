"""Runs of flows that wait: one more with its timer, or all but one."""

from __future__ import annotations

from streams.core.model.customer import Instance
from streams.core.model.effects import ScheduleTimer
from streams.core.model.flow import Flow
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time


def suspend(uow: UnitOfWork, instance: Instance, others: tuple[Instance, ...]) -> None:
    """Let an instance wait beside the `others`, and set the timer that wakes it."""
    uow.instances = (*others, instance)
    uow.changed = True
    uow.effects.append(
        ScheduleTimer(
            timer_id=ids.timer_id(instance.instance_id, instance.step, instance.due_at),
            customer_id=uow.customer_id,
            instance_id=instance.instance_id,
            flow=instance.flow,
            step=instance.step,
            due_at=instance.due_at,
        )
    )


def find_instance(uow: UnitOfWork, instance_id: str) -> Instance | None:
    """The instance of the customer with this id, if it waits."""
    return next((one for one in uow.instances if one.instance_id == instance_id), None)


def schedule_start(uow: UnitOfWork, flow: Flow, planned: Instance) -> None:
    """Let a run wait to begin, in the place of its earlier plan, if there is room; that there is none is logged."""
    others = other_instances(uow, planned.instance_id)
    if len(others) >= uow.ruleset.limits.instances:
        words, moment = f"more than {uow.ruleset.limits.instances} flows at once", local_time.text_of(planned.due_at)
        uow.decide(flow, planned.instance_id, planned.step, "limit", "instances", words, moment=moment)
        return
    suspend(uow, planned, others)


def other_instances(uow: UnitOfWork, instance_id: str) -> tuple[Instance, ...]:
    """The instances of the customer without one of them."""
    return tuple([other for other in uow.instances if other.instance_id != instance_id])
