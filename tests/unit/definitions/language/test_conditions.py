"""Errors in conditions at load time."""

from __future__ import annotations

import pytest

from streams.definitions.language.conditions import InvalidCondition, compile_condition


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
        ("customer.orders > 1 and customer.__class__ == 1", "condition.E009", 25, "customer names: customer."),
        ("range(10) == 1", "condition.E006", 1, "use names"),
        ("order.total * 2 > 5", "condition.E006", 1, "use names"),
        ("order.total | string == 'x'", "condition.E006", 1, "use names"),
        ("customer.orders ==", "condition.E004", 1, "use names"),
        ("customer.orders == 1 order", "condition.E005", 22, "join conditions"),
        ("customer.orders == 1 2²", "condition.E004", 1, "use names"),
        ("customer.orders == 1)", "condition.E004", 1, "use names"),
        ("customer.orders 1'", "condition.E004", 18, "use names"),
        ("customer.orders = 1", "condition.E005", 17, "use == to compare"),
        ("none == none", "condition.E006", 1, "use names"),
        ("", "condition.E001", 1, "customer.orders == 1"),
        ("customer.attributes.size", "condition.E003", 1, "compare it"),
        ("customer.attributes.size > 'M'", "condition.E017", 1, "use == or !="),
        ("customer.attributes.size == customer.is_vip", "condition.E016", 1, "compare the text with another text"),
        ("'M' in customer.attributes.size", "condition.E015", 1, "a list to its right"),
        ("today.hour in ['a']", "condition.E016", 16, "write only numbers"),
        ("today.hour in [8, '9']", "condition.E016", 19, "write only numbers"),
        ("customer.country not in ['DK', 45]", "condition.E016", 32, "write only texts"),
        ("field.level in ['gold', 3]", "condition.E016", 25, "write only texts"),
        ("5 in customer.categories", "condition.E016", 6, "write a text to the left"),
        ("order.weekday == 'friday'", "condition.E022", 18, "use mon"),
        ("today.weekday in ['mon', 'friday']", "condition.E022", 26, "use mon"),
        ("customer.attributes.Size == 'M'", "condition.E009", 1, "customer names: customer."),
    ],
)
def test_invalid_conditions(source: str, id: str, column: int, hint: str) -> None:
    """Each error has its id, its column and a hint."""
    with pytest.raises(InvalidCondition) as caught:
        compile_condition(source)
    problem = caught.value.problem
    assert (problem.id, problem.location.column) == (id, column)
    assert hint in problem.hint


@pytest.mark.parametrize(
    "source",
    [
        "field.weekday == 'friday'",
        "customer.attributes.weekday in ['friday', 'monday']",
        "today.hour in [8, 9]",
        "customer.country in ['DK', 'SE']",
        "field.level in [1, 2]",
        "'tea' in customer.categories",
    ],
)
def test_valid_conditions(source: str) -> None:
    """Names of the shop's own may have any value, also if they are named like one with fixed values."""
    assert compile_condition(source).source == source
