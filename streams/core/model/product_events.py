"""The event of a customer that a change of the catalogue leads to. For `gc=False` see customer.py."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

#: The kinds of changes: the names of the triggers without their first word.
ProductChange: TypeAlias = Literal["back_in_stock", "price_dropped", "replaced"]


class ProductChanged(Struct, frozen=True, gc=False, kw_only=True):
    """The catalogue changed a product that the customer wished for, or replaced one that the customer bought.

    Attributes:
        change_id: the id of the change, the same for all customers and for each repetition.
        sku: the product; of a replacement the new one.
        replaced_sku: the product that it replaces, "" for other changes.
        price_minor: its price now, in minor units of `currency`.
        old_price_minor: its price before, if the price fell.
        occurred_at: since when the catalogue has it so, UTC.
    """

    customer_id: str
    change_id: str
    kind: ProductChange
    sku: str
    price_minor: int
    currency: str
    occurred_at: datetime
    replaced_sku: str = ""
    old_price_minor: int | None = None


class NoteInterest(Struct, frozen=True, gc=False, kw_only=True):
    """Note in the index of a product that the customer wishes for it, or bought it. This effect is the whole entry: it replaces an earlier one.

    Attributes:
        interest_id: the id of the effect.
        wished_at, bought_at: since when, UTC; None if the customer does not. With neither, the customer leaves the index of the product.
    """

    interest_id: str
    customer_id: str
    sku: str
    wished_at: datetime | None
    bought_at: datetime | None
