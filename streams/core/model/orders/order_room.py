"""Room for the orders of one customer: which are stored in full, which without their lines, and which are dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from msgspec import msgpack
from msgspec.structs import replace

from streams.core.model.instance import Instance
from streams.core.model.orders.order_state import OrderState
from streams.core.rules.ruleset import Limits
from streams.core.values.moments import LONG_AGO

# Lines of a parcel that take as much room as one line of an order.
_PARCEL_LINES = 8
#: Bytes of details that take as much room as one line of an order.
_DETAIL_BYTES = 160
# Characters of an instance that take as much room as one line of an order.
_CHARACTERS = 20
_encode = msgpack.Encoder().encode


def make_room(
    orders: tuple[OrderState, ...],
    present: OrderState,
    awaited: Collection[str],
    other_pieces: int,
    limits: Limits,
    is_open: Callable[[OrderState], bool],
) -> tuple[tuple[OrderState, ...], list[OrderState]]:
    """Return the orders that stay, some without their lines, and those that are dropped.

    While there are too many orders, or they are too large, the oldest is dropped if it is closed and no instance waits with it.
    Otherwise it is shortened. If there are too many short orders, the oldest are dropped: first those that no
    instance waits with, and closed ones before open ones.

    Args:
        orders: all orders.
        present: the one that has just changed: it stays as it is, since its next event may follow at once.
        awaited: the ids of orders that instances wait with.
        other_pieces: the pieces that the data of instances takes, see `instance_pieces`.
        limits: `orders` and `pieces` bound the orders in full, `short_pieces` the others.
        is_open: whether more may happen to an order.
    """
    kept = {order.order_id: order for order in orders}
    dropped: list[OrderState] = []
    full = sorted([order for order in orders if order is not present and not is_short(order)], key=placed_at)
    pieces = other_pieces + sum([size(order) for order in (*full, present)])
    while full and (len(full) >= limits.orders or pieces > limits.pieces):
        oldest = full.pop(0)
        pieces -= size(oldest)
        if is_open(oldest) or oldest.order_id in awaited:
            kept[oldest.order_id] = shortened(oldest)
        else:
            dropped.append(kept.pop(oldest.order_id))
    short = [order for order in kept.values() if order is not present and is_short(order)]
    pieces = sum([_short_size(order) for order in short])
    if pieces > limits.short_pieces:
        short.sort(key=lambda order: (order.order_id in awaited, is_open(order), placed_at(order)))
        while short and pieces > limits.short_pieces:
            oldest = short.pop(0)
            pieces -= _short_size(oldest)
            dropped.append(kept.pop(oldest.order_id))
    return tuple(kept.values()), dropped


def instance_pieces(instances: Iterable[Instance]) -> int:
    """Return the pieces that the data of instances takes.

    An instance that waits for a launch takes two. The data of all others takes one for every `_CHARACTERS` characters.
    """
    characters = pieces = 0
    for instance in instances:
        if instance.waits_for_launch:
            pieces += 2
            continue
        characters += len(instance.reward) + len(instance.awaits)
        for name, value in instance.own_data:
            characters += len(name) + len(value)
    return pieces + characters // _CHARACTERS


def placed_at(order: OrderState) -> datetime:
    """Return when the order was placed, or when something was last heard of it if that is unknown."""
    if order.facts is not None:
        return order.facts.placed_at
    return max([parcel.at for parcel in order.parcels], default=LONG_AGO)


def is_short(order: OrderState) -> bool:
    """Return whether neither the order nor its parcels have lines."""
    return not (order.facts is not None and order.facts.lines) and not any(parcel.lines for parcel in order.parcels)


def shortened(order: OrderState) -> OrderState:
    """Return the order without lines: everything else that its emails need stays."""
    facts = order.facts
    return replace(
        order,
        facts=replace(facts, lines=()) if facts is not None else None,
        parcels=tuple([replace(parcel, lines=()) for parcel in order.parcels]),
    )


def size(order: OrderState) -> int:
    """Return the pieces that an order takes in full.

    These are two, one for each line, and for each parcel two and one for every `_PARCEL_LINES` lines. The details of the order, its lines
    and its parcels take one for every `_DETAIL_BYTES` bytes.
    """
    pieces = 2 + (len(order.facts.lines) if order.facts else 0)
    for parcel in order.parcels:
        pieces += 2 + len(parcel.lines) // _PARCEL_LINES
    return pieces + _details_size(order)


def _short_size(order: OrderState) -> int:
    facts = order.facts
    # Names and addresses may be as long as many lines.
    characters = len(facts.name) + len(facts.email) if facts is not None else 0
    return 1 + len(order.parcels) + characters // 100 + _details_size(order)


def _details_size(order: OrderState) -> int:
    facts = order.facts
    details: list[object] = [parcel.details for parcel in order.parcels if parcel.details is not None]
    if facts is not None:
        details += [line.details for line in facts.lines if line.details is not None]
        details += [facts.details] if facts.details is not None else []
    return len(_encode(details)) // _DETAIL_BYTES if details else 0
