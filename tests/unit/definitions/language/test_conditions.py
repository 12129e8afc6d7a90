"""Conditions: their meaning, and the errors at load time."""

from __future__ import annotations

import pytest

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NAMES
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import OrderPlaced
from streams.core.model.unit_of_work import UnitOfWork
from streams.definitions.language.conditions import InvalidCondition, compile_condition
from tests.harness.driver import START
from tests.harness.events import order, shop_ruleset

WORLD = shop_ruleset()


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
    """Conditions evaluated for a customer with one order for 500.10 kroner; money is exact."""
    assert compile_condition(source).holds(context()) is is_true


def test_every_name_can_be_read() -> None:
    """Every name has a value, also without a parcel."""
    assert all(read(context()) is not None for _, read in NAMES.values())


@pytest.mark.parametrize(
    ("source", "id", "column", "hint"),
    [
        ("customer.order == 1", "condition.E009", 1, "did you mean 'customer.orders'?"),
        ("custmer.is_vip", "condition.E009", 1, "did you mean 'customer.is_vip'?"),
        ("customer.orders", "condition.E003", 1, "compare it"),
        ("order.total > '5'", "condition.E016", 1, "compare the number with another number"),
        ("customer.country > 'DK'", "condition.E017", 1, "use == or !="),
        ("customer.is_vip and order.total", "condition.E012", 1, "compare it"),
        ("customer.country in 'DK'", "condition.E015", 1, "a list to its right"),
        ("customer.orders > 1 and customer.__class__ == 1", "condition.E009", 25, "known: customer."),
        ("range(10) == 1", "condition.E006", 1, "use names"),
        ("order.total * 2 > 5", "condition.E006", 1, "use names"),
        ("order.total | string == 'x'", "condition.E006", 1, "use names"),
        ("customer.orders ==", "condition.E004", 1, "use names"),
        ("customer.orders == 1 order", "condition.E005", 22, "join conditions"),
        ("customer.orders = 1", "condition.E005", 17, "use == to compare"),
        ("none == none", "condition.E006", 1, "use names"),
        ("", "condition.E001", 1, "customer.orders == 1"),
    ],
)
def test_invalid_conditions(source: str, id: str, column: int, hint: str) -> None:
    """Each error has its id, its column and a hint."""
    with pytest.raises(InvalidCondition) as caught:
        compile_condition(source)
    problem = caught.value.problem
    assert (problem.id, problem.location.column) == (id, column)
    assert hint in problem.hint
