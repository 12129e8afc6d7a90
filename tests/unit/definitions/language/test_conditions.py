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
