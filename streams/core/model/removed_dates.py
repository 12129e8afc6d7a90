"""Dates that the customer removed on the preference page: a row of fingerprints of the removed days, for each date.

The shop's systems may not learn of the removal, and state the same day again and again. The customer's removal counts more than the same day
stated by the shop, at whatever time, and also if the removal arrives after it. Another day that the shop states later counts: it is newer
than what the customer knew. The customer can state a removed day again. The days themselves are not stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from msgspec.structs import replace

from streams.core.model.traits import ImportantDate, merge_named
from streams.core.values import fingerprints, ids

#: The removed days of a date that are remembered, the newest.
MOST = 4


def is_removed(row: bytes, day: date | None) -> bool:
    """Return whether the customer removed `day`."""
    return bool(row) and day is not None and fingerprints.contains(row, _fingerprint(day))


def after_answer(row: bytes, stored: date | None, since: datetime | None, day: date | None, at: datetime) -> bytes:
    """Return the removed days after the customer stated a day, or removed the stored one.

    Args:
        row: the removed days before.
        stored: the stored day, or None.
        since: since when it has been stated, or when the date was removed, UTC.
        day: what the customer stated; None removes the date.
        at: when, UTC.
    """
    if since is not None and at < since:
        return row  # an older answer
    if day is not None:
        return fingerprints.remove(row, _fingerprint(day))
    if stored is None or at == since:
        return row  # of two answers at the same time the day counts
    return fingerprints.add(row, _fingerprint(stored), MOST)


def merge_rows(older: bytes, newer: bytes) -> bytes:
    """Return the removed days of both rows."""
    return fingerprints.merge(older, newer, MOST) if older and newer else older or newer


def merge_dates(
    stored: tuple[ImportantDate, ...], stated: Iterable[ImportantDate], most: int
) -> tuple[tuple[ImportantDate, ...], int]:
    """Return the newest day of each name that the customer has not removed, as `merge_named` does."""
    dates, newer = {each.name: each for each in stored}, []
    for each in stated:
        before = dates.get(each.name)
        if before is not None and before.value is not None and before.value == each.value:
            since = min(before.since or before.at, each.since or each.at)
            before, each = _since(before, since), _since(each, since)
            dates[each.name] = before
        row = merge_rows(before.removed, each.removed) if before is not None else each.removed
        if before is None or not row:
            newer.append(each)
            continue
        is_stored_removed, is_stated_removed = is_removed(row, before.value), is_removed(row, each.value)
        if is_stored_removed and is_stated_removed:
            dates[each.name] = replace(before, value=None, removed=row)
        elif is_stored_removed:
            dates[each.name] = replace(each, removed=row)
        else:
            dates[each.name] = replace(before, removed=row)
            if not is_stated_removed:
                newer.append(replace(each, removed=row))
    return merge_named(tuple(dates.values()), newer, most)


def _since(stated: ImportantDate, since: datetime) -> ImportantDate:
    return replace(stated, since=since if since < stated.at else None)


def _fingerprint(day: date) -> bytes:
    return ids.fingerprint("removed date", day.isoformat())
