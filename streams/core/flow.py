"""What a flow is: a trigger, and steps in a tree. How it is written down is in flow_language.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from streams.core.effects import Purpose

Status: TypeAlias = Literal["draft", "live", "paused"]
OncePer: TypeAlias = Literal["order", "parcel"]
Clock: TypeAlias = Literal["customer", "shop"]

TRIGGERS = ("order.placed", "shipment.shipped", "shipment.delivered")
EXITS = ("order.placed", "order.cancelled", "order.refunded", "shipment.returned", "customer.unsubscribed")


class Condition(Struct, frozen=True):
    """A condition as it was written, and the closure that answers it for a view (see conditions.py)."""

    source: str
    holds: Callable[[Any], bool]


class Trigger(Struct, frozen=True, kw_only=True):
    """What starts an instance: an event, at most once per order or parcel, if `where` holds.

    `shipment.delivered` once per order means the last parcel; `shipment.shipped` once per order the first.
    """

    on: str
    once_per: OncePer = "order"
    where: Condition | None = None


class Wait(Struct, frozen=True, kw_only=True, tag="wait"):
    """Wait `days` of the calendar and then `more`; then for the next `at` o'clock; then for a weekday that is not in `not_on` (Monday = 0).

    `clock` says on whose wall the clock hangs.
    """

    path: str
    days: int = 0
    more: timedelta = timedelta()
    at: time | None = None
    clock: Clock = "customer"
    not_on: frozenset[int] = frozenset()


class Arm(Struct, frozen=True, kw_only=True):
    """One way out of a split; `when` None = otherwise."""

    when: Condition | None
    steps: tuple[Step, ...]


class Split(Struct, frozen=True, kw_only=True, tag="split"):
    """Go the way of the first arm whose condition holds, then on with the step after the split."""

    path: str
    arms: tuple[Arm, ...]


class Send(Struct, frozen=True, kw_only=True, tag="send"):
    """Send `message`, unless it could not be sent within `expires` after the decision. Higher `priority` goes first."""

    path: str
    message: str
    purpose: Purpose
    priority: int = 50
    expires: timedelta = timedelta(days=5)


Step: TypeAlias = Wait | Split | Send


class Flow(Struct, frozen=True, kw_only=True):
    """A flow of one version. A step's path is its place in the tree: "1.0.2" = step 1, its arm 0, step 2 of that."""

    name: str
    version: int
    status: Status
    purpose: Purpose
    trigger: Trigger
    steps: tuple[Step, ...]
    exit_on: tuple[str, ...] = ()


class Program:
    """A flow made ready to run: every step by its path, and which path follows it."""

    __slots__ = ("first", "flow", "following", "steps")

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.steps: dict[str, Step] = {}
        self.following: dict[str, str | None] = {}
        self._lay(flow.steps, None)
        self.first: str | None = flow.steps[0].path if flow.steps else None

    def _lay(self, steps: tuple[Step, ...], after: str | None) -> None:
        for index, step in enumerate(steps):
            following = steps[index + 1].path if index + 1 < len(steps) else after
            self.steps[step.path] = step
            self.following[step.path] = following
            if isinstance(step, Split):
                for arm in step.arms:
                    self._lay(arm.steps, following)
