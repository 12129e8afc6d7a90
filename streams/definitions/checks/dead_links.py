"""Links and pictures of emails that lead nowhere, found without a network: placeholders, and hosts that no customer can reach."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

#: Names that are reserved for documentation and tests (RFC 2606, RFC 6761), and those of the machine or the network of a shop.
_RESERVED = (
    "example",
    "example.com",
    "example.net",
    "example.org",
    "internal",
    "invalid",
    "lan",
    "local",
    "localhost",
    "test",
)
#: Placeholders for an address that is not known yet: `https://shop.dk/[LINK]`, `https://your-shop.com`, `https://shop.dk/TODO`.
_UNFINISHED = re.compile(
    r"[\[\]{}<>]|%7B|%5B|\b(?:todo|tbd|fixme|xxx+|lorem|ipsum|placeholder|your-?(?:shop|store|domain|site|link|url))\b",
    re.IGNORECASE,
)


def why_dead(address: str) -> str:
    """Return why customers cannot open a web address, or "".

    Args:
        address: an address of a link or a picture, such as `https://localhost/tea`. Others than http and https are fine.
    """
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""  # not an address, which is another problem
    if parts.scheme not in ("http", "https") or not host:
        return ""
    if _UNFINISHED.search(address) is not None:
        return "it is a placeholder"
    if any(host == name or host.endswith(f".{name}") for name in _RESERVED):
        return f"no shop has the host {host!r}"
    try:
        return "" if ipaddress.ip_address(host).is_global else f"customers cannot reach {host}"
    except ValueError:
        return "" if "." in host else f"the host {host!r} has no domain"
