"""What a flow is: a trigger, and steps in a tree. How it is written down is in flow_language.py and step_language.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from streams.core.model.consent_policy import Purpose, is_transactional

Status: TypeAlias = Literal["draft", "live", "paused"]
OncePer: TypeAlias = Literal["order", "parcel", "product", "customer"]
Which: TypeAlias = Literal["first", "last", "each"]
Clock: TypeAlias = Literal["customer", "shop"]
Moment: TypeAlias = Literal[
    "order.placed_at", "shipment.window_from", "shipment.window_to", "product.runs_out", "product.launch"
]

#: What can start a flow. The first word says what the event is about, and so what conditions may look at.
TRIGGERS = (
    "order.placed", "order.paid", "order.changed", "order.cancelled", "order.refunded",
    "shipment.shipped", "shipment.out_for_delivery", "shipment.delivered", "shipment.delayed", "shipment.returned",
    "mail.delivered", "mail.opened", "mail.clicked",
    "product.viewed", "product.added_to_cart", "product.launch",
    "survey.answered", "profile.completed", "customer.birthday", "customer.anniversary", "segment.entered", "segment.left",
)  # fmt: skip
#: What a flow can wait for. Mails are those of the flow itself, orders any of the customer's, parcels those of the flow's order.
AWAITED = (
    "order.placed", "order.paid", "order.cancelled", "order.refunded",
    "shipment.shipped", "shipment.out_for_delivery", "shipment.delivered", "shipment.delayed", "shipment.returned",
    "mail.delivered", "mail.opened", "mail.clicked", "survey.answered",
)  # fmt: skip
EXITS = (
    "order.placed",
    "order.paid",
    "order.cancelled",
    "order.refunded",
    "shipment.returned",
    "customer.unsubscribed",
)
#: Triggers that come again every year, on a day of the customer's.
DATES = frozenset(("customer.birthday", "customer.anniversary"))
#: The trigger that comes once, at the launch of a product that the customer looked at before it.
LAUNCH = "product.launch"
#: The path of an instance that waits for such a day to begin. One that waits for a launch knows the product, in its `about`.
DAY_STEP = "@day"
#: The path of one that waits to see whether the customer has entered or left the flow's segment.
LOOK_STEP = "@look"
#: What an instance awaits that waits for a code, before the name of its pool.
CODE_OF = "code of "
#: What an instance awaits that waits for a moment, before the path of the wait and the moment as it was known.
MOMENT_OF = "@"


def is_about_order(on: str) -> bool:
    """Whether the trigger `on` comes with an order."""
    return on.startswith(("order.", "shipment."))


#: Names whose answer changes with time, each with the numbers at which a condition on it turns (see turning_points.py).
TimeDependencies: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


class Condition(Struct, frozen=True):
    """A condition as it was written, the closure that answers it for a view (see conditions.py), and when time alone turns it."""

    source: str
    holds: Callable[[Any], bool]
    time_dependencies: TimeDependencies = ()


class Trigger(Struct, frozen=True, kw_only=True):
    """What starts an instance: an event, at most once for what `once_per` says, if `where` holds.

    Of an order's parcels `which` counts: the first or last to reach the status, or each. `again_after` lets the flow begin again so long
    after it last began. `segment` names the segment that is entered or left; `before` begins so many days before the
    customer's day or the launch.
    """

    on: str
    once_per: OncePer = "order"
    which: Which = "first"
    where: Condition | None = None
    again_after: timedelta | None = None
    segment: str = ""
    before: int = 0


class Until(Struct, frozen=True, kw_only=True):
    """A moment still to come, and how long `before` it. `lasts`: how long one piece of a product lasts whose rhythm is not known."""

    moment: Moment
    before: timedelta = timedelta()
    lasts: timedelta = timedelta(days=30)


class Wait(Struct, frozen=True, kw_only=True, tag="wait"):
    """Wait `months` and `days` of the calendar and then `more`; then for the next `at` o'clock; then for a weekday that is not in `not_on`
    (Monday = 0). With `until` it waits for that moment instead, and the span is for when the moment is not known.

    `clock` says on whose wall the clock hangs.
    """

    path: str
    days: int = 0
    more: timedelta = timedelta()
    at: time | None = None
    clock: Clock = "customer"
    not_on: frozenset[int] = frozenset()
    months: int = 0
    until: Until | None = None


class WaitFor(Struct, frozen=True, kw_only=True, tag="wait_for"):
    """Wait for `event`, for `up_to` at most; then go the way of `then`, else that of `otherwise`, then on with the step after it."""

    path: str
    event: str
    up_to: timedelta
    where: Condition | None = None
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()


class Arm(Struct, frozen=True, kw_only=True):
    """One way out of a split; `when` None = otherwise."""

    when: Condition | None
    steps: tuple[Step, ...]


class Split(Struct, frozen=True, kw_only=True, tag="split"):
    """Go the way of the first arm whose condition holds, then on with the step after the split."""

    path: str
    arms: tuple[Arm, ...]


class Variant(Struct, frozen=True, kw_only=True):
    """An arm of an experiment: its name, its share in percent, and its steps."""

    name: str
    percent: int
    steps: tuple[Step, ...]


class Experiment(Struct, frozen=True, kw_only=True, tag="experiment"):
    """Go the way of the arm that the customer falls into, by a hash of `name` and customer: always the same one. `holdout` percent go none."""

    path: str
    name: str
    arms: tuple[Variant, ...]
    holdout: int = 0


class Send(Struct, frozen=True, kw_only=True, tag="send"):
    """Send `message`, unless it could not be sent within `expires` after it was first due. Higher `priority` goes first.

    Not before the day `not_before` began at the customer's. `holdout` percent of the customers do not get it. It recommends up to `products`
    products, and is not sent with fewer than `at_least`.
    """

    path: str
    message: str
    purpose: Purpose
    priority: int = 50
    expires: timedelta = timedelta(days=5)
    not_before: date | None = None
    holdout: int = 0
    products: int = 0
    at_least: int = 0


class SetField(Struct, frozen=True, kw_only=True, tag="set"):
    """Note `value` in the customer's field `name`; an empty value takes it away."""

    path: str
    name: str
    value: str


class ChangeList(Struct, frozen=True, kw_only=True, tag="list"):
    """Put the customer on the list `name`, or take them off it."""

    path: str
    name: str
    is_member: bool


class Reward(Struct, frozen=True, kw_only=True, tag="reward"):
    """Give the customer a code for the reward `name`, good for `expires`; the mails that follow may show it as `reward.code`.

    The code is signed by Takk, or one of the shop's own from `pool`. Of an empty pool it is waited for, for `within` at most; then the run
    goes on without one.
    """

    path: str
    name: str
    expires: timedelta = timedelta(days=30)
    pool: str = ""
    within: timedelta = timedelta(days=1)


class Emit(Struct, frozen=True, kw_only=True, tag="emit"):
    """Tell other systems, on the topic `flow-signals`, that the customer came here; `kind` is theirs to understand."""

    path: str
    kind: str


Step: TypeAlias = Wait | WaitFor | Split | Experiment | Send | SetField | ChangeList | Reward | Emit


class Migration(Struct, frozen=True, kw_only=True):
    """Who runs on the older `version` and waits to take one of the `steps` (old path, new path) goes on at the new one instead."""

    version: int
    steps: tuple[tuple[str, str], ...]


class Flow(Struct, frozen=True, kw_only=True):
    """A flow of one version. A step's path is its place in the tree: "1.0.2" = step 1, its arm 0, step 2 of that.

    Who `goal` holds for leaves before the next step: the flow has done its work. `holdout` percent of the customers go no step of it. While
    an instance of one of the flows `not_with` runs, its mails wait. `migrations` say who is taken over from older versions, at the next
    wake-up.
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

    @property
    def is_transactional(self) -> bool:
        """Whether all its mails are owed."""
        return is_transactional(self.purpose)


def ways(step: Step) -> tuple[tuple[Step, ...], ...]:
    """The lists of steps that lie within a step, in their order: way n of the step at path p holds the steps p.n.0, p.n.1, …"""
    if isinstance(step, Split):
        return tuple(arm.steps for arm in step.arms)
    if isinstance(step, Experiment):
        return tuple(arm.steps for arm in step.arms)
    if isinstance(step, WaitFor):
        return step.then, step.otherwise
    return ()


def all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """The steps and all that lie within them."""
    for step in steps:
        yield step
        for way in ways(step):
            yield from all_steps(way)


class CompiledFlow:
    """A flow made ready to run: every step by its path, and which path follows it."""

    __slots__ = ("awaits", "first", "flow", "following", "steps")

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.steps: dict[str, Step] = {}
        self.following: dict[str, str | None] = {}
        self._lay(flow.steps, None)
        self.first: str | None = flow.steps[0].path if flow.steps else None
        self.awaits = frozenset(step.event for step in self.steps.values() if isinstance(step, WaitFor))

    def _lay(self, steps: tuple[Step, ...], after: str | None) -> None:
        for index, step in enumerate(steps):
            following = steps[index + 1].path if index + 1 < len(steps) else after
            self.steps[step.path] = step
            self.following[step.path] = following
            for way in ways(step):
                self._lay(way, following)

    def way(self, step: Step, number: int) -> str | None:
        """The path that way `number` of a step begins with; an empty way goes on behind the step."""
        steps = ways(step)[number]
        return steps[0].path if steps else self.following[step.path]
