"""Tokens as earlier versions signed them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import msgspec

from streams.core.values.tokens import SEPARATOR, SIGNATURE_BYTES, key_id, to_text, use_key


def signed_token(secret: bytes, use: str, *parts: str) -> str:
    """Return a token with a key id, signed with the key of its use."""
    body = msgspec.json.encode(parts)
    signature = hmac.new(use_key(secret, use), use.encode() + b"\0" + body, hashlib.sha256).digest()[:SIGNATURE_BYTES]
    return key_id(secret) + SEPARATOR + to_text(signature + body)


def unkeyed_token(secret: bytes, use: str, *parts: str) -> str:
    """Return a token without a key id, signed with the secret itself."""
    body = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
    signature = hmac.new(secret, use.encode() + b"\0" + body, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(signature + body).rstrip(b"=").decode()
