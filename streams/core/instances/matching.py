"""Whether an event is about an instance: about its email, its order, or its customer."""

from __future__ import annotations

from streams.core.instances.occurrence import Occurrence
from streams.core.model.instance import EARLIER_ID, JOINED_ID, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import is_about_order
from streams.core.values import ids


def is_about(uow: UnitOfWork, instance: Instance, occurrence: Occurrence) -> bool:
    """Return whether an occurrence is about the instance: its own email, its own order, a newer order, or the customer."""
    name, order = occurrence.name, occurrence.order
    if name.startswith("mail."):
        send_id = occurrence.send_id
        steps = [sent.step for sent in uow.sends if sent.send_id == send_id]
        others = [value for key, value in instance.trigger_data if key in (EARLIER_ID, JOINED_ID)]
        instance_ids = [instance.instance_id, *others]
        return any(ids.send_id(instance_id, step) == send_id for instance_id in instance_ids for step in steps)
    if name == "order.placed":
        facts = order.facts if order is not None else None
        return facts is not None and facts.placed_at >= instance.started_at
    if not is_about_order(name):
        return True
    return order is not None and order.order_id == instance.order_id
