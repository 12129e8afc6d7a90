"""Waits: lengths, target times and awaited events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.core.handlers.wakeups import EARLY
from streams.core.model.effects import LogDecision, ScheduleTimer
from streams.core.model.events import (
    OrderLine,
    OrderPlaced,
    ProductBrowsed,
)
from streams.core.model.orders.order import ParcelDetails
from streams.core.rules.ruleset import Limits
from streams.core.sending.content import template_data
from tests.harness.driver import START, timer_fired
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    answer_survey,
    buy,
    open_email,
    run_of,
    sent,
)


@pytest.mark.parametrize(
    ("wait", "days"),
    [
        ("1mo", 31),  # 2 March, and the clock changes on 29 March: 10 o'clock stays 10 o'clock
        ("{months: 1, days: 1}", 32),
        ("2w", 14),
        ("36h", 1.5),
        ('{days: 1, at: "12:00"}', 1 + 2 / 24),
        ("{days: 5, not_on: [sat, sun]}", 7),
    ],
)
def test_lengths(wait: str, days: float) -> None:
    """Waits follow the calendar of the customer. START is Monday 2 March, 10:00 in Copenhagen."""
    run = run_of(f"trigger: {{on: order.placed}}\nsteps: [{{wait: {wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    run.advance(60 * DAY)
    ((_, found),) = sent(run)
    assert found == pytest.approx(days - (1 / 24 if days > 27 else 0), abs=0.001)


def test_delivery_window() -> None:
    """A wait ends one day before the delivery window, or after its length if the window is unknown."""
    wait = 'wait: {until: shipment.window_from, before: 1d, at: "11:00", days: 3}'
    run = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    run.handle(shipment("o1", "shipped", run.now))
    run.advance(10 * DAY)
    assert sent(run) == [("a", round(3 + 1 / 24, 3))]
    promised = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(promised)
    update = shipment("o1", "shipped", promised.now)
    promised.handle(
        type(update)(
            **{name: getattr(update, name) for name in update.__struct_fields__} | {"window_from": START + 6 * DAY}
        )
    )
    promised.advance(10 * DAY)
    assert sent(promised) == [("a", round(5 + 1 / 24, 3))]


@pytest.mark.parametrize(("promised", "moved", "found"), [(4, 6, 5), (6, 4, 3), (None, 5, 4), (6, 1, 2), (4, None, 3)])
def test_changed_delivery_window(promised: int | None, moved: int | None, found: int) -> None:
    """A changed delivery window moves the end of the wait, or ends it at once."""
    run = run_of(
        "trigger: {on: shipment.shipped}\nsteps:\n  - wait: {until: shipment.window_from, before: 1d, days: 7}\n  - send: {message: a}\n"
    )
    buy(run)
    for days, status in ((promised, "shipped"), (moved, "delayed")):
        update = replace(shipment("o1", status, run.now), window_from=None if days is None else START + days * DAY)
        run.handle(update, update)
        run.advance(2 * DAY)
    run.advance(9 * DAY)
    assert sent(run) == [("a", found)]
    moves = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "moment_moved"]
    assert len(moves) == (moved is not None)


@pytest.mark.parametrize(
    ("last_day", "found"), [("", 5), ("0001-01-01", 5), ("9999-12-31", 5), ("2026-03-10", 6), ("2026-03-03", 1)]
)
def test_last_day_to_collect(last_day: str, found: int) -> None:
    """A wait ends before the last day to collect a parcel, after its length if that is unknown or absurd, and soon if it is near."""
    wait = 'wait: {until: shipment.last_day, before: 2d, at: "10:00", days: 4}'
    run = run_of(
        f"trigger: {{on: shipment.ready_for_pickup, once_per: parcel}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]"
    )
    buy(run)
    run.advance(HOUR)
    update = shipment("o1", "ready_for_pickup", run.now)
    run.handle(replace(update, details=ParcelDetails(last_day=last_day)))
    run.advance(10 * DAY)
    assert sent(run) == [("a", found)]


def test_wait_for_after_a_delivery_window() -> None:
    """A wait_for that follows such a wait starts at its end: earlier events do not count."""
    run = run_of(
        "trigger: {on: shipment.shipped}\nsteps:\n  - wait: {until: shipment.window_from, days: 2}\n"
        "  - wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}\n"
    )
    buy(run)
    run.handle(shipment("o1", "shipped", run.now))
    answer_survey(run, "yes")
    run.advance(4 * DAY)
    assert sent(run) == []
    answer_survey(run, "yes")
    run.advance(9 * DAY)
    assert sent(run) == [("a", 4)]


def test_delivery_window_of_the_same_day() -> None:
    """A new delivery window that does not change the end of the wait needs no new timer."""
    wait = 'wait: {until: shipment.window_from, before: 1d, at: "06:00", days: 3}'
    run = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    for hour, status in ((4, "shipped"), (6, "delayed"), (6, "out_for_delivery")):
        run.handle(replace(shipment("o1", status, run.now), window_from=START + 3 * DAY + hour * HOUR))
    assert len([effect for effect in run.effects if isinstance(effect, ScheduleTimer)]) == 1
    rules = [effect.rule for effect in run.effects if isinstance(effect, LogDecision)]
    assert rules == ["moment_moved"]


def test_second_purchase_moves_the_wait() -> None:
    """A second purchase before the end of the wait moves it to when the newer pieces run out."""
    body = (
        "trigger: {on: order.placed, once_per: product, where: product.sku == 's1'}\n"
        "steps: [{wait: {until: product.runs_out, lasts: 30d}}, {send: {message: a}}]"
    )
    run = run_of(body)
    buy(run)
    run.advance(20 * DAY)
    buy(run, "o2")
    run.advance(100 * DAY)
    assert sent(run) == [("a", 40)]


def test_day_before_across_a_clock_change() -> None:
    """One day before is a calendar day, also in the night of a clock change."""
    run = run_of(
        "trigger: {on: shipment.shipped}\n"
        'steps: [{wait: {until: shipment.window_from, before: 1d, at: "09:30", days: 3}}, {send: {message: a}}]'
    )
    run.advance_to(datetime(2026, 10, 22, 9, tzinfo=UTC))
    buy(run)
    nine = datetime(2026, 10, 25, 8, tzinfo=UTC)
    run.handle(replace(shipment("o1", "shipped", run.now), window_from=nine, window_to=nine + 2 * HOUR))
    run.advance(5 * DAY)
    assert sent(run) == [("a", round((datetime(2026, 10, 24, 7, 30, tzinfo=UTC) - START) / DAY, 3))]


def test_late_at_the_end_of_the_window() -> None:
    """At the end of the delivery window the order is late."""
    run = run_of(
        "trigger: {on: shipment.shipped}\n"
        "steps: [{wait: {until: shipment.window_to}}, {split: [{when: order.is_late, steps: [{send: {message: a}}]}]}]"
    )
    buy(run)
    run.handle(replace(shipment("o1", "shipped", run.now), window_to=START + 2 * DAY))
    run.advance(5 * DAY)
    assert sent(run) == [("a", 2)]


def test_replenishment() -> None:
    """After one purchase the flow decides how long a product lasts, after two the rhythm of the customer."""
    body = (
        "trigger: {on: order.placed, once_per: product, again_after: 1d, where: product.sku == 's1'}\nexit_on: [order.placed]\n"
        "steps: [{wait: {until: product.runs_out, lasts: 30d, before: 5d}}, {send: {message: a}}]"
    )
    once = run_of(body)
    buy(once)
    once.advance(100 * DAY)
    assert sent(once) == [("a", 55)]
    twice = run_of(body)
    buy(twice)
    twice.advance(20 * DAY)
    buy(twice, "o2")
    twice.advance(100 * DAY)
    assert sent(twice) == [("a", 35)]


@pytest.mark.parametrize(
    ("orders", "day"),
    [
        ([(0, 1, 20)], 15),  # one order: as it says that a piece lasts
        ([(0, 3, 20)], 55),
        ([(0, 1, None)], 25.042),  # it says nothing: the flow's own; within the five days the clock changes
        ([(0, 2, 20), (10, 1, 20)], 10),  # two: two pieces in 10 days, so one lasts 5, and that is now
        ([(0, 100_000_000, 2**31 - 1)], 3645),  # numbers without measure lead to ten years
        ([(0, 2**31 - 1, None)], 3645),
    ],
)
def test_how_long_a_product_lasts(orders: list[tuple[int, int, int | None]], day: float) -> None:
    """The rhythm of the customer wins over the line of the order, and that over the flow. Large numbers are limited."""
    body = (
        "trigger: {on: order.placed, once_per: product, again_after: 1d, where: product.sku == 's1'}\nexit_on: [order.placed]\n"
        "steps: [{wait: {until: product.runs_out, lasts: 30d, before: 5d}}, {send: {message: a}}]"
    )
    run = run_of(body)
    for number, (at, pieces, lasts_days) in enumerate(orders):
        run.advance_to(START + at * DAY)
        lines = (
            OrderLine("s1", "Tea", "tea", pieces, 100, lasts_days),
            OrderLine("s2", "Cup", "cups", 1, 100, 7),
        )
        buy(run, f"o{number}", lines=lines)
    run.advance(4000 * DAY)
    assert sent(run)[-1] == ("a", day)


WAIT_FOR = """\
trigger: {on: order.placed}
steps:
  - send: {message: a}
  - wait_for:
      event: mail.opened
      up_to: 3d
      then: [{wait: 1d}, {send: {message: b}}]
      otherwise: [{send: {message: c}}]
"""


def test_wait_for() -> None:
    """The event in time takes `then`, the end of the time `otherwise`. Opens of other emails do not count."""
    run = run_of(WAIT_FOR)
    buy(run)
    run.advance(DAY)
    open_email(run, "e" * 32)
    open_email(run, run.mails()[0].send_id)
    open_email(run, run.mails()[0].send_id)
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("b", 2)]
    silent = run_of(WAIT_FOR)
    buy(silent)
    silent.advance(10 * DAY)
    open_email(silent, silent.mails()[0].send_id)
    assert sent(silent) == [("a", 0), ("c", 3)]
    assert silent.customers["c1"].instances == ()


def test_wait_before_wait_for() -> None:
    """An event before the wait_for does not count, and its time starts with it."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - wait: 2d\n"
        "  - wait_for: {event: survey.answered, up_to: 3d, where: event.answer == 'yes', "
        "then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}"
    )
    buy(run)
    run.advance(DAY)
    answer_survey(run, "yes")
    run.advance(2 * DAY)
    answer_survey(run, "no", question="q2")
    run.advance(10 * DAY)
    assert sent(run) == [("b", 5)]


def test_wait_for_own_parcel() -> None:
    """An instance of a parcel waits for the events of that parcel, an instance of an order for those of any."""
    wait = "wait_for: {event: shipment.delivered, up_to: 9d, then: [{wait: 1d}, {send: {message: a}}]}"
    for trigger, parcels in (("shipment.shipped, once_per: parcel", ["p2", "p1"]), ("order.placed", ["p2"])):
        run = run_of(f"trigger: {{on: {trigger}}}\nsteps: [{{{wait}}}]")
        buy(run)
        for parcel in ("p1", "p2"):
            run.handle(shipment("o1", "shipped", run.now, parcel, 2))
        for parcel in ("p2", "p1"):
            run.advance(2 * DAY)
            run.handle(shipment("o1", "delivered", run.now, parcel, 2))
        run.advance(9 * DAY)
        assert [template_data(mail.content)["shipment"]["parcel_id"] for mail in run.mails()] == parcels


def test_wait_for_newer_order() -> None:
    """A late event of an order that is older than the flow does not end the wait."""
    run = run_of(
        "trigger: {on: product.viewed}\nsteps: [{wait_for: {event: order.placed, up_to: 9d, then: [{send: {message: a}}]}}]"
    )
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=run.now))
    run.advance(DAY)
    run.handle(OrderPlaced(order("o1", START - DAY), START - DAY))
    assert run.mails() == []
    buy(run, "o2")
    assert len(run.mails()) == 1


def test_forgotten_order() -> None:
    """An instance whose order is no longer remembered ends with a decision, and uses no other order."""
    run = run_of(
        "trigger: {on: order.placed, where: order.total > 600}\n"
        "steps: [{wait_for: {event: order.placed, up_to: 9d, where: order.total < 600, then: [{send: {message: a}}]}}]",
        limits=Limits(orders=1, short_pieces=0),
    )
    buy(run, total_minor=90_000)
    buy(run, "o2", total_minor=90_000)
    buy(run, "o3")
    run.advance(9 * DAY)
    assert run.mails() == []
    assert run.decisions().count(("f", "limit", "orders")) == 2


def test_awaited_order_buys_the_product() -> None:
    """The order that ends the wait counts for `product.is_bought`."""
    run = run_of("""trigger: {on: product.viewed, once_per: product}
steps:
  - wait_for: {event: order.placed, up_to: 9d, then: [{split: [{when: product.is_bought, steps: [{send: {message: a}}]}]}]}""")
    for sku in ("s1", "s9"):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
    run.advance(DAY)
    buy(run)
    assert run.messages() == ["a"]


def test_weekdays() -> None:
    """A wait ends on the next weekday in `on`, at its time of day."""
    run = run_of('trigger: {on: order.placed}\nsteps: [{wait: {on: [thu, sun], at: "09:30"}}, {send: {message: a}}]')
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", round(3 - 0.5 / 24, 3))]  # it is ten o'clock in Copenhagen at the start


def test_a_timer_that_fires_early() -> None:
    """A timer that fires years or minutes early is scheduled again, however often that happens, and the email is sent in time."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]")
    buy(run)
    (timer,) = [effect for effect in run.effects if isinstance(effect, ScheduleTimer)]
    before = run.customers["c1"]
    for early in (2 * DAY, DAY, HOUR, EARLY + timedelta(seconds=1)):
        run.advance_to(timer.due_at - early)
        run.handle(timer_fired(timer, run.now))
        assert run.customers["c1"] is before
        assert run.effects[-1] == timer
    assert sent(run) == []
    run.advance(4 * DAY)
    assert sent(run) == [("a", 2)]


def test_a_timer_of_a_worker_with_another_clock() -> None:
    """A timer wakes its instance although this worker's clock is a few minutes behind that of the worker that fired it."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]")
    buy(run)
    (timer,) = [effect for effect in run.effects if isinstance(effect, ScheduleTimer)]
    run.advance_to(timer.due_at - EARLY)
    run.handle(timer_fired(timer, run.now))
    assert run.messages() == ["a"]
