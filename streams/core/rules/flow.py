"""Flows: a trigger and a tree of steps. `definitions/language/` reads them from YAML.

The docstrings of the classes are product text: they are the descriptions in the JSON Schema, which editors show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from streams.core.rules.consent_policy import TRANSACTIONAL, Purpose
from streams.core.rules.recommends import USUAL, Recommends
from streams.core.rules.trigger_names import CAMPAIGN

Status: TypeAlias = Literal["draft", "live", "paused"]
OncePer: TypeAlias = Literal["order", "parcel", "product", "customer"]
Which: TypeAlias = Literal["first", "last", "each"]
Clock: TypeAlias = Literal["customer", "shop"]

#: The step of an instance that waits for its date or launch to start. If it waits for a launch, its trigger data names the product.
DATE_STEP = "@day"
#: The step of an instance that waits until time may move the customer into or out of the flow's segment.
SEGMENT_STEP = "@look"


#: How long after an event a flow may still start by it, unless the flow has a `max_age`. A review may be asked for well after the
#: delivery, but a receipt of an order of last week only surprises.
MAX_AGE, MAX_AGE_AFTER_DELIVERY = timedelta(days=3), timedelta(days=14)
#: How long after its moment a campaign may still start. Its emails are about a day.
MAX_AGE_OF_CAMPAIGN = timedelta(days=1)


#: Names whose value changes with time, each with the numbers at which the condition may change (see conditions/time_changes.py).
TimeDependencies: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


class Condition(Struct, frozen=True):
    """A condition.

    Attributes:
        source: the text of the condition.
        holds: the compiled condition; its argument is an `EvalContext`.
        time_dependencies: how time alone may change the condition.
        reads_purchases: whether it asks for a period or for the favourite categories.
    """

    source: str
    holds: Callable[[Any], bool]
    time_dependencies: TimeDependencies = ()
    reads_purchases: bool = False


class Trigger(Struct, frozen=True, kw_only=True):
    """The event that starts the flow.

    The flow starts at most once per `once_per`, and only if `where` is true. If an order has several parcels, `which` selects the first
    or the last that reaches the status, or each. `again_after` lets the flow start again after this time. `segment` is the segment
    that the customer enters or leaves. `before` starts the flow that many days before the customer's date or the product's launch. `date`
    is the name of the customer's important date. `threshold` is the condition about the customer that becomes true. A campaign starts `at`
    a moment for the members of `segment`, by the `clock` of the customer or of the shop, spread over the time `spread`. With `backfill`,
    the customers who are in the segment already when the flow goes live start too.
    """

    on: str
    once_per: OncePer = "order"
    which: Which = "first"
    where: Condition | None = None
    again_after: timedelta | None = None
    segment: str = ""
    before: int = 0
    date: str = ""
    threshold: Condition | None = None
    at: datetime | None = None
    clock: Clock = "customer"
    spread: timedelta = timedelta()
    backfill: bool = False


class Step(Struct, frozen=True, kw_only=True):
    """A step of a flow, found by its `path`. Each kind of step is a subclass."""

    path: str

    @property
    def inner(self) -> tuple[tuple[Step, ...], ...]:
        """The branches in their order. Branch n of the step at path p contains the steps p.n.0, p.n.1, and so on."""
        return ()

    @property
    def awaits(self) -> str:
        """The event that the step waits for, or ""."""
        return ""

    @property
    def falls_through(self) -> bool:
        """Whether the flow may continue after the step without taking a branch."""
        return not self.inner


#: The documents that emails about an order can carry.
DOCUMENTS: tuple[str, ...] = ("invoice",)


class Send(Step, frozen=True, kw_only=True):
    """Send a message.

    The email is dropped if it cannot be sent within `expires`. If several emails compete for a place under a frequency cap, the highest
    `priority` goes first. Before the day `not_before` the email waits. `holdout` percent of the customers do not get it. It recommends up
    to `products` products, and is not sent if there are fewer than `at_least`. They come `from` these sources and have this `category`.
    Up to `categories` categories are recommended too. With `together`, the other instances of the flow whose email is due on the same day
    join it. With `any_hour`, it does not wait for the end of the quiet hours, because the customer waits for it. It carries the document
    `attach`.
    """

    message: str
    purpose: Purpose
    priority: int = 50
    expires: timedelta = timedelta(days=5)
    not_before: date | None = None
    holdout: int = 0
    products: int = 0
    at_least: int = 0
    recommends: Recommends = USUAL
    together: bool = False
    any_hour: bool = False
    #: Within a `repeat`, the number of its round and of all rounds.
    rounds: tuple[int, int] = (0, 0)
    attach: str = ""

    @property
    def recommends_something(self) -> bool:
        """Whether the email shows products or categories that are chosen for the customer."""
        return self.products > 0 or self.recommends.categories > 0


class Reward(Step, frozen=True, kw_only=True):
    """Give the customer a code that is valid for `expires`. The emails after this step can show it as `reward.code`.

    Takk signs the code, or takes one of the shop's codes from `pool`. If the pool is empty, the flow waits for a code for `within` at most,
    then continues without one. With `pools`, the value of the name `by` decides about the pool. `pool` is then the one for all other
    values, and without it their customers get no code.
    """

    name: str
    expires: timedelta = timedelta(days=30)
    pool: str = ""
    within: timedelta = timedelta(days=1)
    by: str = ""
    pools: tuple[tuple[str, str], ...] = ()

    @property
    def is_signed(self) -> bool:
        """Whether Takk signs the code itself."""
        return not self.pool and not self.pools

    @property
    def all_pools(self) -> tuple[str, ...]:
        """Every pool that the code may come from, each once."""
        return tuple(dict.fromkeys([*[pool for _, pool in self.pools], *([self.pool] if self.pool else [])]))


class Migration(Struct, frozen=True, kw_only=True):
    """Move customers from an older version of the flow.

    A customer who waits for a step of version `from` continues at the step of this version that `steps` maps it to.
    """

    version: int
    steps: tuple[tuple[str, str], ...]


class Flow(Struct, frozen=True, kw_only=True):
    """One version of a flow.

    The flow ends before the next step if `goal` is true or an event of `exit_on` occurs. `holdout` percent of the customers do not
    enter it. While a flow of `not_with` may still send, or a series of it is running, its emails wait. `migrations` move customers from
    older versions. An event that is older than `max_age` starts nothing.
    """

    name: str
    version: int
    status: Status
    purpose: Purpose
    trigger: Trigger
    steps: tuple[Step, ...]
    exit_on: tuple[str, ...] = ()
    goal: Condition | None = None
    holdout: int = 0
    not_with: tuple[str, ...] = ()
    migrations: tuple[Migration, ...] = ()
    max_age: timedelta | None = None

    @property
    def oldest_event(self) -> timedelta:
        """The age up to which an event starts the flow."""
        if self.max_age is not None:
            return self.max_age
        if self.trigger.on == CAMPAIGN:
            return MAX_AGE_OF_CAMPAIGN
        return MAX_AGE_AFTER_DELIVERY if self.trigger.on == "shipment.delivered" else MAX_AGE

    @property
    def is_transactional(self) -> bool:
        """Whether all emails of the flow are transactional."""
        return self.purpose in TRANSACTIONAL


def membership(flow: Flow) -> str:
    """Return the name under which the state stores that the customer is in the segment of the flow's trigger, or beyond its threshold.

    No segment has the character `@` in its name.
    """
    return f"{flow.name}@threshold" if flow.trigger.threshold is not None else flow.trigger.segment


def all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield the steps, each followed by the steps of its branches."""
    for step in steps:
        yield step
        for branch in step.inner:
            yield from all_steps(branch)
