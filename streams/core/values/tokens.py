"""Signed tokens in links: whoever holds one can do what it says, and nobody can make one without the secret."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

#: Bytes of the HMAC-SHA-256 kept: 128 bits are out of reach for guessing, and keep links short.
SIGNATURE_BYTES = 16


class BadToken(ValueError):
    """A token that was not made with this secret, for this use."""


def sign(secret: bytes, use: str, *parts: str) -> str:
    """A URL-safe token of `parts`, good only for `use` (a link of one kind cannot be used as another)."""
    body = msgspec.json.encode(parts)
    return base64.urlsafe_b64encode(_signature(secret, use, body) + body).rstrip(b"=").decode()


def verify(secret: bytes, use: str, token: str) -> tuple[str, ...]:
    """The parts that `sign` was given.

    Raises:
        BadToken: the token is damaged, or of another use or secret.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadToken("not a token") from error
    body = raw[SIGNATURE_BYTES:]
    if not hmac.compare_digest(raw[:SIGNATURE_BYTES], _signature(secret, use, body)):
        raise BadToken("the signature does not fit")
    return msgspec.json.decode(body, type=tuple[str, ...])


def _signature(secret: bytes, use: str, body: bytes) -> bytes:
    return hmac.new(secret, use.encode() + b"\0" + body, hashlib.sha256).digest()[:SIGNATURE_BYTES]
