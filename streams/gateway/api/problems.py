"""Answers to requests that are refused: problem details in JSON (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from streams.gateway.context import Unavailable
from streams.gateway.producers import RecordRefused
from streams.observability import metrics

PROBLEM_JSON = "application/problem+json"
#: The end of hints to send a request in parts. With the key of another part, records would have the ids of that part's records.
OTHER_KEYS = "if you send an Idempotency-Key, use another one for each part"


class Problem(Exception):
    """A request that is refused.

    Args:
        status: the status of the answer.
        code: a short name of the reason, which clients may compare.
        detail: what is wrong, for a developer.
        hint: what to do; may be empty.
        headers: further headers of the answer.
        members: further members of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        hint: str = "",
        *,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint
        self.headers, self.members = headers, members

    def response(self) -> web.Response:
        """Return the answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.hint:
            body["hint"] = self.hint
        response = json_response(body | self.members, self.status, PROBLEM_JSON, self.headers)
        if self.status in (408, 413, 415):
            response.force_close()  # the body was not read to its end
        return response


def unpublished(error: Unavailable | RecordRefused, *, is_named: bool = False) -> Problem:
    """Return the answer to records that are not safe, and count it.

    Args:
        error: why they are not.
        is_named: whether the request has an Idempotency-Key. A stored record then keeps its id only at its place in the same request.
    """
    if isinstance(error, RecordRefused):
        detail = "Kafka refuses a record; others of the request may be stored"
        hint = "send the records one by one, with the same bytes, to find it: those that are stored are not doubled"
        if is_named:
            hint = "repeat the request with the same Idempotency-Key and {} in place of some records, to find it: with another "
            hint += "key or place, records that are stored would be doubled"
        return Problem(413, "record_refused", detail, hint)
    metrics.GATEWAY_UNAVAILABLE.inc()
    return Problem(
        503,
        "unavailable",
        "no records are accepted now",
        "send the same request again after Retry-After seconds",
        headers={"Retry-After": str(error.retry_after_s)},
    )


def json_response(
    body: Any, status: int = 200, content_type: str = "application/json", headers: dict[str, str] | None = None
) -> web.Response:
    """Return an answer in JSON that nobody stores."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type=content_type,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )
