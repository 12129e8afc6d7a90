"""Tokens as earlier versions signed them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json


def unkeyed_token(secret: bytes, use: str, *parts: str) -> str:
    """Return a token without a key id, signed with the secret itself."""
    body = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
    signature = hmac.new(secret, use.encode() + b"\0" + body, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(signature + body).rstrip(b"=").decode()
