"""The parts of tokens in links: keys that are derived from secrets, their public ids, and the tokens of earlier versions.

Earlier versions signed tokens, with a key per use (HKDF, RFC 5869) and with the id of the secret in front. The first ones had no key id and
were signed with the secret itself. All of them are verified with every known secret, without end: links in emails must not stop working.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from binascii import a2b_base64
from collections import Counter
from itertools import pairwise

import msgspec

#: The bytes of the HMAC-SHA-256 that a token contains: 128 bits cannot be guessed, and keep links short.
SIGNATURE_BYTES = 16
#: Between the key id and the rest; it is in no token of earlier versions.
SEPARATOR = "."
#: The characters of a key id: among the few secrets of a shop they are unique, and they reveal nothing of the secret.
KEY_ID_CHARS = 6
#: The least estimated entropy of a secret in bits. 16 random hexadecimal digits have about 53 by this estimate, and a few in a million less than 33.
#: Four digits of which each is repeated four times have 32.
MIN_BITS = 32.5
#: The most characters of a token that is verified: a link of Takk has some 300.
MAX_CHARS = 4096
#: The characters of base64url to those of base64.
_BASE64 = bytes.maketrans(b"-_", b"+/")


class BadToken(ValueError):
    """A token that is damaged, or was made with another secret or for another use."""


class Keyring:
    """Verifies the tokens that earlier versions signed.

    Args:
        secrets: the known secrets.
    """

    def __init__(self, *secrets: bytes) -> None:
        self._secrets = secrets
        self._by_id: dict[str, list[bytes]] = {}
        for secret in secrets:
            self._by_id.setdefault(key_id(secret), []).append(secret)
        self._keys: dict[tuple[bytes, str], bytes] = {}

    def verify(self, use: str, token: str) -> tuple[str, ...]:
        """Return the parts of a token.

        Args:
            use: the kind of link. A token is valid for this use only.
            token: the text in the path.

        Raises:
            BadToken: the token is damaged, or was made with an unknown secret or for another use.
        """
        if len(token) > MAX_CHARS:
            raise BadToken("not a valid token")
        number, separator, text = token.partition(SEPARATOR)
        if separator:
            keys = [self._key(secret, use) for secret in self._by_id.get(number, ())]
        else:
            keys, text = list(self._secrets), token
        raw = from_text(text)
        signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, _signature(key, use, body)) for key in keys):
            raise BadToken("the signature does not match")
        try:
            return msgspec.json.decode(body, type=tuple[str, ...])
        except msgspec.DecodeError as error:
            raise BadToken("not a valid token") from error

    def _key(self, secret: bytes, use: str) -> bytes:
        found = self._keys.get((secret, use))
        if found is None:
            found = self._keys[secret, use] = use_key(secret, use)
        return found


def key_id(secret: bytes) -> str:
    """Return the public id of a secret."""
    return to_text(hkdf(secret, b"takk key id", 12))[:KEY_ID_CHARS]


def use_key(secret: bytes, use: str) -> bytes:
    """Return the key of one use of a secret: who learns it cannot sign for another use."""
    return hkdf(secret, b"takk token " + use.encode(), 32)


def hkdf(secret: bytes, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """Return `length` bytes derived from a secret with HKDF-SHA-256 (RFC 5869)."""
    key = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    block, out = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def estimated_bits(secret: str) -> float:
    """Return an upper estimate of a secret's entropy in bits, from the frequencies of its characters.

    A repeated text counts once, and characters in steps of one size ("aaaa", "abcd") count as two.
    """
    period = (secret + secret).find(secret, 1) if secret else 0
    text = secret[:period]
    if len({ord(b) - ord(a) for a, b in pairwise(text)}) <= 1:
        text = text[:2]
    count = len(text)
    return sum(-n * math.log2(n / count) for n in Counter(text).values()) if count else 0.0


def to_text(raw: bytes) -> str:
    """Return bytes as base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """Return the bytes of such a text.

    Raises:
        BadToken: it is not one.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return a2b_base64(padded.translate(_BASE64), strict_mode=True)  # what `b64decode` calls, in half of its time
    except ValueError as error:
        raise BadToken("not a valid token") from error


def _signature(key: bytes, use: str, body: bytes) -> bytes:
    return hmac.new(key, use.encode() + b"\0" + body, hashlib.sha256).digest()[:SIGNATURE_BYTES]
