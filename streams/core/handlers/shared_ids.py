"""Customer ids that several people share, such as the id 0 that some shops give to every guest.

The acts of one of them must not concern another: Anna's review request must not go to Bo. While an id is shared, each order still gets its
transactional emails at its own address, but the id gets no other email, and no event teaches its profile.
"""

from __future__ import annotations

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
    seconds, most = int(order.placed_at.timestamp()), uow.ruleset.limits.addresses
    entry = seconds.to_bytes(_TIME, "big") + ids.fingerprint("address", normalise(order.email))
    row = _newest(uow.order_addresses + entry, most)
    if row == uow.order_addresses:
        return
    uow.order_addresses, uow.changed = row, True
    if len(row) <= most * _ENTRY:
        return
    first, last = int.from_bytes(row[:_TIME], "big"), int.from_bytes(row[-_ENTRY:][:_TIME], "big")
    day_scale, was_shared = uow.ruleset.day_scale, uow.is_shared
    if last - first > local_time.scale(PERIOD, day_scale).total_seconds():
        return
    until = datetime.fromtimestamp(last, UTC) + local_time.scale(SHARED_FOR, day_scale)
    uow.shared_until = max(until, uow.shared_until or until)
    if uow.is_shared and not was_shared:
        # Made of the data of several people.
        uow.profile = Profile()
        detail = f"more than {uow.ruleset.limits.addresses} email addresses in orders of {PERIOD.days} days"
        uow.decisions_of("", 0, "", "", order_id=order.order_id).limit("shared_id", detail, repeat=order.order_id)


def merged_addresses(own: bytes, other: bytes, most: int) -> bytes:
    """Return the newest addresses of two customers who are one person, as `Customer.order_addresses` has them."""
    return _newest(own + other, most)


def _newest(entries: bytes, most: int) -> bytes:
    """Return the newest entry of each address, the oldest first: one more than `most`, which shows that there are too many."""
    if len(entries) == _ENTRY:  # the first order of a customer
        return entries
    # An entry begins with its time, so entries are ordered by time. Of one address the last one replaces the others.
    ordered = sorted([entries[start : start + _ENTRY] for start in range(0, len(entries), _ENTRY)])
    newest = {entry[_TIME:]: entry for entry in ordered}
    return b"".join(sorted(newest.values())[-most - 1 :])
