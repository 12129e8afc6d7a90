"""The row of orders that are no longer stored: one entry each, with what must not happen to it again."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.orders.forgotten_orders import add_end, add_order, add_parcel, find
from streams.core.model.orders.order import TRACKED, Parcel
from streams.core.model.orders.order_state import OrderState
from streams.core.values import fingerprints, ids
from tests.harness.driver import START

MOST = 100


def row_of(*, is_open: bool = False, **changes: object) -> bytes:
    """A row with the order o1."""
    return add_order(b"", MOST, replace(OrderState("o1", placed=True), **changes), is_open=is_open)  # type: ignore[arg-type]  # fields of the order


def test_open_and_closed_orders() -> None:
    """An order is found as it was when it was dropped, and no other order is found."""
    assert (find(row_of(is_open=True), "o1"), find(row_of(), "o1"), find(row_of(), "o2"), find(b"", "o1")) == (
        "open",
        "closed",
        None,
        None,
    )
    assert len(row_of()) == fingerprints.SIZE


def test_an_end_is_new_once() -> None:
    """A cancellation and a refund are new once each, and close the order; the order keeps one entry."""
    row = row_of(is_open=True)
    for event in ("order.refunded", "order.cancelled"):
        row, is_new = add_end(row, MOST, "o1", event)
        assert is_new
        assert add_end(row, MOST, "o1", event) == (row, False)
    assert (find(row, "o1"), len(row)) == ("closed", fingerprints.SIZE)


def test_an_end_before_the_order_was_dropped_is_not_new() -> None:
    """A cancellation or refund that the state had, or a cancellation that a payment may have overruled, is a duplicate."""
    assert add_end(row_of(cancelled_at=START), MOST, "o1", "order.cancelled")[1] is False
    assert add_end(row_of(refunded_at=START), MOST, "o1", "order.refunded")[1] is False
    assert add_end(row_of(paid_at=START), MOST, "o1", "order.cancelled")[1] is False
    assert add_end(row_of(paid_at=START), MOST, "o1", "order.refunded")[1] is True


def test_an_entry_of_an_earlier_version() -> None:
    """Of an order that an earlier version dropped, every event is taken for a duplicate."""
    row = ids.fingerprint("order", "o1")
    assert find(row, "o1") == "closed"
    assert add_end(row, MOST, "o1", "order.refunded") == (row, False)


def test_parcels() -> None:
    """Each status of a parcel is new once."""
    row, is_new = add_parcel(row_of(is_open=True), MOST, "o1", "p1", "shipped")
    assert is_new
    assert add_parcel(row, MOST, "o1", "p1", "shipped")[1] is False
    assert add_parcel(row, MOST, "o1", "p1", "delivered")[1] is True


def test_parcels_of_an_open_order() -> None:
    """An order that is dropped keeps the statuses of its parcels, and whether their tracking was known."""
    for number, is_new in (("T1", False), ("", True)):
        parcel = Parcel("p1", "shipped", START, "", number, "", None, None, (), (("shipped", START),))
        row = row_of(is_open=True, parcels=(parcel,))
        assert add_parcel(row, MOST, "o1", "p1", "shipped")[1] is False
        assert add_parcel(row, MOST, "o1", "p1", TRACKED)[1] is is_new
