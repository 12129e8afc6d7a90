"""The data of a customer for the pages of the gateway: the record of the topic `customer-pages`. It has the fields of its schema."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct

MailFrequency: TypeAlias = Literal["normal", "fewer"]
_NONE: Mapping[str, str] = MappingProxyType({})
_NO_ANSWERS: Mapping[str, bool] = MappingProxyType({})


class PageLine(Struct, frozen=True, gc=False, kw_only=True):
    """One line of the order.

    Attributes:
        quantity: as decimal text.
        unit_price_minor: the price of last time, in minor units of the order's currency.
        variant, image_url: "" if unknown.
    """

    sku: str
    title: str
    variant: str = ""
    quantity: str
    unit_price_minor: int
    image_url: str = ""


class PageOrder(Struct, frozen=True, gc=False, kw_only=True):
    """The last order that was not cancelled.

    Attributes:
        number: the number that the customer knows.
        currency: ISO 4217.
        city: the place of delivery, "" if unknown.
        lines: those that the state keeps of an order.
        more_lines: the number of further items, which the state does not keep.
    """

    order_id: str
    number: str = ""
    currency: str
    city: str = ""
    lines: tuple[PageLine, ...]
    more_lines: int = 0


class CustomerPage(Struct, frozen=True, gc=False, kw_only=True):
    """The data of a customer that pages show, and nothing more.

    Attributes:
        first_name, locale, country, birthday: "" if unknown.
        masked_address: the address with most characters replaced, "" if none is known.
        answers: purpose to whether the customer receives such emails now. A purpose that was never asked is missing.
        tracking: whether the customer agreed to tracking; None if they were never asked.
        dates: other important dates, name to day.
        wishes, likes: skus, the newest first, at most 20.
        updated_at: time of the change, UTC.
    """

    customer_id: str
    first_name: str = ""
    locale: str = ""
    country: str = ""
    masked_address: str = ""
    answers: Mapping[str, bool] = _NO_ANSWERS
    tracking: bool | None = None
    frequency: MailFrequency = "normal"
    birthday: str = ""
    dates: Mapping[str, str] = _NONE
    wishes: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    order: PageOrder | None = None
    updated_at: datetime
