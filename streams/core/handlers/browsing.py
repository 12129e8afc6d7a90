"""Handler of browsing: products that the customer views or puts into the cart."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from streams.core.conditions.context import TriggerData
from streams.core.instances.exits import exit_instances_on
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.unknown import is_dispatched
from streams.core.model.customer import Viewed
from streams.core.model.events import ProductBrowsed
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import CART_EMPTIED, LAUNCH
from streams.core.triggers.dispatch import dispatch
from streams.core.triggers.launches import schedule_launch
from streams.core.values.local_time import text_of


def on_product_browsed(uow: UnitOfWork, event: ProductBrowsed) -> None:
    """Store the hour of the visit, and start flows at once or at the product's launch. Most events start none and cost little."""
    name = f"product.{event.kind}"
    # By the hour, so that a visit of many pages changes the state once. Then the order of arrival does not matter either.
    visited_at = event.occurred_at
    if uow.ruleset.day_scale == 1.0:
        visited_at = visited_at.replace(minute=0, second=0, microsecond=0)
    if uow.visited_at is None or visited_at > uow.visited_at:
        uow.visited_at, uow.changed = visited_at, True
    if event.kind == "cart_emptied":
        _empty_cart(uow, event)
        return
    if uow.ruleset.keeps_views and event.kind in ("viewed", "added_to_cart"):
        remember_views(uow, (Viewed(event.sku, event.occurred_at),))
    if event.launches_at is not None and LAUNCH in uow.ruleset.by_trigger and event.kind != "removed_from_cart":
        schedule_launch(uow, event.sku, event.launches_at, event.occurred_at)
    if not is_dispatched(uow, name):
        return
    viewed_at = text_of(event.occurred_at)
    if uow.is_new("browsed", event.kind, event.sku, viewed_at):
        data: TriggerData = (("sku", event.sku), ("seen_at", viewed_at))
        if event.launches_at is not None:
            data = (*data, ("launches_at", text_of(event.launches_at)))
        dispatch(uow, Occurrence(name, None, None, event.occurred_at, data))


def remember_views(uow: UnitOfWork, views: Iterable[Viewed]) -> None:
    """Store products that the customer viewed: the newest ones, each with its newest view, in whatever order they arrive."""
    newest: dict[str, Viewed] = {}
    for view in (*uow.viewed, *views):
        stored = newest.get(view.sku)
        newest[view.sku] = view if stored is None or view.at > stored.at else stored
    kept = tuple(sorted(newest.values(), key=lambda view: (view.at, view.sku))[-uow.ruleset.limits.views :])
    if kept != uow.viewed:
        uow.viewed, uow.changed = kept, True


def _empty_cart(uow: UnitOfWork, event: ProductBrowsed) -> None:
    """Store when the cart was emptied, and end the flows that `cart.emptied` ends. The state is only kept for such flows."""
    at, stored = event.occurred_at, uow.gateway.cart_emptied_at
    if CART_EMPTIED not in uow.ruleset.exits or (stored is not None and at <= stored):
        return
    uow.gateway, uow.changed = replace(uow.gateway, cart_emptied_at=at), True
    exit_instances_on(uow, CART_EMPTIED, None)
