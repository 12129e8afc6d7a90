"""Handler of what customers do in the shop besides buying: wish lists, likes, reviews, referrals and contests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.core.conditions.context import TriggerData
from streams.core.handlers.traits import collect
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.unknown import is_dispatched
from streams.core.model.person_events import CustomerActed
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dispatch import dispatch
from streams.core.values.local_time import text_of

#: The event in flow definitions. A wish or a like that is taken back starts nothing.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "wished": "product.wished",
        "liked": "product.liked",
        "reviewed": "review.written",
        "referral_redeemed": "referral.redeemed",
        "contest_entered": "contest.entered",
    }
)


def on_customer_acted(uow: UnitOfWork, event: CustomerActed) -> None:
    """Store wishes and likes, and start flows. The same event again changes nothing, and one that no flow starts or ends by costs little."""
    collect(uow, event)
    name = _NAMES.get(event.kind)
    if name is None or not is_dispatched(uow, name):
        return
    at = text_of(event.occurred_at)
    if not uow.is_new("acted", event.kind, event.event_id or f"{event.sku}@{at}"):
        return
    data: TriggerData = (("sku", event.sku), ("seen_at", at)) if event.sku else ()
    if event.kind == "reviewed":
        data = (*data, ("stars", str(event.stars)))
    elif event.kind == "contest_entered":
        data = (*data, ("contest", event.contest))
    dispatch(uow, Occurrence(name, None, None, event.occurred_at, data))
