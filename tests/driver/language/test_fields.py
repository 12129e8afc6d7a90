"""Fields of the customer: values, answers that are kept, and numbers that are counted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.model.events import OrderPlaced, SurveyAnswered
from streams.core.model.fields import LONGEST, as_number, as_stored, field_of, kept_fields
from streams.core.model.merge_events import CustomerMerged
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.ruleset import Limits
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, answer_survey, buy, flow_text, ruleset_of, run_of, sent

KEPT = """trigger: {on: survey.answered}
steps:
  - set: {name: nps, from: %s}
  - wait: 1d
  - split:
      - when: %s
        steps: [{send: {message: a}}]
      - otherwise: [{send: {message: b}}]
"""


@pytest.mark.parametrize(("score", "message"), [(9_500, "a"), (9_000, "a"), (8_999, "b"), (None, "b")])
def test_a_number_is_kept(score: int | None, message: str) -> None:
    """A numeric answer that a field keeps is compared as a number. A text counts as 0."""
    run = run_of(KEPT % ("event.number", "field.nps >= 9"), purpose="marketing")
    buy(run)
    run.handle(
        SurveyAnswered(
            customer_id="c1", send_id=None, question="nps", answer="", occurred_at=run.now, number_thousandths=score
        )
    )
    run.advance(2 * DAY)
    assert [name for name, _ in sent(run)] == [message]


def test_a_text_is_kept() -> None:
    """An answer that a field keeps is compared as a text, long after the event."""
    run = run_of(KEPT % ("event.answer", "field.nps == 'yes'"), purpose="marketing")
    buy(run)
    answer_survey(run, "yes")
    run.advance(2 * DAY)
    assert [name for name, _ in sent(run)] == ["a"]


def test_an_awaited_answer_is_kept() -> None:
    """Within `wait_for`, a field keeps what the awaited event says."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - wait_for:\n      event: survey.answered\n      up_to: 9d\n"
        "      then: [{set: {name: happy, from: event.answer}}]\n"
    )
    buy(run)
    answer_survey(run, "no")
    assert run.customers["c1"].fields == (("happy", "no"),)


@pytest.mark.parametrize(
    ("before", "after"), [("", "40"), ("{set: {name: points, value: silver}}", "40"), ("{set: {name: points, value: 2.5}}", "42.5")]
)  # fmt: skip
def test_numbers_are_added(before: str, after: str) -> None:
    """`add` adds to the number in a field and subtracts from it. A field without a number counts as 0."""
    body = (
        f"[{before}{', ' if before else ''}{{add: {{name: points, value: 50}}}}, {{add: {{name: points, value: -10}}}}]"
    )
    run = run_of(f"trigger: {{on: order.placed}}\nsteps: {body}")
    buy(run)
    assert run.customers["c1"].fields == (("points", after),)


@pytest.mark.parametrize(("total", "currency", "after"), [(249_95, "DKK", 249), (99, "DKK", 0), (100_00, "EUR", 746)])
def test_points_by_amount(total: int, currency: str, after: int) -> None:
    """`add` with `from` adds whole units of the shop's currency, rounded down, for as long as `expires` says."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{add: {name: points, from: order.value, expires: 10d}}]")
    buy(run, total_minor=total, currency=currency)
    assert points(run) == after
    run.advance(11 * DAY)
    assert points(run) == 0


@pytest.mark.parametrize(("answer", "after"), [(7_900, "17"), (-2_900, "8"), (0, "10"), (10**21, "999999999999999")])
def test_an_answer_is_added(answer: int, after: str) -> None:
    """A negative number from a name subtracts and does not expire. A number has 15 digits at most."""
    run = run_of(
        "trigger: {on: survey.answered}\nsteps:\n  - set: {name: points, value: 10}\n"
        "  - add: {name: points, from: event.number, expires: 9d}\n"
    )
    buy(run)
    event = SurveyAnswered(
        customer_id="c1", send_id=None, question="q", answer="", occurred_at=run.now, number_thousandths=answer
    )
    run.handle(event)
    assert field_of(UnitOfWork(run.ruleset, run.customers["c1"], run.now, run.now), "points") == after


def test_points_of_several_orders() -> None:
    """Each order adds its points, and another flow sees their sum."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - add: {name: points, value: 60}\n"
        "  - split: [{when: field.points >= 100, steps: [{send: {message: a}}]}]\n"
    )
    buy(run, "o1")
    assert sent(run) == []
    buy(run, "o2")
    assert [name for name, _ in sent(run)] == ["a"]


def test_points_expire() -> None:
    """Added points expire one by one, and those that expire first are spent first."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - add: {name: points, value: 30, expires: 10d}\n  - add: {name: points, value: 5}\n"
        "  - wait: 8d\n  - add: {name: points, value: -10}\n"
    )
    found = []
    for number in range(3):
        buy(run, f"o{number}")
        found.append(points(run))
        run.advance(4 * DAY)
    for _ in range(6):
        found.append(points(run))
        run.advance(4 * DAY)
    # Each order adds 35 and spends 10 after 8 days, of the amount that expires next. Two days later the rest of its 30 expires.
    assert found == [35, 70, 95, 65, 35, 15, 15, 15, 15]


def points(run: Driver) -> int:
    """The points of the customer now."""
    return int(as_number(field_of(UnitOfWork(run.ruleset, run.customers["c1"], run.now, run.now), "points")))


def test_a_segment_is_left_when_points_expire() -> None:
    """A flow on a segment starts at the end of the points that the segment needs, without another event."""
    texts = [
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{add: {name: points, value: 30, expires: 10d}}, {wait: 40d}, {emit: x}]"
        ),
        flow_text(
            "trigger: {on: segment.left, segment: rich}\nsteps: [{send: {message: a}}]", name="g", purpose="marketing"
        ),
    ]
    run = Driver(ruleset_of(*texts, segments="rich: field.points >= 20"))
    buy(run)
    run.advance(30 * DAY)
    assert sent(run) == [("a", 10)]


def test_fields_of_merged_customers() -> None:
    """The remaining id keeps its values and gets the other ones; the amounts with an end of both count."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - add: {name: points, value: 30, expires: 90d}\n  - add: {name: points, value: 5}\n"
        "  - set: {name: total, from: order.total}\n"
    )
    buy(run, total_minor=100_00)
    run.advance(DAY)
    run.handle(OrderPlaced(order("o2", run.now, customer_id="c2", total_minor=200_00), run.now))
    run.handle(CustomerMerged(customer_id="c2", into="c1", occurred_at=run.now))
    assert points(run) == 65
    assert dict(run.customers["c1"].fields)["total"] == "100"


def test_amounts_are_bounded() -> None:
    """Above the limit, the two amounts of a field that expire first are joined. Other fields stay, and no amount is lost."""
    limits = Limits(amounts=3, fields=2)
    amounts = {f"points@{1_800_000_000 + number}": "1" for number in range(9)}
    kept = dict(kept_fields(amounts | {"a": "x", "b": "y", "c": "z"}, limits))
    assert kept == {"a": "x", "b": "y", "points@1800000006": "7", "points@1800000007": "1", "points@1800000008": "1"}
    assert len(kept_fields({f"f{number}@1800000000": "1" for number in range(9)}, limits)) == 3


def test_a_draft_adds_nothing() -> None:
    """A draft logs the step only."""
    body = (
        "trigger: {on: order.placed}\nsteps: [{add: {name: points, value: 5}}, {set: {name: paid, from: order.total}}]"
    )
    run = Driver(ruleset_of(flow_text(body, status="draft")))
    buy(run)
    assert run.customers["c1"].fields == ()
    assert [outcome for _, outcome, _ in run.decisions()] == ["draft", "draft"]


@given(st.decimals(min_value=-(10**20), max_value=10**20, allow_nan=False) | st.integers() | st.text(max_size=300))
def test_what_is_stored_can_be_read(value: Decimal | int | str) -> None:
    """A number that is stored is read as the same number, with three decimals; a text is at most as long as a field."""
    stored = as_stored(value)
    assert len(stored) <= LONGEST
    if not isinstance(value, str):
        most = Decimal(10**15 - 1)
        expected = round(max(-most, min(Decimal(value), most)), 3)
        assert as_number(stored) == expected
