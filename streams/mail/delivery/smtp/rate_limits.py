"""Limits of the emails per second: for all together, and per domain of the recipient."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

#: Emails may leave together that are due within this many seconds. A timer of the event loop is about that precise.
_PRECISION_S = 0.01


class TokenBucket:
    """A rate limit. Every email reserves the next free moment, so that emails leave in the order of their reservations.

    Within any time of T seconds, at most `rate * T + max(1, rate / 100)` emails leave.

    Args:
        rate: emails per second.
    """

    def __init__(self, rate: float) -> None:
        self._interval_s = 1 / rate
        self._tolerance_s = max(0.0, _PRECISION_S - self._interval_s)
        self._next = float("-inf")

    def reserve(self, now: float) -> float:
        """Return the seconds from `now` until the email may leave."""
        due = max(self._next, now - self._tolerance_s)
        self._next = due + self._interval_s
        return max(0.0, due - now)


class RateLimits:
    """The limits of one process.

    Args:
        per_second: emails per second to all recipients together, or None for no limit.
        per_domain: emails per second to recipients of a domain, by domain in lower case.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        per_second: float | None = None,
        per_domain: Mapping[str, float] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._all = TokenBucket(per_second) if per_second is not None else None
        self._by_domain = {domain: TokenBucket(rate) for domain, rate in (per_domain or {}).items()}
        self._clock = clock

    async def wait(self, recipient: str) -> None:
        """Wait until an email to `recipient` may leave."""
        if self._by_domain:
            bucket = self._by_domain.get(recipient.rpartition("@")[2].lower())
            if bucket is not None and (seconds := bucket.reserve(self._clock())) > 0:
                await asyncio.sleep(seconds)
        if self._all is not None and (seconds := self._all.reserve(self._clock())) > 0:
            await asyncio.sleep(seconds)
