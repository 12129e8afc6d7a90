"""Which orders stay in full, which without their lines, and which are dropped."""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.model.events import OrderLine
from streams.core.model.orders.order_room import is_short, make_room, placed_at, shortened, size
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START

DAY = timedelta(days=1)


def stored(order_id: str, days_ago: float = 0, lines: int = 2, placed: datetime | None = None) -> OrderState:
    """An order with lines."""
    items = tuple([OrderLine(f"s{number}", "Tea", "tea", 1, 100) for number in range(lines)])
    facts = OrderFacts(
        "a@example.com", "Anna", "da", "DK", "DK", "DKK", 100, placed or START - days_ago * DAY, None, items
    )
    return OrderState(order_id, facts, START, placed=True)


def room(
    orders: list[OrderState], limits: Limits, open_ids: str = "", awaited: str = ""
) -> tuple[list[str], list[str], list[str]]:
    """The orders in full, those without lines, and the dropped ones; the last of `orders` is the present one."""
    kept, dropped = make_room(
        tuple(orders), orders[-1], awaited.split(), 0, limits, lambda order: order.order_id in open_ids.split()
    )
    full = [order.order_id for order in kept if not is_short(order)]
    return full, [order.order_id for order in kept if is_short(order)], [order.order_id for order in dropped]


def test_the_oldest_closed_order_is_dropped() -> None:
    """Age decides, not the order of arrival, so an import in any order keeps the newest."""
    orders = [stored("new", 1), stored("old", 9), stored("older", 20), stored("present", 30)]
    assert room(orders, Limits(orders=2)) == (["new", "present"], [], ["older", "old"])


def test_open_and_awaited_orders_are_shortened() -> None:
    """An order that is open, or that an instance waits with, loses only its lines."""
    orders = [stored("open", 9), stored("awaited", 8), stored("closed", 7), stored("present", 1)]
    assert room(orders, Limits(orders=1), "open", "awaited") == (["present"], ["open", "awaited"], ["closed"])


def test_too_many_short_orders() -> None:
    """Of too many short orders the closed ones go before the open ones, the oldest first, and awaited ones last."""
    orders = [
        stored("awaited", 9, 0),
        stored("open", 8, 0),
        stored("old", 7, 0),
        stored("new", 6, 0),
        stored("present", 1),
    ]
    assert room(orders, Limits(short_pieces=2), "open", "awaited") == (["present"], ["awaited", "open"], ["old", "new"])
    assert room(orders, Limits(short_pieces=0), "open", "awaited")[2] == ["old", "new", "open", "awaited"]


def test_large_orders() -> None:
    """Orders with many lines are shortened before their number is reached."""
    orders = [stored(f"o{number}", 9 - number, 24) for number in range(4)]
    full, short, dropped = room(orders, Limits(), "o0 o1 o2 o3")
    assert (full, short, dropped) == (["o1", "o2", "o3"], ["o0"], [])
    assert size(orders[0]) == 26
    assert shortened(orders[0]).facts is not None
    assert placed_at(OrderState("o9")).year == 1
