"""Bodies that do not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web

from streams.gateway.api import body
from streams.gateway.api.body import read_body
from streams.gateway.api.problems import Problem


class Request:
    """A request whose body begins, and then fails with an error, or never ends if it is None."""

    charset, content_length = None, None

    def __init__(self, error: Exception | None) -> None:
        self.headers: dict[str, str] = {}
        self._error = error

    @property
    def content(self) -> Any:
        """The stream of the body."""
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the beginning, then fail."""
        yield b"{}"
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()


@pytest.mark.parametrize("error", [ConnectionResetError("lost"), web.RequestPayloadError("damaged")])
async def test_a_client_that_goes_away(error: Exception) -> None:
    """A body that is not complete is an error of the client, not one of the gateway."""
    with pytest.raises(Problem) as problem:
        await read_body(cast(Any, Request(error)), 100)
    assert problem.value.status == 400


async def test_a_slow_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not end is cut off after a time."""
    monkeypatch.setattr(body, "TIMEOUT_S", 0.01)
    with pytest.raises(Problem) as problem:
        await read_body(cast(Any, Request(None)), 100)
    assert problem.value.status == 408
