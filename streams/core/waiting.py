"""Runs of flows that wait: one more with its timer, or all but one."""

from __future__ import annotations

from streams.core import ids
from streams.core.customer import Instance
from streams.core.effects import ScheduleStep
from streams.core.turn import Turn


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


def all_but(turn: Turn, instance_id: str) -> tuple[Instance, ...]:
    """The instances of the customer without one of them."""
    return tuple([other for other in turn.instances if other.instance_id != instance_id])
