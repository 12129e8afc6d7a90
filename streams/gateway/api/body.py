"""The body of a request, bounded in bytes and in time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streams.gateway.api.problems import OTHER_KEYS, Problem

#: Seconds in which a body must arrive.
TIMEOUT_S = 30.0


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body.

    Args:
        request: the request.
        limit: the most bytes.

    Raises:
        Problem: it is compressed (415), not UTF-8 (415), larger than the limit (413), too slow (408), or not complete (400).
    """
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Problem(415, "unsupported_charset", "the body is not UTF-8", "send UTF-8")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Problem(415, "unsupported_encoding", "the body is compressed", "send it without Content-Encoding")
    hint = f"send less per request; {OTHER_KEYS}"
    too_large = Problem(413, "too_large", f"the body has more than {limit:,} bytes", hint)
    if (request.content_length or 0) > limit:
        raise too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for chunk in request.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise too_large
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body did not arrive within {TIMEOUT_S:g} seconds") from None
    except (ConnectionError, web.RequestPayloadError):
        raise Problem(400, "incomplete", "the body is not complete") from None
    return b"".join(chunks)
