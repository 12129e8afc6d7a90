"""One pass of an instance through its steps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from streams.core.conditions.context import EvalContext
from streams.core.model.decision_log import DecisionLog
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Step
from streams.core.values import local_time

#: How late a timer may fire that counts as punctual.
_JUST_NOW = timedelta(hours=1)


class Execution:
    """One pass of an instance through its steps, until one of them waits or none is left.

    Args:
        uow: the unit of work.
        compiled: the flow of the instance.
        instance: the instance; steps replace it.
        context: the data for conditions.
        start: the time (UTC) from which the next wait counts; steps move it.
        is_start: whether the instance starts now.
        has_sent: whether an email was decided in this pass. It left now, which may be later than `start`.

    Attributes:
        refused: whether no code of a pool was taken because the next email is refused. Until that email, conditions hold as with a code.
        joined: the instances whose email was sent together with that of this one, each with the path at which it continues.
    """

    __slots__ = ("compiled", "context", "flow", "has_sent", "instance", "is_start", "joined", "refused", "start", "uow")

    def __init__(
        self,
        uow: UnitOfWork,
        compiled: CompiledFlow,
        instance: Instance,
        context: EvalContext,
        start: datetime,
        *,
        is_start: bool = False,
        has_sent: bool = False,
    ) -> None:
        self.uow = uow
        self.compiled = compiled
        self.flow = compiled.flow
        self.instance = instance
        self.context = context
        self.start = start
        self.is_start = is_start
        self.has_sent = has_sent
        self.refused = False
        self.joined: list[tuple[Execution, str | None]] = []

    @property
    def reward(self) -> str:
        """The code for conditions: that of the instance's newest reward, or any text until an email that is refused."""
        return self.instance.reward or ("refused" if self.refused else "")

    def refresh_context(self) -> EvalContext:
        """Return the context with the newest reward of the instance."""
        self.context.reward = self.reward
        self.context.trigger_data = self.instance.trigger_data
        return self.context

    def log(self, path: str) -> DecisionLog:
        """Return the log for decisions about the step at `path`."""
        return self.uow.decisions(self.flow, self.instance, path)

    def next_step(self, step: Step) -> str | None:
        """Return the path after `step` and its branches, or None at the end of the flow."""
        return self.compiled.next_step[step.path]

    def wait_at(self, path: str, due_at: datetime, *, awaits: str = "", wanted_at: datetime | None = None) -> Instance:
        """Return the instance as it waits until `due_at` to execute the step at `path`."""
        instance = self.instance
        # Fields by position: `replace` takes several times as long.
        return Instance(
            instance.instance_id,
            instance.flow,
            instance.flow_version,
            instance.order_id,
            instance.parcel_id,
            path,
            due_at,
            instance.started_at,
            awaits,
            wanted_at,
            instance.trigger_data,
            instance.reward,
        )

    def wait_while_paused(self, path: str) -> Instance:
        """Return the instance as it waits at `path` until its flow, which is paused, is looked at again."""
        uow = self.uow
        due_at = local_time.scale_deadline(uow.now, uow.now + uow.ruleset.paused_for, uow.ruleset.day_scale)
        self.log(path).defer("paused", "the flow is paused; checked again later", due_at)
        return self.wait_at(path, due_at, wanted_at=self.instance.wanted_at)

    def is_draft(self, step: Step) -> bool:
        """Return whether the flow is a draft. A draft only logs its steps."""
        is_draft = self.flow.status == "draft"
        if is_draft:
            self.log(step.path).draft(f"would have executed step {step.path}")
        return is_draft


def planned_time(uow: UnitOfWork, due_at: datetime) -> datetime:
    """Return the time (UTC) from which the next wait counts: `due_at` if that was just now, else the present time.

    A timer fires a moment late. Counted from that moment, a wait for the same time of day on the next day would take two days. After a
    standstill of hours the present time counts, so that emails do not follow each other closely.
    """
    late = uow.now - due_at
    return due_at if timedelta() <= late <= local_time.scale(_JUST_NOW, uow.ruleset.day_scale) else uow.now


#: The result of a step: the path of the next step, None at the end of the flow, or the instance as it waits.
Result: TypeAlias = Instance | str | None
