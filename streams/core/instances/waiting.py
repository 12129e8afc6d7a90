"""Runs of flows that wait: one more with its timer, or all but one."""

from __future__ import annotations

from streams.core.model.customer import Instance
from streams.core.model.effects import ScheduleStep
from streams.core.model.flow import Flow
from streams.core.model.unit_of_work import Turn
from streams.core.values import ids, local_time


def let_wait(turn: Turn, instance: Instance, others: tuple[Instance, ...]) -> None:
    """Let an instance wait beside the `others`, and set the timer that wakes it."""
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


def waiting_run(turn: Turn, instance_id: str) -> Instance | None:
    """The instance of the customer with this id, if it waits."""
    return next((one for one in turn.instances if one.instance_id == instance_id), None)


def plan_run(turn: Turn, flow: Flow, planned: Instance) -> None:
    """Let a run wait to begin, in the place of its earlier plan, if there is room; that there is none is logged."""
    others = all_but(turn, planned.instance_id)
    if len(others) >= turn.world.limits.instances:
        words, moment = f"more than {turn.world.limits.instances} flows at once", local_time.text_of(planned.due_at)
        turn.decide(flow, planned.instance_id, planned.step, "limit", "instances", words, moment=moment)
        return
    let_wait(turn, planned, others)


def all_but(turn: Turn, instance_id: str) -> tuple[Instance, ...]:
    """The instances of the customer without one of them."""
    return tuple([other for other in turn.instances if other.instance_id != instance_id])
