"""Room for the traits of one customer: it depends on the orders that the state has to recognise, the purchases that it counts, and the fields."""

from __future__ import annotations

from msgspec import msgpack
from msgspec.structs import replace

from streams.core.model.customer import Customer
from streams.core.model.traits import Attribute, Collected, ExternalId, ImportantDate
from streams.core.model.unit_of_work import UnitOfWork

#: The rows of traits.
_ROWS = ("attributes", "dates", "external_ids", "collected")
_encode = msgpack.Encoder().encode


def make_room_for_traits(uow: UnitOfWork, before: Customer) -> None:
    """Drop traits that do not fit beside the fingerprints of orders, the log of purchases and the fields, and log it.

    Removed values are dropped first, then the oldest.

    Args:
        uow: the customer after an event.
        before: the state before it, in which the traits had room.
    """
    traits, forgotten = uow.profile.traits, uow.forgotten_order_fingerprints
    counted, views = uow.purchase_log, uow.viewed
    is_same = traits is before.profile.traits and counted is before.purchase_log and views is before.viewed
    is_same = is_same and uow.fields is before.fields and uow.lists is before.lists
    if is_same and len(forgotten) <= len(before.forgotten_order_fingerprints):
        return
    most = uow.ruleset.limits.trait_bytes - len(forgotten)
    if counted is not None or views:
        most -= len(_encode((counted, views)))
    if uow.fields or uow.lists:
        most -= len(_encode((uow.fields, uow.lists)))
    size = len(_encode(traits))
    if size <= most:
        return
    rows = {row: list(getattr(traits, row)) for row in _ROWS}
    oldest = sorted([(_is_present(each), each.at, row, repr(each), each) for row in _ROWS for each in rows[row]])
    lost = 0
    for is_present, _, row, _, each in oldest:
        size -= len(_encode(each))
        rows[row].remove(each)
        lost += is_present
        if size <= most:
            break
    uow.profile = replace(uow.profile, traits=replace(traits, **{row: tuple(rows[row]) for row in _ROWS}))
    uow.changed = True
    if lost:
        uow.hit_limit("traits", "attributes, dates, ids, wishes or likes: the oldest do not fit and are forgotten", "")


def _is_present(each: Attribute | ImportantDate | ExternalId | Collected) -> bool:
    return each.is_kept if isinstance(each, Collected) else each.value is not None
