"""The one parser of email addresses: of records, of commands, of settings and of what is sent.

An address is kept as it was written, apart from blanks around it and a domain with other letters than ASCII, which becomes its ASCII form
(RFC 5891). So every part of the program compares, stores and sends the same text. Other letters before the @ stay: they need a mail server
with SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import re
from functools import lru_cache

import idna

#: Characters of an address (RFC 5321 4.5.3.1.3, without the angle brackets), and octets before its @ (4.5.3.1.1).
MAX_ADDRESS, MAX_LOCAL_PART = 254, 64
_MAX_DOMAIN, _MAX_LABEL = 253, 63
# Invisible characters that are copied along with an address. `str.strip` removes blanks only.
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
# RFC 5322 3.2.3, and with other letters RFC 6532 3.1. Quoted local parts are not accepted: nobody has one.
_LOCAL_CHARACTER = r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]"
_LOCAL_PART = re.compile(f"{_LOCAL_CHARACTER}+")
_NOT_IN_LOCAL_PART = re.compile(r"[\x00-\x20\x7f\"(),:;<>@\[\\\]]")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
# Nearly every address follows the rules as it is written.
_ASCII_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_ASCII_ADDRESS = re.compile(rf"{_LOCAL_CHARACTER}{{1,64}}@{_ASCII_LABEL}(?:\.{_ASCII_LABEL})*")


def trimmed(address: str) -> str:
    """Return an address without the blanks and the invisible characters around it."""
    return address.strip().strip(_INVISIBLE).strip()


def parse_address(text: str) -> str | None:
    """Return the email address in `text`, or None if it is not exactly one address that can be sent to.

    Blanks and invisible characters around the address are ignored, and its domain is returned in ASCII.
    """
    if len(text) <= MAX_ADDRESS and _ASCII_ADDRESS.fullmatch(text):
        return text
    address = trimmed(text)
    if len(address) > MAX_ADDRESS:
        return None
    local, at, domain = address.rpartition("@")
    if not at or not _is_local_part(local):
        return None
    try:
        ascii_domain = ascii_domain_of(domain)
    except ValueError:
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address) <= MAX_ADDRESS else None


def addresses_of(text: str) -> list[str]:
    """Return the email addresses in `text`, which has commas between them.

    Raises:
        ValueError: with the first part that is not an address.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        address = parse_address(part)
        if address is None:
            raise ValueError(f"not a valid address: {part!r} (use for example ann@shop.example,bo@shop.example)")
        found.append(address)
    return found


@lru_cache(maxsize=4096)  # most customers of a shop share a few domains; an invalid one is not cached
def ascii_domain_of(name: str) -> str:
    """Return a domain as SMTP writes it; the case of an ASCII domain is kept.

    Raises:
        IDNAError: a domain with other letters has no ASCII form; it is a ValueError.
        ValueError: the domain is invalid otherwise.
    """
    ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    if len(ascii_name) > _MAX_DOMAIN or not all(
        len(label) <= _MAX_LABEL and _LABEL.fullmatch(label) for label in ascii_name.split(".")
    ):
        raise ValueError("not a valid domain")
    return ascii_name


def _is_local_part(text: str) -> bool:
    if text.isascii():
        return len(text) <= MAX_LOCAL_PART and _LOCAL_PART.fullmatch(text) is not None
    return len(text.encode(errors="replace")) <= MAX_LOCAL_PART and _is_printable_word(text)


def _is_printable_word(text: str) -> bool:
    return text.isprintable() and " " not in text and _NOT_IN_LOCAL_PART.search(text) is None
