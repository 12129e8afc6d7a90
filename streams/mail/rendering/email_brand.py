"""The brand as emails show it: the part of `shared/brand.yaml` that the renderers of a mailer need, with the pictures themselves."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from streams.mail.rendering.brand import (
    ANY_COUNTRY,
    SOCIAL_SITES,
    Brand,
    Colors,
    Destination,
    Details,
    Fonts,
    KindSender,
)
from streams.mail.rendering.logo import Logo, UnusableLogo, read_logo
from streams.mail.rendering.template_folders import SHARED

#: A value of the brand in a style sheet or a template: `var(--accent)`, `var(--background-dark)`.
_VALUE = re.compile(r"var\(\s*--([a-z-]+)\s*\)")
#: Fonts that every Windows has, in lowercase.
_WINDOWS_FONTS = frozenset(
    {"arial", "calibri", "cambria", "candara", "constantia", "corbel", "courier new", "georgia", "impact", "palatino linotype", "segoe ui"}
    | {"tahoma", "times new roman", "trebuchet ms", "verdana"}
)  # fmt: skip
_NO_SENDER = KindSender()


class EmailBrand(Struct, frozen=True, kw_only=True):
    """The brand of emails. It goes from the mailer to its renderers, so that all of them show the same.

    Attributes:
        name: the name that customers know.
        logo, logo_dark: the logo, and that on dark backgrounds, or None: then emails show the name, and the logo on white.
        colors: the colors.
        fonts: the fonts.
        radius: the radius of the corners, in pixels.
        details: the details of the shop by country; "*" for all others.
        reviews: where customers can review the shop, by country; "*" for all others.
    """

    name: str
    logo: Logo | None = None
    logo_dark: Logo | None = None
    colors: Colors = Colors()
    fonts: Fonts = Fonts()
    radius: int = 12
    details: dict[str, Details] = field(default_factory=lambda: {ANY_COUNTRY: Details()})
    # Not read-only: a renderer process gets the brand, and only dictionaries can be pickled.
    reviews: dict[str, tuple[Destination, ...]] = field(default_factory=dict)

    @property
    def logos(self) -> tuple[Logo, ...]:
        """The pictures that emails may show."""
        return tuple([logo for logo in (self.logo, self.logo_dark) if logo is not None])

    def key(self, country: str) -> str:
        """Return the country, or "*" if the shop has neither details nor places for reviews of its own there."""
        return country if country in self.details or country in self.reviews else ANY_COUNTRY

    def sender(self, purpose: str, country: str) -> KindSender:
        """Return the sender of the emails of a purpose to a country."""
        return self.seller(country).senders.get(purpose, _NO_SENDER)

    def for_templates(self) -> dict[str, dict[str, Any]]:
        """Return the value of `brand` in templates by country; "*" for all others."""
        common = {
            "name": self.name,
            "logo": _picture(self.logo),
            "logo_dark": _picture(self.logo_dark),
            "colors": self.colors.palette(),
        }
        return {
            country: {
                **common,
                **_texts(self.seller(country)),
                "reviews": [{"name": place.name, "url": place.url} for place in self._reviews(country)],
            }
            for country in {**self.details, **self.reviews, ANY_COUNTRY: ()}
        }

    def seller(self, country: str) -> Details:
        return self.details.get(country) or self.details[ANY_COUNTRY]

    def _reviews(self, country: str) -> tuple[Destination, ...]:
        return self.reviews.get(country, self.reviews.get(ANY_COUNTRY, ()))

    def fill(self, styles: str) -> str:
        """Return `styles` with the brand's values in place of `var(--accent)` and so on: few email programs know `var`.

        Other names stay as they are.
        """
        known = _style_values(self.colors, self.fonts, self.radius)
        return _VALUE.sub(lambda match: known.get(match[1], match[0]), styles)


def email_brand(brand: Brand, templates_dir: Path) -> EmailBrand:
    """Return the part of a brand that emails show. A picture that emails cannot carry is left out: `takk flows check` reports it.

    Args:
        brand: the brand.
        templates_dir: the folder with the logo in its folder `shared`.
    """
    logo = _read(brand.logo, templates_dir)
    return EmailBrand(
        name=brand.name,
        logo=logo,
        logo_dark=_read(brand.logo_dark, templates_dir) if logo is not None else None,
        colors=brand.colors,
        fonts=brand.fonts,
        radius=brand.radius,
        details={
            ANY_COUNTRY: _details_of(brand),
            **{name: _details_of(each) for name, each in brand.countries.items()},
        },
        reviews=dict(brand.reviews),
    )


def _read(name: str, templates_dir: Path) -> Logo | None:
    try:
        return read_logo(templates_dir / SHARED / name) if name else None
    except (UnusableLogo, OSError):
        return None


def _details_of(known: Details) -> Details:
    """Return the details alone, without the rest of a brand."""
    return Details(**{name: getattr(known, name) for name in Details.__struct_fields__})


def _picture(logo: Logo | None) -> dict[str, Any] | None:
    if logo is None:
        return None
    return {"src": f"cid:{logo.content_id}", "width": logo.width, "height": logo.height}


def _texts(details: Details) -> dict[str, Any]:
    names = (
        "shop_url",
        "privacy_url",
        "terms_url",
        "withdrawal_url",
        "cart_url",
        "help_url",
        "phone",
        "hours",
        "email",
        "company",
        "address",
    )
    return {
        **{name: getattr(details, name) for name in names},
        "legal": list(details.legal_lines),
        "phone_url": f"tel:{re.sub(r'[^0-9+]', '', details.phone)}" if details.phone else "",
        "email_url": f"mailto:{details.email}" if details.email else "",
        "social": [{"name": SOCIAL_SITES[site], "url": url} for site, url in details.social.items()],
    }


@lru_cache(maxsize=16)
def _style_values(colors: Colors, fonts: Fonts, radius: int) -> dict[str, str]:
    """Return the values of a brand in style sheets, by name. Every template of a folder needs them once."""
    return {
        **{name.replace("_", "-"): color for name, color in colors.palette().items()},
        # In a `style` attribute, the quotes of a font's name would end the attribute.
        "font-heading": fonts.heading.replace('"', "'"),
        "font-text": fonts.text.replace('"', "'"),
        "font-heading-outlook": _outlook_font(fonts.heading),
        "font-text-outlook": _outlook_font(fonts.text),
        "radius": f"{radius}px",
        "radius-small": f"{round(radius * 2 / 3)}px",
    }


def _outlook_font(fonts: str) -> str:
    """Return the first font of a list that Windows has: Outlook uses Times New Roman if it does not know the first one."""
    names = [name.strip().strip("\"'") for name in fonts.split(",")]
    return next((f"'{name}'" for name in names if name.lower() in _WINDOWS_FONTS), "Arial")
