"""Email addresses as keys: one form for all spellings of an address, and its keyed hash.

Topics, tables and logs of addresses contain the hash only. Without the key nobody can tell which address it belongs to, or test a list of
addresses against it.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from functools import lru_cache

import idna

from streams.addresses import trimmed
from streams.core.values.tokens import hkdf

#: Bytes of a hash: with 128 bits, two of a billion addresses have the same hash with a probability of 10^-21.
HASH_BYTES = 16
#: The first characters of a guest's customer id.
GUEST = "guest-"


def normalise(address: str) -> str:
    """Return the form that all spellings of an address share: without blanks around it, in lower case, its domain in ASCII.

    The form never changes: refusals are stored under its hash.

    Dots and `+tags` stay: whether they reach the same mailbox is up to the provider. A domain that IDNA does not allow stays as it is.
    Sources: RFC 5891 (IDNA) with the mappings of UTS 46; RFC 6532 3.1 (NFC).
    """
    form = unicodedata.normalize("NFC", trimmed(address)).lower()
    if form.isascii():
        return form
    local, at, domain = form.rpartition("@")
    return f"{local}{at}{domain if domain.isascii() else _ascii(domain)}"


@lru_cache(maxsize=1024)
def _ascii(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return domain


def address_key(secret: bytes) -> bytes:
    """Return the key of the hashes, derived from the secret of an installation."""
    return hkdf(secret, b"takk address", 32)


def guest_key(secret: bytes) -> bytes:
    """Return the key of the ids of guests, derived from the secret of an installation. It is not that of the hashes: ids are public."""
    return hkdf(secret, b"takk guest", 32)


def guest_id(key: bytes, address: str) -> str:
    """Return the customer id of a guest, the same for all spellings of the address: `guest-` and 32 hexadecimal digits.

    The digits are the first 16 bytes of HMAC-SHA256 of the normalised address (see `normalise`). The rule never changes: every producer
    of records has to derive the same id, since it is the record key and so decides about the partition.

    Args:
        key: the `guest_key`.
        address: the address, as it was given.
    """
    return GUEST + hmac.digest(key, _octets(address), hashlib.sha256)[:HASH_BYTES].hex()


def address_hash(key: bytes, address: str) -> bytes:
    """Return the hash of an address, the same for all its spellings.

    Args:
        key: the `address_key`.
        address: the address, as it was given.
    """
    return hmac.digest(key, _octets(address), hashlib.sha256)[:HASH_BYTES]


def _octets(address: str) -> bytes:
    return normalise(address).encode("utf-8", "surrogatepass")
