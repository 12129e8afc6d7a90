"""What a customer looks at in the shop: it starts flows, at once or at the launch; of what starts none the hour of the visit is kept."""

from __future__ import annotations

from streams.core.model.events import ProductBrowsed
from streams.core.model.flow import LAUNCH
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dispatch import happened
from streams.core.triggers.launches import schedule_launch
from streams.core.values.local_time import text_of


def on_product_browsed(uow: UnitOfWork, event: ProductBrowsed) -> None:
    """Tell the flows of a product that was viewed or put into the cart. One that no flow is started by costs next to nothing."""
    name = f"product.{event.kind}"
    # By the hour, so that a visit of many pages is one change of the state; then the order of arrival does not count either.
    visited_at = event.occurred_at
    if uow.ruleset.day_scale == 1.0:
        visited_at = visited_at.replace(minute=0, second=0, microsecond=0)
    if uow.visited_at is None or visited_at > uow.visited_at:
        uow.visited_at, uow.changed = visited_at, True
    if event.launches_at is not None and LAUNCH in uow.ruleset.by_trigger and event.kind != "removed_from_cart":
        schedule_launch(uow, event.sku, event.launches_at, event.occurred_at)
    if name not in uow.ruleset.by_trigger:
        return
    seen_at = text_of(event.occurred_at)
    if uow.is_new("browsed", event.kind, event.sku, seen_at):
        about: tuple[tuple[str, str], ...] = (("sku", event.sku), ("seen_at", seen_at))
        if event.launches_at is not None:
            about = (*about, ("launches_at", text_of(event.launches_at)))
        happened(uow, name, None, None, event.occurred_at, about=about)
