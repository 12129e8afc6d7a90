"""Instances: flows that wait for a customer, to continue or to start."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, json
from msgspec.structs import replace

from streams.core.rules.flow import DATE_STEP, SEGMENT_STEP
from streams.core.values.local_time import text_of

# Prefixes of `Instance.awaits` for a code of a pool and for a target time. They are stored.
_POOL_PREFIX = "code of "
_TARGET_PREFIX = "@"
#: The name under which the trigger data of a migrated instance keeps its earlier id. It is stored.
EARLIER_ID = "run"
#: The names under which the trigger data of an instance keeps the name of its newest reward, and when its code ends. They are stored.
REWARD_NAME, REWARD_ENDS = "reward", "reward_ends"
#: The name under which the trigger data of an instance keeps another one whose email it joined. It is stored.
JOINED_ID = "joined"
# The name of the trigger data that holds an event, always behind all other data. It is stored.
_HELD = "held"
#: The name of a held event that is the code of a pool. All others have the names of flow definitions.
CODE_GRANTED = "code.granted"


class HeldEvent(Struct, frozen=True, gc=False, array_like=True):
    """An event about an instance whose version of the flow this worker does not know. It is kept until a worker knows it.

    Attributes:
        name: the event as flow definitions call it, or `CODE_GRANTED`.
        at: when it occurred, UTC.
        held_at: when it was processed, UTC.
        order_id, parcel_id: its order and parcel, if any.
        data: its values, as (name, value).
        send_id: its email, if any.
    """

    name: str
    at: datetime
    held_at: datetime
    order_id: str | None = None
    parcel_id: str | None = None
    data: tuple[tuple[str, str], ...] = ()
    send_id: str | None = None


_decode_held = json.Decoder(HeldEvent).decode


class Instance(Struct, frozen=True, gc=False, array_like=True):
    """An instance of a flow, waiting until `due_at` to execute the step at path `step`.

    Attributes:
        order_id: "" if no order started the instance.
        awaits: the event, code or target time that the instance waits for, in its stored form. Read it with the `awaited_*`
            properties.
        wanted_at: when the email at `step` was first due, if it has been deferred since.
        trigger_data: the values of the trigger, as (name, value). A migrated instance keeps its earlier id here too, and an instance
            whose flow is not known everywhere keeps events (see `held_events`).
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
    def is_holding(self) -> bool:
        """Whether the instance keeps events."""
        return bool(self.trigger_data) and self.trigger_data[-1][0] == _HELD

    def held_events(self) -> list[HeldEvent]:
        """Return the events that the instance keeps, in the order in which they were processed."""
        return [_decode_held(value) for name, value in self.trigger_data if name == _HELD]

    def holding(self, event: HeldEvent) -> Instance:
        """Return the instance with one more event."""
        return replace(self, trigger_data=(*self.trigger_data, (_HELD, json.encode(event).decode())))

    def holding_none(self) -> Instance:
        """Return the instance without the events that it keeps."""
        return replace(self, trigger_data=self.own_data)

    @property
    def own_data(self) -> tuple[tuple[str, str], ...]:
        """The trigger data without the events that the instance keeps."""
        data = self.trigger_data
        return tuple([item for item in data if item[0] != _HELD]) if self.is_holding else data

    def with_reward(self, code: str, name: str = "", ends_at: datetime | None = None) -> Instance:
        """Return the instance with the code of its newest reward, or without one if `code` is empty."""
        data = tuple([item for item in self.trigger_data if item[0] not in (REWARD_NAME, REWARD_ENDS)])
        if code and ends_at is not None:
            data = (*data, (REWARD_NAME, name), (REWARD_ENDS, text_of(ends_at)))
        return replace(self, reward=code, trigger_data=data)

    def without_wish(self) -> Instance:
        """Return the instance without the time at which it first wanted to send its email."""
        return replace(self, wanted_at=None) if self.wanted_at is not None else self

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
        return self.step == DATE_STEP and bool(self.trigger_data) and not self.waits_for_expiry

    @property
    def waits_for_expiry(self) -> bool:
        """Whether the instance waits until the code of a reward ends soon, to start."""
        return self.step == DATE_STEP and bool(self.reward)

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
