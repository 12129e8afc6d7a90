"""What a condition, a moment or a mail may look at while a flow is decided."""

from __future__ import annotations

from typing import TypeAlias

from streams.core.model.customer import OrderFacts, OrderState, Parcel
from streams.core.model.unit_of_work import UnitOfWork

#: What a trigger or an event told, by name: its product, its answer, its segment.
TriggerData: TypeAlias = tuple[tuple[str, str], ...]


class EvalContext:
    """What a condition may look at: the customer as it is now, the order and the parcel if there are any, and what the trigger told."""

    __slots__ = ("_segments", "about", "order", "parcel", "reward", "uow")

    def __init__(
        self,
        uow: UnitOfWork,
        order: OrderState | None,
        parcel: Parcel | None = None,
        about: TriggerData = (),
    ) -> None:
        self.uow = uow
        self.order = order
        self.parcel = parcel
        self.about = about
        #: The code that the run's newest reward gave; empty if it gave none.
        self.reward = ""
        self._segments: tuple[str, ...] | None = None

    @property
    def facts(self) -> OrderFacts | None:
        """The order as the shop last described it."""
        return self.order.facts if self.order is not None else None

    def told(self, name: str) -> str:
        """What the trigger told as `name`."""
        for known, value in self.about:
            if known == name:
                return value
        return ""

    def segments(self) -> tuple[str, ...]:
        """The segments that the customer is a member of."""
        if self._segments is None:
            self._segments = tuple(
                [name for name, condition in self.uow.ruleset.segments.items() if condition.holds(self)]
            )
        return self._segments
