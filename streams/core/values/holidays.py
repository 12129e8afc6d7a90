"""Public holidays, from the library `holidays`."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

_NONE: frozenset[date] = frozenset()


def is_holiday(country: str, day: date) -> bool:
    """Return whether `day` is a public holiday in all of `country` (ISO 3166-1 alpha-2); False for an unknown country."""
    return day in _holidays(country, day.year)


@lru_cache(maxsize=1024)
def _holidays(country: str, year: int) -> frozenset[date]:
    import holidays  # late: the import takes a tenth of a worker's start, and few shops have quiet hours on holidays

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return _NONE
