"""The rate limit of each API key: a bucket that fills up again within a minute."""

from __future__ import annotations

from datetime import datetime


class KeyRates:
    """Limits the requests of each key.

    Args:
        per_minute: requests of one key per minute, and the most at once; 0: no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        # Key id -> what was left of its requests, and when. Only valid keys have an entry.
        self._left: dict[str, tuple[float, datetime]] = {}

    def wait_s(self, key_id: str, now: datetime) -> float:
        """Count a request, and return 0; or return the seconds until the next one is allowed, and count nothing."""
        if not self._per_minute:
            return 0.0
        left, at = self._left.get(key_id, (float(self._per_minute), now))
        per_second = self._per_minute / 60
        # The clock may step back.
        left = min(float(self._per_minute), left + max(0.0, (now - at).total_seconds()) * per_second)
        if left < 1:
            self._left[key_id] = left, now
            return (1 - left) / per_second
        self._left[key_id] = left - 1, now
        return 0.0
