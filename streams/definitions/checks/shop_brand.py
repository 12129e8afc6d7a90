"""The brand with which messages are checked, and the checks of its logo, its colors and its addresses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from streams.definitions.language.brand import parse_email_brand
from streams.definitions.problems import Position, Problem, problem_at, unreadable
from streams.mail.rendering.brand import Brand, Details, is_placeholder
from streams.mail.rendering.contrast import LEAST_CONTRAST, least_contrast, readable
from streams.mail.rendering.email_brand import EmailBrand, email_brand
from streams.mail.rendering.logo import MAX_BYTES, UnusableLogo, read_logo
from streams.mail.rendering.template_folders import SHARED

#: The file of the brand.
BRAND = f"{SHARED}/brand.yaml"
#: The warning of legal lines that name no company.
PLACEHOLDER = "brand.W005"


def brand_of(root: Path) -> EmailBrand:
    """Return the brand of a templates folder as its emails show it. A file that is missing, or invalid for emails, counts as a name only: the
    loader reports it.
    """
    try:
        brand = parse_email_brand((root / BRAND).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        brand = []
    return email_brand(brand if isinstance(brand, Brand) else Brand(name="Shop"), root)


def check_logo(root: Path, name: str) -> Iterator[Problem]:
    """Yield an error if the logo is missing or cannot be read, and a warning if emails cannot show it. Each names its file.

    Args:
        root: the templates folder.
        name: the logo's file name, or "" without a logo.
    """
    path = root / SHARED / name
    if not name:
        return
    if not path.is_file():
        yield Problem("brand.E004", f"missing file {name!r}", "add it to the same folder").in_file(root / BRAND)
        return
    try:
        path.read_bytes()  # also of a picture that emails do not show
        read_logo(path)
    except OSError as error:
        yield unreadable(path, error)
    except UnusableLogo as error:
        message = f"emails show the name instead of {name!r}: {error}"
        hint = f"use a PNG or JPEG picture of at most {MAX_BYTES // 1024} kB"
        yield Problem("brand.W001", message, hint).in_file(root / BRAND)


def check_contrast(brand: Brand, positions: Mapping[str, Position]) -> Iterator[Problem]:
    """Yield a warning for each color of a text that customers cannot read, or else for the background behind it.

    Args:
        brand: the brand.
        positions: those of its values in the file, see `brand_positions`.
    """
    colors = brand.colors
    for mode, is_lighter in (("", False), ("_dark", True)):
        background, card = getattr(colors, f"background{mode}"), getattr(colors, f"card{mode}")
        for kind in ("accent", "text", "muted", "success", "notice"):
            name = f"{kind}{mode}"
            color = getattr(colors, name)
            least = least_contrast(color, (background, card))
            if least >= LEAST_CONTRAST:
                continue
            names = (f"colors.{name}", f"colors.background{mode}", f"colors.card{mode}", "colors")
            parts = [part for part in names if part in positions]
            if kind == "accent" or names[0] in positions:
                message = f"{color} cannot be read on the background: its contrast is {_shown(least)}"
                nearest = readable(color, (background, card), is_lighter=is_lighter)
                hint = f"choose colors with a contrast of {LEAST_CONTRAST}"
                if least_contrast(nearest, (background, card)) >= LEAST_CONTRAST:
                    hint += f', for example {name}: "{nearest}"'
                yield problem_at(parts[0] if parts else "", "brand.W003", message, hint)
            else:
                behind = min((background, card), key=lambda each: least_contrast(color, (each,)))
                message = f"text cannot be read on {behind}: its contrast is {_shown(least)}"
                hint = f"choose a {'darker' if is_lighter else 'lighter'} color"
                yield problem_at(parts[0] if parts else "", "brand.W004", message, hint)
            break  # the others may follow from it


def _shown(ratio: float) -> str:
    """Return a contrast for people, rounded down so that too little does not look like enough."""
    return f"{math.floor(10 * ratio) / 10:.1f}"


def check_example(brand: Brand) -> Iterator[Problem]:
    """Yield warnings if an address of the brand, or a legal line, is one of the example: no shop has a host below `.example` (RFC 2606)."""
    everywhere = (brand, *brand.countries.values())
    addresses = [address for details in everywhere for address in _addresses(details)]
    found = [address for address in addresses if _host(address).endswith(".example")]
    # Sites for reviews have the shop's host in the path.
    found += [place.url for places in brand.reviews.values() for place in places if place.url.endswith("/shop.example")]
    if found:
        message = f"{found[0]!r} is an address of the example, which customers see in emails and on pages"
        yield Problem("brand.W002", message, "write the name, the company and the addresses of your shop into it")
    lines = [line for details in everywhere for line in details.legal_lines if is_placeholder(line)]
    if lines:
        message = (
            f"{lines[0]!r} is a legal line of the example: the law requires your company and address in each email"
        )
        hint = "write those of your shop. Until then, mailers whose links lead to another machine send transactional emails only"
        yield problem_at("legal" if lines[0] in brand.legal else "company", PLACEHOLDER, message, hint)


def _addresses(details: Details) -> Iterator[str]:
    yield from (details.shop_url, details.privacy_url, details.terms_url, details.withdrawal_url)
    yield from (details.help_url, details.cart_url)
    yield from details.social.values()
    yield from (f"mailto://{address.rpartition('@')[2]}" for address in _mailboxes(details))


def _mailboxes(details: Details) -> Iterator[str]:
    yield from (details.email, *(sender.reply_to for sender in details.senders.values()))


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""
