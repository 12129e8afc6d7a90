"""The provider of a recipient's mailbox, from a closed list. Pure.

Only the well-known domains count. A company's own domain is `other`, even if Google or Microsoft hosts its mailboxes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

Provider: TypeAlias = Literal["gmail", "microsoft", "yahoo", "apple", "gmx_webde", "other"]

#: The end of a domain whose first part is the same in many countries: `.com`, `.net`, `.de`, `.co.uk`, `.com.br`.
_COUNTRIES = r"\.(?:com|net|[a-z]{2}|(?:co|com)\.[a-z]{2})"
_DOMAINS: tuple[tuple[Provider, re.Pattern[str]], ...] = (
    ("gmail", re.compile(r"g(?:oogle)?mail\.com")),
    ("microsoft", re.compile(rf"(?:outlook|hotmail|live|msn|windowslive){_COUNTRIES}")),
    ("yahoo", re.compile(rf"(?:yahoo|ymail|rocketmail|aol){_COUNTRIES}")),
    ("apple", re.compile(r"(?:icloud|me|mac|privaterelay\.appleid)\.com")),
    ("gmx_webde", re.compile(rf"gmx{_COUNTRIES}|web\.de")),
)


@lru_cache(maxsize=4096)  # the domains of a shop's customers; most emails go to a few of them
def _provider_of_domain(domain: str) -> Provider:
    for provider, pattern in _DOMAINS:
        if pattern.fullmatch(domain):
            return provider
    return "other"


def provider_of(address: str) -> Provider:
    """Return the provider of the mailbox `address`; `other` unless its domain is well known."""
    return _provider_of_domain(address.rpartition("@")[2].rstrip(".").lower())
