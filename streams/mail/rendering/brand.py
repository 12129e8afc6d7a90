"""The shop's brand, from `shared/brand.yaml` of a templates folder: what its pages and emails show besides their texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

#: The line for all countries without their own.
ANY_COUNTRY = "*"
#: The sites for reviews, with the names that customers know.
REVIEW_SITES: Mapping[str, str] = MappingProxyType(
    {"trustpilot": "Trustpilot", "pricerunner": "PriceRunner", "facebook": "Facebook", "google": "Google"}
)

#: A street and a host of the example brand. No shop has a host below `.example` (RFC 2606).
_PLACEHOLDER = re.compile(r"\bexample street\b|\.example\b(?!-|\.\w)", re.IGNORECASE)


def is_placeholder(line: str) -> bool:
    """Return whether a legal line is one of the brand that Takk comes with: it names no company that exists."""
    return _PLACEHOLDER.search(line) is not None


class Colors(Struct, frozen=True, kw_only=True):
    """The colors of pages and emails as `#rrggbb`.

    Attributes:
        accent, accent_dark: of buttons, links and headings, on light and on dark backgrounds. Both can be read on them.
        background, background_dark: behind the card. Text can be read on them.
    """

    accent: str = "#2f5d50"
    accent_dark: str = "#8fd0bd"
    background: str = "#f4f1ec"
    background_dark: str = "#161817"


class Destination(Struct, frozen=True):
    """A place where a customer can review the shop."""

    site: str
    url: str

    @property
    def name(self) -> str:
        """The name of the site."""
        return REVIEW_SITES[self.site]


class Brand(Struct, frozen=True, kw_only=True):
    """The brand of a shop.

    Attributes:
        name: the name that customers know.
        shop_url: where the shop is, or "".
        logo: file name of the logo in the folder `shared`, or "".
        colors: the colors.
        legal: the lines at the foot of each page and email.
        privacy_url: the page on privacy, or "".
        notice: the version of the notice that pages show beside the questions for consent.
        dates: names of important dates that customers can add.
        reviews: country, or "*", to where its customers can review the shop. Everyone there gets the same links.
        cart: template of the address that fills the shop's cart, with `{items}`; "" if the shop takes reorders from Kafka.
        referral: template of the address where a friend uses a code, with `{code}`, or "".
    """

    name: str
    shop_url: str = ""
    logo: str = ""
    colors: Colors = Colors()
    legal: tuple[str, ...] = ()
    privacy_url: str = ""
    notice: str = "pages-2"
    dates: tuple[str, ...] = ()
    reviews: Mapping[str, tuple[Destination, ...]] = MappingProxyType({})
    cart: str = ""
    referral: str = ""

    def destinations(self, country: str) -> tuple[Destination, ...]:
        """Return where the customers of a country can review the shop."""
        return self.reviews.get(country, self.reviews.get(ANY_COUNTRY, ()))
