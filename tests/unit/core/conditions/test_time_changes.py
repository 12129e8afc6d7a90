"""When time alone changes a condition, and the data that conditions read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from streams.core.conditions.context import EvalContext
from streams.core.conditions.time_changes import next_change
from streams.core.model.unit_of_work import UnitOfWork
from streams.definitions.language.conditions import compile_condition
from tests.harness.driver import START, Driver
from tests.harness.flow_texts import DAY, buy, ruleset_of, update_profile


def context(run: Driver) -> EvalContext:
    """Return the evaluation context of c1 now."""
    return EvalContext(UnitOfWork(run.ruleset, run.customers["c1"], run.now), None, None, (("sku", "s1"),))


def born() -> Driver:
    """Return a run in which c1, born on 12 March 1990, has placed an order."""
    run = Driver(ruleset_of())
    buy(run)
    update_profile(run, birthday=date(1990, 3, 12), time_zone="Europe/Copenhagen")
    return run


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("customer.days_since_last_order > 30", START + 30 * DAY),
        ("customer.days_since_last_order >= 31", START + 31 * DAY),
        ("customer.recency == 5", START + 31 * DAY),
        ("customer.age > 35", datetime(2026, 3, 11, 23, tzinfo=UTC)),
        ("customer.is_birthday_month", datetime(2026, 3, 31, 22, tzinfo=UTC)),
        ("customer.days_since_visit > 30", None),
        ("customer.orders > 1", None),
    ],
)
def test_the_next_change(source: str, expected: datetime | None) -> None:
    """Ages and months change at the customer's midnight, days since an event after full days, and counts never."""
    dependencies = compile_condition(source).time_dependencies
    assert next_change(context(born()), dependencies, START) == expected


def test_only_later_changes_count() -> None:
    """A change at the given time is past."""
    dependencies = compile_condition("customer.days_since_last_order == 30").time_dependencies
    assert next_change(context(born()), dependencies, START + 30 * DAY) == START + 31 * DAY
    assert next_change(context(born()), dependencies, START + 31 * DAY + timedelta(seconds=1)) is None


def test_the_data_of_a_trigger() -> None:
    """A value is found by its name; a missing one is empty."""
    assert context(born()).data("sku") == "s1"
    assert context(born()).data("answer") == ""
