"""Instances: flows that wait for a customer, to continue or to start."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.rules.flow import DATE_STEP, SEGMENT_STEP

# Prefixes of `Instance.awaits` for a code of a pool and for a target time. They are stored.
_POOL_PREFIX = "code of "
_TARGET_PREFIX = "@"


class Instance(Struct, frozen=True, gc=False, array_like=True):
    """An instance of a flow, waiting until `due_at` to execute the step at path `step`.

    Attributes:
        order_id: "" if no order started the instance.
        awaits: the event, code or target time that the instance waits for, in its stored form. Read it with the `awaited_*`
            properties.
        wanted_at: when the email at `step` was first due, if it has been deferred since.
        trigger_data: the values of the trigger, as (name, value). A migrated instance keeps its earlier id here too.
        reward: the code of the newest reward, "" if the instance has no code.
    """

    instance_id: str
    flow: str
    flow_version: int
    order_id: str
    parcel_id: str | None
    step: str
    due_at: datetime
    started_at: datetime
    awaits: str = ""
    wanted_at: datetime | None = None
    trigger_data: tuple[tuple[str, str], ...] = ()
    reward: str = ""

    @property
    def awaited_event(self) -> str:
        """The event that the instance waits for, for example "mail.opened"; "" if it does not wait for an event."""
        return "" if self.awaits.startswith((_POOL_PREFIX, _TARGET_PREFIX)) else self.awaits

    @property
    def awaited_pool(self) -> str:
        """The pool that the instance waits for a code from; "" if it does not wait for a code."""
        return self.awaits.removeprefix(_POOL_PREFIX) if self.awaits.startswith(_POOL_PREFIX) else ""

    @property
    def awaited_target(self) -> str:
        """The path of the wait whose target time the instance waits for; "" if it does not wait for a target time."""
        if not self.awaits.startswith(_TARGET_PREFIX):
            return ""
        return self.awaits.removeprefix(_TARGET_PREFIX).partition(" ")[0]

    @property
    def has_started(self) -> bool:
        """Whether the instance has executed a step. Other instances wait for the time at which their flow may start."""
        return self.step not in (DATE_STEP, SEGMENT_STEP)

    @property
    def waits_for_date(self) -> bool:
        """Whether the instance waits for a birthday or an anniversary to start."""
        return self.step == DATE_STEP and not self.trigger_data

    @property
    def waits_for_launch(self) -> bool:
        """Whether the instance waits for the launch of a product to start."""
        return self.step == DATE_STEP and bool(self.trigger_data)

    @property
    def waits_for_segment(self) -> bool:
        """Whether the instance waits for the time at which the customer may enter or leave the flow's segment."""
        return self.step == SEGMENT_STEP


class LastStart(Struct, frozen=True, gc=False, array_like=True):
    """The newest start of a flow that may start again: `fingerprint` identifies the flow and its order, parcel, product or customer."""

    fingerprint: bytes
    at: datetime


def awaits_pool(pool: str) -> str:
    """Return `Instance.awaits` of an instance that waits for a code from `pool`."""
    return _POOL_PREFIX + pool


def awaits_target(path: str, target: datetime | None) -> str:
    """Return `Instance.awaits` of an instance that waits for a target time.

    Args:
        path: the path of the wait.
        target: the target time as it is known now. It is stored in seconds since 1970, so that a change shows.
    """
    return f"{_TARGET_PREFIX}{path} {int(target.timestamp()) if target is not None else ''}"
