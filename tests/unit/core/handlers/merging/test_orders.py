"""Orders of merged customers: each counts once, whatever each customer knew of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streams.core.model.events import CustomerMerged, OrderCancelled, OrderPlaced
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset

HOUR = timedelta(hours=1)


def run_of(*orders: tuple[str, str], **limits: int) -> Driver:
    """Return a run with the orders (customer, order), an hour apart."""
    run = Driver(shop_ruleset(**({"limits": Limits(**limits)} if limits else {})))
    for customer_id, order_id in orders:
        run.handle(OrderPlaced(order(order_id, run.now, customer_id=customer_id), run.now))
        run.advance(HOUR)
    return run


def merge(run: Driver) -> Any:
    """Merge the guest, and return the customer."""
    run.handle(CustomerMerged(customer_id="g", into="c1", occurred_at=run.now))
    return run.customers["c1"]


def test_totals_are_sums() -> None:
    """Orders of both count, and so do their amounts, the first and the last."""
    state = merge(run_of(("g", "o1"), ("c1", "o2"), ("g", "o3")))
    assert (state.purchases, state.spend) == (3, (("DKK", 150_000),))
    assert (state.first_order_at, state.last_order_at, state.last_order_id) == (START, START + 2 * HOUR, "o3")


def test_an_order_of_both_counts_once() -> None:
    """A shop that sent an order under both ids has sold it once."""
    run = run_of(("g", "o1"), ("c1", "o2"))
    same = order("o1", START, customer_id="c1")
    run.handle(OrderPlaced(same, START))
    state = merge(run)
    assert (state.purchases, state.spend) == (2, (("DKK", 100_000),))


def test_an_order_that_one_id_cancelled() -> None:
    """The cancellation counts, also for the dates of the first and the last order."""
    for canceller, other in (("g", "c1"), ("c1", "g")):
        run = run_of((other, "o1"))
        same = order("o1", START, customer_id=canceller)
        run.handle(OrderPlaced(same, START), OrderCancelled(same, run.now))
        state = merge(run)
        assert (state.purchases, state.spend, state.first_order_at, state.last_order_id) == (0, (), None, None)


def test_an_order_that_one_id_has_forgotten_counts_once() -> None:
    """Only its fingerprint is left with one customer: it is not stored again, and its share is not added again."""
    run = run_of(*[("g", f"o{n}") for n in range(4)], orders=2, short_pieces=1)
    for number in range(4):
        shipped = shipment(f"o{number}", "delivered", run.now, customer_id="g")
        run.handle(shipped)
    assert run.customers["g"].forgotten_order_fingerprints
    run.handle(OrderPlaced(order("o0", START, customer_id="c1"), START))
    assert merge(run).purchases == 4


def test_more_orders_than_are_stored() -> None:
    """The oldest leave their fingerprints, so that a duplicate of them changes nothing later."""
    run = run_of(*[("g", f"g{n}") for n in range(3)], *[("c1", f"c{n}") for n in range(3)], orders=4)
    state = merge(run)
    assert len([each for each in state.orders if each.facts and each.facts.lines]) <= 4
    assert state.purchases == 6
    for number in range(3):
        run.handle(OrderPlaced(order(f"g{number}", START + number * HOUR, customer_id="g"), START + number * HOUR))
    assert run.customers["c1"].purchases == 6
    assert len(run.messages()) == len([message for message in run.messages() if message != "confirmation"]) + 6
