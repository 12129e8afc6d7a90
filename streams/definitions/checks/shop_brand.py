"""The brand with which messages are checked, and the checks of its logo and of its addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from streams.definitions.language.brand import parse_brand
from streams.definitions.problems import Problem
from streams.mail.rendering.brand import Brand
from streams.mail.rendering.email_brand import EmailBrand, email_brand
from streams.mail.rendering.logo import MAX_BYTES, UnusableLogo, read_logo
from streams.mail.rendering.template_folders import SHARED

#: The file of the brand.
BRAND = f"{SHARED}/brand.yaml"


def brand_of(root: Path) -> EmailBrand:
    """Return the brand of a templates folder as its emails show it. An invalid or missing file counts as a name only: the loader reports it."""
    try:
        brand = parse_brand((root / BRAND).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        brand = []
    return email_brand(brand if isinstance(brand, Brand) else Brand(name="Shop"), root)


def check_logo(root: Path, name: str) -> Iterator[Problem]:
    """Yield a warning if emails cannot show the logo.

    Args:
        root: the templates folder.
        name: the logo's file name; the file exists and can be read.
    """
    try:
        read_logo(root / SHARED / name)
    except UnusableLogo as error:
        message = f"emails show the name instead of {name!r}: {error}"
        yield Problem("brand.W001", message, f"use a PNG or JPEG picture of at most {MAX_BYTES // 1024} kB")


def check_example(brand: Brand) -> Iterator[Problem]:
    """Yield a warning if an address of the brand is one of the example: no shop has a host below `.example` (RFC 2606)."""
    hosts = [urlsplit(address).hostname or "" for address in (brand.shop_url, brand.privacy_url)]
    if any(host.endswith(".example") for host in hosts):
        message = "this is the brand of the example, which customers see in emails and on pages"
        yield Problem("brand.W002", message, "write the name, the company and the addresses of your shop into it")
