"""The effect that shows a customer on the pages of the gateway. For `gc=False` see customer.py."""

from __future__ import annotations

from msgspec import Struct

from streams.core.model.customer_page import CustomerPage


class ShowCustomer(Struct, frozen=True, gc=False, kw_only=True):
    """Replace what the pages of the gateway show of a customer. With `page` None they show nothing: the customer was erased or merged."""

    page_id: str
    customer_id: str
    page: CustomerPage | None
