"""Handler of changes of the catalogue that concern a customer. The state decides, whatever the index of products says."""

from __future__ import annotations

from streams.core.conditions.context import TriggerData
from streams.core.instances.occurrence import Occurrence
from streams.core.model.product_events import ProductChanged
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import REPLACED
from streams.core.triggers.dispatch import dispatch
from streams.core.triggers.interests import NO_INTEREST, interests
from streams.core.values.local_time import text_of


def on_product_changed(uow: UnitOfWork, event: ProductChanged) -> None:
    """Start the flows of a change of the catalogue, if the customer was interested before it. The same change again starts nothing."""
    name = f"product.{event.kind}"
    if name not in uow.ruleset.by_trigger or uow.is_shared:
        return
    is_replaced = name == REPLACED
    sku = event.replaced_sku if is_replaced else event.sku
    since = interests(uow.state, with_wishes=not is_replaced, with_purchases=is_replaced).get(sku, NO_INTEREST)[
        is_replaced
    ]
    if since is None or since > event.occurred_at or not uow.is_new("product_changed", event.change_id):
        return
    data: TriggerData = (
        ("sku", event.sku),
        ("price", str(event.price_minor)),
        ("currency", event.currency),
    )
    # For `product.is_bought`: since the wish, or ever.
    data = (*data, ("replaced_sku", event.replaced_sku) if is_replaced else ("seen_at", text_of(since)))
    if event.old_price_minor is not None:
        data = (*data, ("old_price", str(event.old_price_minor)))
    dispatch(uow, Occurrence(name, None, None, event.occurred_at, data))
