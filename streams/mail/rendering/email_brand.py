"""The brand as emails show it: the part of `shared/brand.yaml` that the renderers of a mailer need, with the picture itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from streams.mail.rendering.brand import Brand, Colors
from streams.mail.rendering.logo import Logo, UnusableLogo, read_logo
from streams.mail.rendering.template_folders import SHARED

#: A color of the brand in a style sheet or a template: `var(--accent)`, `var(--background-dark)`.
_COLOR = re.compile(r"var\(\s*--([a-z-]+)\s*\)")


class EmailBrand(Struct, frozen=True, kw_only=True):
    """The brand of emails. It goes from the mailer to its renderers, so that all of them show the same.

    Attributes:
        name: the name that customers know.
        logo: the logo, or None: then emails show the name.
        colors: the colors.
        legal: the lines at the foot of each email.
        privacy_url, shop_url: the page on privacy and the shop, or "".
    """

    name: str
    logo: Logo | None = None
    colors: Colors = Colors()
    legal: tuple[str, ...] = ()
    privacy_url: str = ""
    shop_url: str = ""

    def for_templates(self) -> dict[str, Any]:
        """Return the value of `brand` in templates."""
        logo = self.logo
        return {
            "name": self.name,
            "logo": logo and {"src": f"cid:{logo.content_id}", "width": logo.width, "height": logo.height},
            "colors": {name: getattr(self.colors, name) for name in Colors.__struct_fields__},
            "legal": self.legal,
            "privacy_url": self.privacy_url,
            "shop_url": self.shop_url,
        }

    def fill_colors(self, styles: str) -> str:
        """Return `styles` with the brand's colors in place of `var(--accent)` and so on: few email programs know `var`.

        Other names stay as they are.
        """
        known = {name.replace("_", "-"): getattr(self.colors, name) for name in Colors.__struct_fields__}
        return _COLOR.sub(lambda match: known.get(match[1], match[0]), styles)


def email_brand(brand: Brand, templates_dir: Path) -> EmailBrand:
    """Return the part of a brand that emails show. A picture that emails cannot carry is left out: `takk flows check` reports it.

    Args:
        brand: the brand.
        templates_dir: the folder with the logo in its folder `shared`.
    """
    try:
        logo = read_logo(templates_dir / SHARED / brand.logo) if brand.logo else None
    except (UnusableLogo, OSError):
        logo = None
    return EmailBrand(
        name=brand.name,
        logo=logo,
        colors=brand.colors,
        legal=brand.legal,
        privacy_url=brand.privacy_url,
        shop_url=brand.shop_url,
    )
