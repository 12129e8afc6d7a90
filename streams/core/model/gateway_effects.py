"""The effects that follow from the pages of the gateway. For `gc=False` see customer.py."""

from __future__ import annotations

from msgspec import Struct

from streams.core.model.customer_page import CustomerPage


class ShowCustomer(Struct, frozen=True, gc=False, kw_only=True):
    """Replace what the pages of the gateway show of a customer. With `page` None they show nothing: the customer was erased or merged."""

    page_id: str
    customer_id: str
    page: CustomerPage | None


class ForgetCustomer(Struct, frozen=True, gc=False, kw_only=True):
    """Delete the record of a customer on `customers`, as `takk forget` does. Its reader then erases the customer.

    Attributes:
        forgotten_id: the customer id whose record is deleted: the customer's own, or one that was merged into it.
    """

    erasure_id: str
    forgotten_id: str
