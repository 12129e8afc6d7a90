"""The links of a received email that lead to the gateway, by the first part of their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import get_args

from msgspec import Struct

from streams.mail.tokens import Use
from streams.tools.local.inbox.mail import ReceivedEmail

_ADDRESS = re.compile(r"<(https?://[^<>\s]+)>")
_USES = frozenset(get_args(Use))


class EmailLinks(Struct, frozen=True):
    """The links of an email.

    Attributes:
        pages: use to the addresses of its links, as in the email, each once.
        one_click: the address of List-Unsubscribe, if the email offers one-click (RFC 8058); "" otherwise.
    """

    pages: Mapping[str, list[str]]
    one_click: str = ""

    def all(self) -> list[str]:
        """Return all addresses, each once."""
        found = [address for addresses in self.pages.values() for address in addresses]
        return list(dict.fromkeys([*found, *([self.one_click] if self.one_click else [])]))


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get("href") if tag in ("a", "area") else values.get("src") if tag == "img" else None
        if address:
            self.found.append(address)


def addresses_in(html: str) -> list[str]:
    """Return the addresses of the links and pictures of an HTML text, in their order, each once."""
    parser = _Addresses()
    parser.feed(html)
    parser.close()
    return list(dict.fromkeys(parser.found))


def links_of(mail: ReceivedEmail, base_url: str) -> EmailLinks:
    """Return the links of an email that start with `base_url`."""
    headers = mail.raw_headers
    listed = _ADDRESS.search(re.sub(r"\r?\n", "", headers.get("list-unsubscribe", "")))
    offers_one_click = headers.get("list-unsubscribe-post", "").strip() == "List-Unsubscribe=One-Click"
    pages: dict[str, list[str]] = {}
    for address in addresses_in(mail.html or ""):
        use = use_of(address, base_url)
        if use:
            pages.setdefault(use, []).append(address)
    return EmailLinks(pages, listed[1] if listed is not None and offers_one_click else "")


def use_of(address: str, base_url: str) -> str:
    """Return the use of a link of the gateway, or "" for another address."""
    if not address.startswith(f"{base_url}/"):
        return ""
    use, _, rest = address[len(base_url) + 1 :].partition("/")
    return use if use in _USES and rest else ""


def token_of(address: str) -> str:
    """Return the token of a link of the gateway."""
    return address.partition("?")[0].rpartition("/")[2]
