"""Signed tokens for links. A token authorizes one action, and cannot be made without the secret."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

#: The bytes of the HMAC-SHA-256 that a token contains: 128 bits cannot be guessed, and keep links short.
SIGNATURE_BYTES = 16


class BadToken(ValueError):
    """A token that is damaged, or was made with another secret or for another use."""


def sign(secret: bytes, use: str, *parts: str) -> str:
    """Return a URL-safe token of `parts`.

    Args:
        secret: the key of the signature.
        use: the kind of link. A token is valid for this use only.
        parts: the texts in the token; they are signed but readable.
    """
    body = msgspec.json.encode(parts)
    return base64.urlsafe_b64encode(_signature(secret, use, body) + body).rstrip(b"=").decode()


def verify(secret: bytes, use: str, token: str) -> tuple[str, ...]:
    """Return the parts of a token.

    Raises:
        BadToken: the token is damaged, or was made with another secret or for another use.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadToken("not a valid token") from error
    body = raw[SIGNATURE_BYTES:]
    if not hmac.compare_digest(raw[:SIGNATURE_BYTES], _signature(secret, use, body)):
        raise BadToken("the signature does not match")
    return msgspec.json.decode(body, type=tuple[str, ...])


def _signature(secret: bytes, use: str, body: bytes) -> bytes:
    return hmac.new(secret, use.encode() + b"\0" + body, hashlib.sha256).digest()[:SIGNATURE_BYTES]
