"""Waiting that ends when the mailer stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The mailer is stopping, and the awaited data did not arrive before."""


async def await_unless_stopping(is_stopping: Callable[[], bool], awaitable: Awaitable[T]) -> T:
    """Await the result. Raise Stopped if the mailer stops first."""
    task = asyncio.ensure_future(awaitable)
    while not (await asyncio.wait({task}, timeout=0.05))[0]:
        if is_stopping():
            task.cancel()
            raise Stopped
    return task.result()
