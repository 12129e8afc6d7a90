"""Tracked links: addresses in an email are replaced by addresses of the gateway, which counts the click and redirects.

Only the anchors of the HTML part are read, and in the text part only their addresses are replaced. A text may contain what a customer wrote;
an address in it must not become one of the shop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape, unescape
from urllib.parse import urlsplit

from streams.mail.links import Links, Sender
from streams.mail.rendering.renderer import RenderedEmail

# No pattern repeats within another, so that hostile markup is read once. Without flags: ignoring case would take three times as long.
_ANCHOR = re.compile(r"<[aA]\s[^<>]*>")
_HREF = re.compile(r"""\s[hH][rR][eE][fF]=(?:"([hH][tT]{2}[pP][sS]?://[^"]*)"|'([hH][tT]{2}[pP][sS]?://[^']*)')""")
#: The attribute of anchors that are never tracked: links that the law requires, such as the one to the terms.
LEGAL = "data-legal"
_LEGAL = re.compile(rf"\s{LEGAL}[\s=>]")
#: A reference to a character. In attributes, browsers leave `&copy=1` as it is.
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
#: Punctuation that ends a sentence, not an address.
_ENDS = ".,;:!?)]}'»”"
#: Such characters after an address.
_MOST_ENDS = 5


def track_links(email: RenderedEmail, links: Links, sender: Sender) -> RenderedEmail:
    """Return the email with tracked links, if it may be tracked.

    Links of Takk, legal links and other kinds of addresses, such as mailto:, stay. So does an address that is too long.

    Args:
        email: the rendered email.
        links: the links of the email; they seal the addresses.
        sender: knows the links of Takk.
    """
    if not links.is_tracked:
        return email
    tracked: dict[str, str] = {}
    legal: set[str] = set()

    def replace_anchor(match: re.Match[str]) -> str:
        anchor = match[0]
        href = _HREF.search(anchor)
        if href is None:
            return anchor
        address = _REFERENCE.sub(lambda reference: unescape(reference[0]), href[1] or href[2])
        if LEGAL in anchor and _LEGAL.search(anchor):
            legal.add(address)
            return anchor
        found = tracked.get(address)
        if found is None:
            found = tracked[address] = _tracked(address, links.click, sender)
        if found == address:
            return anchor
        start, end = href.span(1 if href[1] else 2)
        return f"{anchor[:start]}{escape(found)}{anchor[end:]}"

    def replace_address(match: re.Match[str]) -> str:
        text = match[0]
        for end in range(len(text), len(text) - _MOST_ENDS, -1):
            found = tracked.get(address := text[:end])
            if found is not None:
                return text if address in legal else found + text[end:]
            if text[end - 1] not in _ENDS:
                break
        return text

    html = _ANCHOR.sub(replace_anchor, email.html)
    if not tracked:
        return email
    return replace(email, html=html, text=_ADDRESS.sub(replace_address, email.text))


def _tracked(address: str, seal: Callable[[str], str | None], sender: Sender) -> str:
    """Return the tracked address, or the address itself if it cannot be tracked."""
    # The gateway does not redirect to an address with control characters.
    if sender.is_own(address) or not address.isprintable() or " " in address:
        return address
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return address
    return (seal(address) if host else None) or address
