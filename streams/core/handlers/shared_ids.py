"""Customer ids that several people share, such as the id 0 that some shops give to every guest.

The acts of one of them must not concern another: Anna's review request must not go to Bo. While an id is shared, each order still gets its
transactional emails at its own address, but the id gets no other email, and no event teaches its profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from streams.core.model.customer import Profile
from streams.core.model.events import Order
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time
from streams.core.values.addresses import normalise

#: Different addresses count if their orders were placed within this time. A person uses two or three addresses in years.
PERIOD = timedelta(days=7)
#: An id counts as shared for this long after the newest order of such a period. A shop that shares an id does so with every guest.
SHARED_FOR = timedelta(days=30)
#: Bytes of an entry of `Customer.order_addresses`: when the newest order with an address was placed, in seconds since 1970, and the
#: address's fingerprint.
_TIME, _ENTRY = 4, 12


def note_order_address(uow: UnitOfWork, order: Order) -> None:
    """Remember the address of an order. With more than `Limits.addresses` of them in a week the id counts as shared."""
    if not order.email:
        return
    times = _times(uow.order_addresses)
    fingerprint = ids.fingerprint("address", normalise(order.email))
    times[fingerprint] = max(int(order.placed_at.timestamp()), times.get(fingerprint, 0))
    newest = _newest(times, uow.ruleset.limits.addresses)
    row = _row(newest)
    if row == uow.order_addresses:
        return
    uow.order_addresses, uow.changed = row, True
    day_scale, (first, last) = uow.ruleset.day_scale, (newest[0][0], newest[-1][0])
    period = local_time.scale(PERIOD, day_scale).total_seconds()
    if len(newest) <= uow.ruleset.limits.addresses or last - first > period:
        return
    was_shared = uow.is_shared
    until = datetime.fromtimestamp(last, UTC) + local_time.scale(SHARED_FOR, day_scale)
    uow.shared_until = max(until, uow.shared_until or until)
    if uow.is_shared and not was_shared:
        # Made of the data of several people.
        uow.profile = Profile()
        detail = f"more than {uow.ruleset.limits.addresses} email addresses in orders of {PERIOD.days} days"
        uow.decisions_of("", 0, "", "", order_id=order.order_id).limit("shared_id", detail, repeat=order.order_id)


def merged_addresses(own: bytes, other: bytes, most: int) -> bytes:
    """Return the newest addresses of two customers who are one person, as `Customer.order_addresses` has them."""
    times = _times(own)
    for address, seconds in _times(other).items():
        times[address] = max(seconds, times.get(address, 0))
    return _row(_newest(times, most))


def _newest(times: Mapping[bytes, int], most: int) -> list[tuple[int, bytes]]:
    """Return time and address of the newest entries, the oldest first: one more than `most`, which shows that there are too many."""
    return sorted((seconds, address) for address, seconds in times.items())[-most - 1 :]


def _row(entries: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join([seconds.to_bytes(_TIME, "big") + address for seconds, address in entries])


def _times(row: bytes) -> dict[bytes, int]:
    entries = [row[start : start + _ENTRY] for start in range(0, len(row), _ENTRY)]
    return {entry[_TIME:]: int.from_bytes(entry[:_TIME], "big") for entry in entries}
