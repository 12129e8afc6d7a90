"""A story: an invented customer and dated events, as a file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

#: The statuses of a parcel that a story may report.
PARCEL_KINDS = (
    "shipped", "in_transit", "out_for_delivery", "ready_for_pickup", "delivered", "delayed", "exception", "returned",
    "returned_to_sender",
)  # fmt: skip
#: Events of an order.
ORDER_KINDS = ("order", "paid", "changed", "cancelled", "refunded")
#: Reactions to an email. Their value names it as flow/message; without one, it is the newest email.
EMAIL_KINDS = ("opens", "clicks", "complains")
#: Acts of the customer in the shop, with a product.
PRODUCT_KINDS = ("views", "adds_to_cart", "wishes", "likes")
#: All kinds of events, in the order of the documentation.
KINDS = (
    *ORDER_KINDS, *PARCEL_KINDS, *EMAIL_KINDS, "unsubscribes", "answers", "reviews", *PRODUCT_KINDS, "product", "record",
)  # fmt: skip
#: The answers to questions for consent.
CONSENTS = ("marketing", "review", "survey", "profile", "tracking")


class Country(Struct, frozen=True):
    """The facts of a country that the invented shop needs.

    Attributes:
        currency: its currency (ISO 4217).
        rate: the price of a Danish krone in it, about. Stories need no exact rates.
        time_zone: the IANA time zone of its capital.
        tax, tax_rate: the name of the tax in prices, and its rate in thousandths of a percent.
        payment: a usual way to pay.
        shipping: the price of a delivery, in Danish kroner.
    """

    currency: str
    rate: float
    time_zone: str
    tax: str
    tax_rate: int
    payment: str
    shipping: int = 49


COUNTRIES: Mapping[str, Country] = MappingProxyType({
    "DK": Country("DKK", 1.0, "Europe/Copenhagen", "moms", 25_000, "MobilePay"),
    "NO": Country("NOK", 1.55, "Europe/Oslo", "mva.", 25_000, "Vipps", 89),
    "SE": Country("SEK", 1.5, "Europe/Stockholm", "moms", 25_000, "Swish", 59),
    "NL": Country("EUR", 0.134, "Europe/Amsterdam", "btw", 21_000, "iDEAL", 59),
    "GB": Country("GBP", 0.115, "Europe/London", "VAT", 20_000, "Visa ending in 4242", 89),
    "DE": Country("EUR", 0.134, "Europe/Berlin", "MwSt.", 19_000, "Klarna", 59),
    "FI": Country("EUR", 0.134, "Europe/Helsinki", "ALV", 25_500, "Visa ending in 4242", 79),
    "IE": Country("EUR", 0.134, "Europe/Dublin", "VAT", 23_000, "Visa ending in 4242", 89),
    "US": Country("USD", 0.145, "America/New_York", "Sales tax", 8_250, "PayPal", 149),
})  # fmt: skip


class StoryProduct(Struct, frozen=True, kw_only=True):
    """A product of the stories.

    Attributes:
        sku, category, complements: as in the catalogue.
        titles: its title by language; "" is the one for all others.
        price: its price in whole Danish kroner.
        picture: the name of a picture without its ending, "" for none.
        lasts_days: how long a piece of it lasts; None unless it is used up.
    """

    sku: str
    titles: Mapping[str, str]
    price: int
    category: str = "things"
    complements: tuple[str, ...] = ()
    picture: str = ""
    lasts_days: int | None = None

    def title(self, language: str) -> str:
        """Return the title in a language, or else in another one."""
        titles = self.titles
        return titles.get(language) or titles.get("") or titles.get("en") or next(iter(titles.values()), self.sku)


class StoryCustomer(Struct, frozen=True, kw_only=True):
    """The customer of a story.

    Attributes:
        consents: the answers that were given, by `CONSENTS`.
        orders_before, spend_before: orders, and their sum in the currency of the shop, before the first event.
    """

    name: str
    language: str = "en"
    country: str = "DK"
    street: str = ""
    postal_code: str = ""
    city: str = ""
    time_zone: str = "Europe/Copenhagen"
    birthday: date | None = None
    consents: Mapping[str, bool] = {}
    orders_before: int = 0
    spend_before: int = 0


class StoryEvent(Struct, frozen=True, kw_only=True):
    """An event of a story.

    Attributes:
        day, at: the day, and the local time of the customer. The story starts on day 0; earlier days are the past.
        kind: one of `KINDS`.
        values: what the file says about it.
        line: its line in the file.
    """

    day: int
    at: time
    kind: str
    values: Mapping[str, Any]
    line: int


class Story(Struct, frozen=True, kw_only=True):
    """A story.

    Attributes:
        name: the name of its file.
        title, about: what readers see of it.
        events: sorted by time.
        products: the products that can be bought, by sku.
        file: where it is.
        is_own: whether it is one of the shop.
    """

    name: str
    title: str
    about: str
    customer: StoryCustomer
    events: tuple[StoryEvent, ...]
    products: Mapping[str, StoryProduct]
    file: Path
    is_own: bool = False
