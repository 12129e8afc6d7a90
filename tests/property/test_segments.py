"""Segments that depend on time: a customer is always a member of exactly the segments whose condition holds."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.conditions.context import EvalContext
from streams.core.model.events import OrderCancelled, OrderPlaced, ProductBrowsed
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.unit_of_work import UnitOfWork
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.examples import examples
from tests.harness.flow_texts import DAY, flow_text, ruleset_of

COUNTED = ("days_since_first_order", "days_since_last_order", "days_since_visit", "age", "recency")
comparisons = st.builds(
    "customer.{} {} {}".format,
    st.sampled_from(COUNTED),
    st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
    st.sampled_from([0, 1, 2, 3, 5, 5.5, 30, 31, 45, 90, 1_000_000]),
)
plain = comparisons | st.sampled_from(
    ["customer.is_birthday_month", "not customer.is_birthday_month", "customer.days_since_visit in [2, 4]", "customer.orders == 2"]
)  # fmt: skip
conditions = st.recursive(
    plain, lambda part: st.builds("({} {} {})".format, part, st.sampled_from(["and", "or"]), part), max_leaves=4
)
spans = st.builds(lambda days, minutes: timedelta(days=days, minutes=minutes), st.integers(0, 70), st.integers(0, 1439))
#: Actions, each after some time.
actions = st.sampled_from(["buy", "cancel", "look", "born", "moved", "nothing"])
lives = st.lists(st.tuples(spans, actions), min_size=1, max_size=12)


def happen(run: Driver, what: str, number: int) -> None:
    """Apply one action to the customer c1."""
    if what == "buy":
        run.handle(OrderPlaced(order(f"o{number}", run.now), run.now))
    elif what == "cancel":
        run.handle(OrderCancelled(order(f"o{number - 1}", run.now), run.now))
    elif what == "look":
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
    elif what == "born":
        birthday = date(1996, 2, 29) if number % 2 else (run.now - 40 * 365 * DAY).date()
        run.handle(ProfileUpdated(customer_id="c1", birthday=birthday, occurred_at=run.now))
    elif what == "moved":
        zone = "Pacific/Auckland" if number % 2 else "America/Los_Angeles"
        run.handle(ProfileUpdated(customer_id="c1", time_zone=zone, occurred_at=run.now))


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(conditions, min_size=1, max_size=3), lives)
@example(["customer.days_since_last_order > 30"], [(timedelta(0), "buy"), (31 * DAY, "nothing")])
@example(["customer.age == 40"], [(timedelta(0), "born"), (400 * DAY, "nothing")])
@example(["customer.age == 31"], [(timedelta(0), "nothing"), (timedelta(0), "born"), (400 * DAY, "nothing")])
@example(["customer.is_birthday_month"], [(timedelta(0), "born"), (timedelta(0), "moved"), (400 * DAY, "nothing")])
@example(["customer.recency == 3"], [(timedelta(0), "buy"), (91 * DAY, "nothing"), (90 * DAY, "nothing")])
def test_membership_follows_the_condition(sources: list[str], life: list[tuple[timedelta, str]]) -> None:
    """Membership is correct after every action, and after any time without events."""
    names = [f"s{number}" for number in range(len(sources))]
    ruleset = ruleset_of(
        *[flow_text(f"trigger: {{on: segment.entered, segment: {name}}}\nsteps: [{{send: {{message: a}}}}]", name=name) for name in names],
        segments="\n".join(f"{name}: '{source}'" for name, source in zip(names, sources, strict=True)),
    )  # fmt: skip
    run = Driver(ruleset, START)
    run.handle(OrderPlaced(order("o", run.now), run.now))
    for number, (span, what) in enumerate(life):
        run.advance(span)
        state = run.customers["c1"]
        context = EvalContext(UnitOfWork(ruleset, state, run.now), None)
        assert list(state.segments) == [name for name in names if ruleset.segments[name].holds(context)]
        assert len(state.instances) <= len(names)
        happen(run, what, number)
