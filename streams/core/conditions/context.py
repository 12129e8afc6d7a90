"""The evaluation context: the data that conditions, target times and emails may read."""

from __future__ import annotations

from typing import TypeAlias

from streams.core.model.orders.order import Parcel
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.unit_of_work import UnitOfWork

#: The data of a trigger or an event as (name, value): the product, the answer, the segment.
TriggerData: TypeAlias = tuple[tuple[str, str], ...]


class EvalContext:
    """The data that a condition may read.

    Args:
        uow: the customer, with the changes made so far.
        order: the order that the instance is about, if any.
        parcel: the parcel that the instance is about, if any.
        trigger_data: the data of the trigger.

    Attributes:
        reward: the code of the instance's newest reward, or "".
    """

    __slots__ = ("_segments", "order", "parcel", "reward", "trigger_data", "uow")

    def __init__(
        self,
        uow: UnitOfWork,
        order: OrderState | None,
        parcel: Parcel | None = None,
        trigger_data: TriggerData = (),
    ) -> None:
        self.uow = uow
        self.order = order
        self.parcel = parcel
        self.trigger_data = trigger_data
        self.reward = ""
        self._segments: tuple[str, ...] | None = None

    @property
    def facts(self) -> OrderFacts | None:
        """The order as the shop last described it."""
        return self.order.facts if self.order is not None else None

    @property
    def order_id(self) -> str:
        """The id of the order, "" without one."""
        return self.order.order_id if self.order is not None else ""

    def data(self, name: str) -> str:
        """Return the trigger's value for `name`, or "" if it has none."""
        for key, value in self.trigger_data:
            if key == name:
                return value
        return ""

    def segments(self) -> tuple[str, ...]:
        """Return the segments that the customer is a member of."""
        if self._segments is None:
            self._segments = tuple(
                [name for name, condition in self.uow.ruleset.segments.items() if condition.holds(self)]
            )
        return self._segments
