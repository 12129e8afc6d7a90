"""Telling the flows of what happened."""

from __future__ import annotations

from datetime import datetime

from streams.core.conditions.context import TriggerData
from streams.core.instances.resume import resume
from streams.core.instances.start import trigger
from streams.core.model.customer import OrderState, Parcel
from streams.core.model.unit_of_work import UnitOfWork


def happened(
    uow: UnitOfWork,
    name: str,
    order: OrderState | None,
    parcel: Parcel | None,
    at: datetime,
    *,
    about: TriggerData = (),
    send_id: str | None = None,
) -> None:
    """Tell the flows of an event: those that wait for it go on, those that it starts begin.

    Args:
        turn: the customer's turn.
        name: the event, for example "order.placed".
        order: the order that it is about.
        parcel: the parcel that it is about.
        at: when it occurred.
        about: what it tells, for conditions on `event.` and `product.`.
        send_id: the mail that it is about.
    """
    if name in uow.ruleset.awaited and uow.instances:
        resume(uow, name, order, parcel, at, about, send_id)
    trigger(uow, name, order, parcel, at, about)
