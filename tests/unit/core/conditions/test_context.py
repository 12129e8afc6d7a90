"""Compiled conditions, evaluated for a customer."""

from __future__ import annotations

import pytest

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NAMES
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import OrderPlaced
from streams.core.model.unit_of_work import UnitOfWork
from streams.definitions.language.conditions import compile_condition
from tests.harness.driver import START
from tests.harness.events import order, shop_ruleset

RULESET = shop_ruleset()


def context() -> EvalContext:
    """A customer with one order for 500.10 kroner."""
    placed = OrderPlaced(order("o1", START, total_minor=50_010), START)
    state, _ = advance(RULESET, new_customer("c1"), placed, START)
    return EvalContext(UnitOfWork(RULESET, state, START), state.orders[0], None)


@pytest.mark.parametrize(
    ("source", "is_true"),
    [
        ("customer.orders == 1", True),
        ("customer.orders > 1 or order.total >= 500.1", True),
        ("order.total > 500.10", False),
        ("order.total == 500.1 and order.value == 500.1", True),
        ("100 < order.total <= 600", True),
        ("not customer.is_vip", True),
        ("customer.country in ['DK', 'SE'] and order.currency != 'EUR'", True),
        ("customer.country not in ('DK', 'SE')", False),
        ("'tea' in order.categories", True),
        ("order.quantity == 3 and order.lines == 2", True),
        ("order.total > -5", True),
        ("shipment.has_window", False),
        ("true", True),
    ],
)
def test_meaning(source: str, is_true: bool) -> None:
    """Conditions evaluated for a customer with one order for 500.10 kroner; money is exact."""
    assert compile_condition(source).holds(context()) is is_true


def test_every_name_can_be_read() -> None:
    """Every name has a value, also without a parcel."""
    assert all(read(context()) is not None for _, read in NAMES.values())
