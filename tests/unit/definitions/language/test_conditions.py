"""Conditions: what they mean, and what is refused at load."""

from __future__ import annotations

import pytest

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NAMES
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import OrderPlaced
from streams.core.model.unit_of_work import UnitOfWork
from streams.definitions.language.conditions import BadCondition, compile_condition
from tests.harness.driver import START
from tests.harness.events import order, shop_world

WORLD = shop_world()


def context() -> EvalContext:
    """A customer with one order for 500.10 kroner."""
    told = order("o1", START, total_minor=50_010)
    state, _ = advance(WORLD, new_customer("c1"), OrderPlaced(told, START), START)
    return EvalContext(UnitOfWork(WORLD, state, START), state.orders[0], None)


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
    """What a condition says of a customer with one order for 500.10 kroner; money is exact."""
    assert compile_condition(source).holds(context()) is is_true


def test_every_name_can_be_read() -> None:
    """Every name gives a value, also where there is no parcel."""
    assert all(read(context()) is not None for _, read in NAMES.values())


@pytest.mark.parametrize(
    ("source", "problem", "remedy"),
    [
        ("customer.order == 1", "unknown name customer.order", "did you mean customer.orders?"),
        ("custmer.is_vip", "unknown name custmer.is_vip", "did you mean customer.is_vip?"),
        ("customer.orders", "a number is not a condition", "compare it"),
        ("order.total > '5'", "a number is compared with a text", "compare a number with a number"),
        ("customer.country > 'DK'", "neither more nor less", "use == or !="),
        ("customer.is_vip and order.total", "not a number", "order.total > 100"),
        ("customer.country in 'DK'", "cannot be in a text", "in a list"),
        ("customer.__class__ == 1", "unknown name customer.__class__", ""),
        ("range(10) == 1", "call is not allowed", "allowed are"),
        ("order.total * 2 > 5", "mul is not allowed", "allowed are"),
        ("order.total | string == 'x'", "filter is not allowed", "allowed are"),
        ("customer.orders ==", "this is no expression", "allowed are"),
        ("customer.orders == 1 order", "one thing too many", "and / or"),
        ("none == none", "none is not a value", "allowed are"),
        ("", "the condition is empty", "for example"),
    ],
)
def test_refused_at_load(source: str, problem: str, remedy: str) -> None:
    """What is wrong is said in words, with what would be right."""
    with pytest.raises(BadCondition) as caught:
        compile_condition(source)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
