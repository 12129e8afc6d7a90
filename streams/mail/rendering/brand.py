"""The shop's brand, from `shared/brand.yaml` of a templates folder: what its pages and emails show besides their texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from streams.mail.rendering.contrast import mixed, on_color

#: The line for all countries without their own.
ANY_COUNTRY = "*"
#: The sites for reviews, with the names that customers know.
REVIEW_SITES: Mapping[str, str] = MappingProxyType(
    {"trustpilot": "Trustpilot", "pricerunner": "PriceRunner", "facebook": "Facebook", "google": "Google"}
)
#: The social networks of shops, with the names that customers know.
SOCIAL_SITES: Mapping[str, str] = MappingProxyType(
    {
        "instagram": "Instagram",
        "facebook": "Facebook",
        "tiktok": "TikTok",
        "pinterest": "Pinterest",
        "youtube": "YouTube",
        "linkedin": "LinkedIn",
        "bluesky": "Bluesky",
        "x": "X",
    }
)

#: A street and a host of the example brand. No shop has a host below `.example` (RFC 2606).
_PLACEHOLDER = re.compile(r"\bexample street\b|\.example\b(?!-|\.\w)", re.IGNORECASE)
#: Shares of a color in a lighter one: of the text in lines, of the muted text in the edges of fields.
_LINE, _EDGE = 0.14, 0.75


def is_placeholder(line: str) -> bool:
    """Return whether a legal line is one of the brand that Takk comes with: it names no company that exists."""
    return _PLACEHOLDER.search(line) is not None


class Colors(Struct, frozen=True, kw_only=True):
    """The colors of pages and emails as `#rrggbb`. Each has another one for dark mode. All texts can be read on their backgrounds.

    Attributes:
        accent, accent_dark: of buttons, links and stars.
        background, background_dark: behind the card, and of boxes in it.
        card, card_dark: behind the texts.
        text, text_dark: of headlines and texts.
        muted, muted_dark: of small texts, on cards and backgrounds.
        success, success_dark: of amounts that the customer saves.
        notice, notice_dark: of what customers should not overlook, such as the last day to collect a parcel.
    """

    accent: str = "#2f5d50"
    accent_dark: str = "#8fd0bd"
    background: str = "#f4f1ec"
    background_dark: str = "#161817"
    card: str = "#ffffff"
    card_dark: str = "#232625"
    text: str = "#262626"
    text_dark: str = "#ece8e1"
    muted: str = "#5f594f"
    muted_dark: str = "#b5afa5"
    success: str = "#2b6a46"
    success_dark: str = "#8edba5"
    notice: str = "#8a4b08"
    notice_dark: str = "#f2b84b"

    def palette(self) -> dict[str, str]:
        """Return all colors by name, with those that follow from them: on buttons, of lines, and of edges."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        for mode in ("", "_dark"):
            card = found[f"card{mode}"]
            found[f"on_accent{mode}"] = on_color(found[f"accent{mode}"])
            found[f"line{mode}"] = mixed(found[f"text{mode}"], card, _LINE)
            found[f"edge{mode}"] = mixed(found[f"muted{mode}"], card, _EDGE)
        return found


class Fonts(Struct, frozen=True, kw_only=True):
    """The fonts of emails and pages, as CSS writes a list of them.

    Attributes:
        heading: of headlines and of the shop's name.
        text: of everything else in emails.
    """

    heading: str = 'Georgia, "Times New Roman", serif'
    text: str = '"Helvetica Neue", Helvetica, Arial, sans-serif'


class Destination(Struct, frozen=True):
    """A place where a customer can review the shop."""

    site: str
    url: str

    @property
    def name(self) -> str:
        """The name of the site."""
        return REVIEW_SITES[self.site]


class KindSender(Struct, frozen=True):
    """The sender of emails of one purpose. The address is that of all emails.

    Attributes:
        name: the name in the header From, or "" for that of `TAKK_MAIL_FROM`.
        reply_to: the address that answers go to, or "".
    """

    name: str = ""
    reply_to: str = ""


class Details(Struct, frozen=True, kw_only=True):
    """The details of a shop. A country may have others.

    Attributes:
        shop_url, privacy_url, terms_url, withdrawal_url, help_url, cart_url: the shop and its pages, each may be "".
        legal: the lines at the foot of each page and email.
        company, address, registration, vat: more such lines, each may be "".
        phone, hours, email: how customers reach the shop, each may be "".
        social: site to the address of the shop there.
        senders: purpose to the sender of its emails.
    """

    shop_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""
    withdrawal_url: str = ""
    help_url: str = ""
    cart_url: str = ""
    legal: tuple[str, ...] = ()
    company: str = ""
    address: str = ""
    registration: str = ""
    vat: str = ""
    phone: str = ""
    hours: str = ""
    email: str = ""
    # Not read-only: a renderer process gets the details, and only dictionaries can be pickled.
    social: Mapping[str, str] = field(default_factory=dict)
    senders: Mapping[str, KindSender] = field(default_factory=dict)

    @property
    def legal_lines(self) -> tuple[str, ...]:
        """All lines at the foot."""
        company = ", ".join(filter(None, (self.company, self.address)))
        numbers = " · ".join(filter(None, (self.registration, self.vat)))
        return tuple(filter(None, (company, numbers, *self.legal)))


class Brand(Details, frozen=True, kw_only=True):
    """The brand of a shop.

    Attributes:
        name: the name that customers know.
        logo, logo_dark: file names of the logo, and of that on dark backgrounds, in the folder `shared`, or "".
        colors: the colors.
        fonts: the fonts.
        radius: the radius of the corners of cards and buttons, in pixels.
        countries: country to its details.
        notice: the version of the notice that pages show beside the questions for consent.
        dates: names of important dates that customers can add.
        reviews: country, or "*", to where its customers can review the shop. Everyone there gets the same links.
        cart: template of the address that fills the shop's cart, with `{items}`; "" if the shop takes reorders from Kafka.
        referral: template of the address where a friend uses a code, with `{code}`, or "".
    """

    name: str
    logo: str = ""
    logo_dark: str = ""
    colors: Colors = Colors()
    fonts: Fonts = Fonts()
    radius: int = 12
    countries: Mapping[str, Details] = MappingProxyType({})
    notice: str = "pages-2"
    dates: tuple[str, ...] = ()
    reviews: Mapping[str, tuple[Destination, ...]] = MappingProxyType({})
    cart: str = ""
    referral: str = ""

    def destinations(self, country: str) -> tuple[Destination, ...]:
        """Return where the customers of a country can review the shop."""
        return self.reviews.get(country, self.reviews.get(ANY_COUNTRY, ()))
