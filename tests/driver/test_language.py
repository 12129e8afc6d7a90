"""Every word of the language, tried on the driver: what a flow that says so does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.customer import HELD_OUT
from streams.core.model.effects import CountSales, EmitSignal, IssueReward, LogDecision, ScheduleTimer, WithdrawMail
from streams.core.model.events import (
    ContactPressed,
    MailClicked,
    MailComplained,
    MailOpened,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    Unsubscribed,
)
from streams.core.model.ruleset import Limits, Ruleset
from streams.core.sending.content import template_data
from streams.core.values.buckets import bucket
from streams.definitions.language.rules import MOST_TOGETHER
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    answered,
    buy,
    flow_text,
    goodbye,
    opened,
    ruleset_of,
    run_of,
    sent,
    told,
)

SEND = "steps: [{send: {message: a}}]"


@pytest.mark.parametrize(
    ("on", "kind"),
    [("order.changed", OrderChanged), ("order.cancelled", OrderCancelled), ("order.refunded", OrderRefunded)],
)
def test_news_of_an_order_starts_a_flow(on: str, kind: type) -> None:
    """Changed, cancelled and refunded: once an order, whatever comes again."""
    run = run_of(f"trigger: {{on: {on}}}\n{SEND}")
    buy(run)
    assert sent(run) == []
    run.advance(DAY)
    for hours in (1, 2):
        run.handle(kind(order("o1", START, total_minor=100 * hours), START + DAY + hours * HOUR))
    assert sent(run) == [("a", 1)]


@pytest.mark.parametrize(
    ("trigger", "mails"),
    [
        ("{on: shipment.delayed, once_per: order}", 1),
        ("{on: shipment.delayed, once_per: order, which: last}", 1),
        ("{on: shipment.delayed, once_per: parcel}", 2),
        ("{on: shipment.delayed, once_per: customer}", 1),
        ("{on: shipment.delayed, once_per: product}", 2),
    ],
)
def test_parcels(trigger: str, mails: int) -> None:
    """The first, the last, each parcel, each product, or once a customer; nobody gets more for news that come twice."""
    run = run_of(f"trigger: {trigger}\n{SEND}")
    buy(run)
    for parcel in ("p1", "p2", "p1"):
        run.handle(shipment("o1", "delayed", run.now, parcel, 2))
        if "last" in trigger and parcel == "p1":
            assert len(run.mails()) in (0, 1)
    assert len(run.mails()) == mails


def test_the_last_parcel_is_waited_for() -> None:
    """`which: last` is silent until all parcels of the order have come so far."""
    run = run_of(f"trigger: {{on: shipment.shipped, which: last}}\n{SEND}")
    buy(run)
    run.handle(shipment("o1", "shipped", run.now, "p1", 2))
    assert run.mails() == []
    run.handle(shipment("o1", "shipped", run.now, "p2", 2))
    assert len(run.mails()) == 1


def test_once_a_customer_and_again_after_a_time() -> None:
    """Once per customer is once; `again_after` lets it begin again, not before."""
    once = run_of(f"trigger: {{on: order.placed, once_per: customer}}\n{SEND}")
    again = run_of(f"trigger: {{on: order.placed, once_per: customer, again_after: 90d}}\n{SEND}")
    for run in (once, again):
        for number, days in enumerate((0, 50, 50, 20)):
            run.advance(days * DAY)
            buy(run, f"o{number}")
    assert sent(once) == [("a", 0)]
    assert sent(again) == [("a", 0), ("a", 100)]


def test_what_the_condition_refuses_is_no_beginning() -> None:
    """`once_per` and `again_after` count the times that a flow began: an event for which `where` does not hold leaves the next one free."""
    for more in ("", ", again_after: 90d"):
        answer = run_of(f"trigger: {{on: survey.answered, where: event.question == 'happy'{more}}}\n{SEND}")
        told(answer, email="anna@example.com")
        for question in ("size", "happy", "happy", "size"):
            answer.advance(HOUR)
            answered(answer, "no", question=question)
        assert sent(answer) == [("a", round(2 / 24, 3))]
        large = run_of(f"trigger: {{on: order.placed, once_per: customer, where: order.total > 600{more}}}\n{SEND}")
        for number, total in enumerate((50_000, 90_000, 90_000, 50_000)):
            buy(large, f"o{number}", total_minor=total)
        assert len(large.mails()) == 1
        assert [rule for _, outcome, rule in large.decisions() if outcome == "skip"] == ["where"]


def test_once_is_once_however_much_comes_between() -> None:
    """More runs end than are remembered: what each order asks for again is not forgotten, and nobody is welcomed twice."""
    often = [
        flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: b}}]", name=f"f{number}")
        for number in range(9)
    ]
    once = flow_text(f"trigger: {{on: order.placed, once_per: customer}}\n{SEND}", name="welcome")
    product = flow_text("trigger: {on: order.placed, once_per: product}\nsteps: [{send: {message: c}}]", name="product")
    run = Driver(ruleset_of(*often, once, product))
    for number in range(40):
        buy(run, f"o{number}")
        run.advance(DAY)
    assert [run.messages().count(message) for message in ("a", "b", "c")] == [1, 9 * 40, 2]


def test_once_a_product() -> None:
    """Each product that the customer has not bought before starts it, with its own name."""
    run = run_of("trigger: {on: order.placed, once_per: product, where: product.category == 'cups'}\n" + SEND)
    buy(run)
    buy(run, "o2")
    assert len(run.mails()) == 1


def test_the_day_of_the_customer() -> None:
    """A birthday comes every year, 29 February too; who tells it late waits for the next; a new one moves it."""
    run = run_of(f"trigger: {{on: customer.birthday, before: 2d}}\n{SEND}", purpose="service")
    told(run, email="anna@example.com", name="Anna", country="DK", birthday=(START + 10 * DAY).date())
    run.advance(7 * DAY)
    assert run.mails() == []
    run.advance(2 * DAY)
    assert len(run.mails()) == 1
    run.advance(400 * DAY)
    assert len(run.mails()) == 2
    told(run, birthday=(START + 500 * DAY).date())
    run.advance(1200 * DAY)
    assert len(run.mails()) == 2 + 4


def test_a_day_that_begins_twice() -> None:
    """Who comes to another time zone on the day itself has had it: its midnight comes again, the day does not."""
    run = run_of(f"trigger: {{on: customer.birthday}}\n{SEND}")
    told(run, email="anna@example.com", country="DK", birthday=date(1990, 4, 10))
    run.advance_to(datetime(2026, 4, 9, 23, tzinfo=UTC))
    told(run, country="US")
    run.advance(300 * DAY)
    assert run.messages() == ["a"]
    run.advance(200 * DAY)
    assert run.messages() == ["a", "a"]


def test_a_day_whose_timer_is_late() -> None:
    """News of the customer that come between the day and its timer do not move it to next year."""
    run = run_of(f"trigger: {{on: customer.birthday}}\n{SEND}")
    told(run, email="anna@example.com", birthday=(START + 10 * DAY).date())
    (waiting,) = run.customers["c1"].instances
    run.now = waiting.due_at + HOUR  # the timers stood still
    told(run, name="Anna")
    run.advance(DAY)
    assert run.messages() == ["a"]


@pytest.mark.parametrize(("birthday", "age"), [(date(1976, 4, 10), 50), (date(1976, 2, 29), 51)])
def test_the_age_on_the_day_itself(birthday: date, age: int) -> None:
    """When the birthday's flow begins, at the customer's midnight, the customer is as old as on that day; 29 February counts on the 28th too."""
    run = run_of(f"trigger: {{on: customer.birthday, where: customer.age == {age}}}\n{SEND}")
    told(run, email="anna@example.com", name="Anna", country="DK", birthday=birthday)
    run.advance(364 * DAY)
    assert run.messages() == ["a"]


def test_the_anniversary_of_the_first_order() -> None:
    """A year after the first order, and every year."""
    run = run_of(f"trigger: {{on: customer.anniversary}}\n{SEND}")
    buy(run)
    run.advance(40 * DAY)
    buy(run, "o2")
    run.advance(700 * DAY)
    assert [round(days) for _, days in sent(run)] == [365, 731]


def test_a_cancelled_order_is_no_order() -> None:
    """Neither its day counts as that of the last or the first order, nor has it an anniversary; also where it is told before it was placed."""
    days = "{when: customer.days_since_%s_order == %d, steps: [{send: {message: %s}}]}"
    asked = ", ".join(days % each for each in (("last", 5, "a"), ("first", 10, "b"), ("last", 100_000, "c")))
    split = flow_text(f"trigger: {{on: survey.answered, again_after: 1h}}\nsteps: [{{split: [{asked}]}}]")
    year = flow_text(f"trigger: {{on: customer.anniversary}}\n{SEND}", name="year")

    def cancelled(run: Driver, order_id: str, placed_at: datetime) -> None:
        run.handle(OrderCancelled(order(order_id, placed_at), run.now))

    run = Driver(ruleset_of(split, year))
    buy(run, "o1")
    run.advance(5 * DAY)
    buy(run, "o2")
    run.advance(3 * DAY)
    cancelled(run, "o3", run.now)
    buy(run, "o3")
    run.advance(2 * DAY)
    answered(run, "x")
    assert run.messages() == ["a"]
    cancelled(run, "o2", START + 5 * DAY)
    run.advance(DAY)
    answered(run, "x")
    assert run.messages() == ["a"]  # eleven days since the first, which is the last
    cancelled(run, "o1", START)
    run.advance(DAY)
    answered(run, "x")
    assert run.messages() == ["a", "c"]
    run.advance(400 * DAY)
    assert run.messages() == ["a", "c"]
    assert run.customers["c1"].instances == ()
    first = Driver(ruleset_of(split, year))
    buy(first, "o1")
    first.advance(5 * DAY)
    buy(first, "o2")
    cancelled(first, "o1", START)
    first.advance(365 * DAY)
    assert sent(first) == [("a", round(370 - 10 / 24, 3))]


def test_segments_start_flows_when_they_are_entered_and_left() -> None:
    """Entered once by the second order; left when time is up, though nothing happens."""
    segments = "returning: customer.orders >= 2\nfresh: customer.days_since_last_order < 30"
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: segment.entered, segment: returning}}\n{SEND}"),
        flow_text("trigger: {on: segment.left, segment: fresh}\nsteps: [{send: {message: b}}]", name="g"),
        segments=segments,
    )
    run = Driver(ruleset)
    buy(run)
    assert run.messages() == []
    buy(run, "o2")
    assert run.messages() == ["a"]
    run.advance(40 * DAY)
    assert sent(run) == [("a", 0), ("b", 30)]
    assert run.customers["c1"].segments == ("returning",)
    assert run.customers["c1"].instances == ()


def test_time_alone_leads_into_a_segment() -> None:
    """Who has not bought for so long is won back on that very day, again after the next long pause, and not while buying."""
    flow = flow_text(f"trigger: {{on: segment.entered, segment: lapsed, again_after: 30d}}\n{SEND}")
    run = Driver(ruleset_of(flow, segments="lapsed: customer.orders > 0 and customer.days_since_last_order > 365"))
    buy(run)
    run.advance(100 * DAY)
    buy(run, "o2")
    run.advance(400 * DAY)
    assert sent(run) == [("a", 100 + 366)]
    buy(run, "o3")
    run.advance(2000 * DAY)
    assert sent(run) == [("a", 466), ("a", 500 + 366)]
    assert run.customers["c1"].instances == ()


def test_days_that_are_counted_are_as_long_as_those_that_are_waited() -> None:
    """Where a day lasts a second, so do the days since something: of an order, of a visit, and of what time alone leads to."""
    scale = 1 / 86_400
    second = timedelta(seconds=1)
    flows = [
        flow_text(f"trigger: {{on: segment.entered, segment: lapsed}}\n{SEND}"),
        flow_text(
            "trigger: {on: order.placed}\ngoal: customer.days_since_visit < 3\nsteps: [{wait: 10d}, {send: {message: b}}]",
            name="g",
        ),
    ]
    run = Driver(
        ruleset_of(
            *flows, segments="lapsed: customer.orders > 0 and customer.days_since_last_order > 365", day_scale=scale
        )
    )
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
    run.advance(5 * second)
    buy(run)
    run.advance(11 * second)
    assert run.messages() == ["b"]
    run.advance(400 * second)
    decided = [one.decided_at - START for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"]
    assert [(message, round(at / second)) for message, at in zip(run.messages(), decided, strict=True)] == [
        ("b", 15),
        ("a", 371),
    ]


def test_looking_takes_one_timer_however_much_happens() -> None:
    """Who visits every day has one timer for the day on which the visits would be too long ago: it looks, and waits anew."""
    flow = flow_text(f"trigger: {{on: segment.left, segment: browsing}}\n{SEND}")
    run = Driver(ruleset_of(flow, segments="browsing: customer.days_since_visit <= 14"))
    buy(run)
    for _ in range(60):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
        run.advance(DAY)
    assert len([one for one in run.effects if isinstance(one, ScheduleTimer)]) == 5
    run.advance(90 * DAY)
    assert sent(run) == [("a", 59 + 15)]


def test_one_flow_too_many_does_not_look() -> None:
    """With as many runs as are remembered there is no room for one that looks, and a decision says so."""
    flows = [flow_text("trigger: {on: order.placed}\nsteps: [{wait: 5d}, {send: {message: a}}]", name="g")]
    flows.append(flow_text(f"trigger: {{on: segment.entered, segment: lapsed}}\n{SEND}"))
    segments = "lapsed: customer.days_since_last_order == 9"
    run = Driver(ruleset_of(*flows, segments=segments, limits=Limits(instances=1)))
    buy(run)
    limits = [one.flow for one in run.effects if isinstance(one, LogDecision) and one.rule == "instances"]
    assert limits == ["f"]
    run.advance(8 * DAY)
    assert [one.flow for one in run.customers["c1"].instances] == ["f"]


def test_a_complete_profile_starts_a_flow_once() -> None:
    """When all that a shop asks for is known, not before."""
    run = run_of(f"trigger: {{on: profile.completed}}\n{SEND}")
    told(run, email="anna@example.com", name="Anna")
    told(run, country="DK")
    assert run.mails() == []
    told(run, birthday=START.date())
    told(run, name="Anna Holm")
    assert len(run.mails()) == 1


def test_an_order_completes_a_profile() -> None:
    """Who told the birthday before has told all with the first order, which brings address, name and country."""
    run = run_of(f"trigger: {{on: profile.completed}}\n{SEND}")
    told(run, birthday=START.date())
    buy(run)
    buy(run, "o2")
    assert run.messages() == ["a"]


def test_viewed_and_not_bought() -> None:
    """A day after a product was looked at, unless it was bought since; once a product, again after its time."""
    run = run_of(
        "trigger: {on: product.viewed, again_after: 30d}\n"
        "steps:\n  - wait: 1d\n  - split: [{when: not product.is_bought, steps: [{send: {message: a}}]}]"
    )
    told(run, email="anna@example.com")
    for _ in range(2):
        for sku in ("s1", "s9"):
            run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
        run.advance(timedelta(hours=5))
        buy(run, f"o{run.now:%d%H}")  # of s1 and s2
    run.advance(3 * DAY)
    assert [mail.instance_id for mail in run.mails()] == [run.mails()[0].instance_id]
    run.advance(40 * DAY)
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=run.now))
    run.advance(60 * DAY)
    assert len(run.mails()) == 2


def test_what_where_refuses_at_one_moment_is_told_of_each() -> None:
    """Two orders of one product at one moment are two decisions, each with an id of its own."""
    run = run_of(f"trigger: {{on: order.placed, once_per: product, where: order.total > 900}}\n{SEND}")
    tea = (OrderLine("s1", "Tea", "tea", 1, 100_00),)
    buy(run, "o1", lines=tea)
    buy(run, "o2", lines=tea)
    refused = [one for one in run.effects if isinstance(one, LogDecision) and one.rule == "where"]
    assert [one.order_id for one in refused] == ["o1", "o2"]
    assert len({one.decision_id for one in refused}) == 2


def test_a_long_title_is_bought_once() -> None:
    """Its own order is no other one, also where not all of its lines is remembered."""
    run = run_of(
        "trigger: {on: order.placed, once_per: product}\ngoal: product.is_bought\nsteps: [{wait: 1d}, {send: {message: a}}]"
    )
    buy(run, lines=(OrderLine("s1", "Tea " * 50, "tea", 1, 100),))
    run.advance(DAY)
    assert run.messages() == ["a"]


def test_an_answer_is_branched_on() -> None:
    """A survey's answer starts a flow, and its words can be asked for after a wait too."""
    run = run_of(
        "trigger: {on: survey.answered, where: event.question == 'happy'}\n"
        "steps:\n  - wait: 1d\n  - split:\n      - when: event.answer == 'no'\n        steps: [{send: {message: a}}]\n"
        "      - otherwise: [{send: {message: b}}]"
    )
    told(run, email="anna@example.com")
    answered(run, "no")
    answered(run, "yes", question="other")
    run.advance(2 * DAY)
    assert run.messages() == ["a"]


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
def test_waits(wait: str, days: float) -> None:
    """Spans of the calendar: START is Monday 2 March, 10 o'clock in Copenhagen."""
    run = run_of(f"trigger: {{on: order.placed}}\nsteps: [{{wait: {wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    run.advance(60 * DAY)
    ((_, found),) = sent(run)
    assert found == pytest.approx(days - (1 / 24 if days > 27 else 0), abs=0.001)


def test_waiting_for_the_promised_day() -> None:
    """One day before the promised window, at ten; without a promise the span given."""
    wait = 'wait: {until: shipment.window_from, before: 1d, at: "11:00", days: 3}'
    run = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    run.handle(shipment("o1", "shipped", run.now))
    run.advance(10 * DAY)
    assert sent(run) == [("a", round(3 + 1 / 24, 3))]
    promised = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(promised)
    news = shipment("o1", "shipped", promised.now)
    promised.handle(
        type(news)(**{name: getattr(news, name) for name in news.__struct_fields__} | {"window_from": START + 6 * DAY})
    )
    promised.advance(10 * DAY)
    assert sent(promised) == [("a", round(5 + 1 / 24, 3))]


@pytest.mark.parametrize(("promised", "moved", "found"), [(4, 6, 5), (6, 4, 3), (None, 5, 4), (6, 1, 2), (4, None, 3)])
def test_the_promised_day_is_moved(promised: int | None, moved: int | None, found: int) -> None:
    """Later, earlier, or told only now: the mail goes a day before the day that is promised in the end; at once if that has come."""
    run = run_of(
        "trigger: {on: shipment.shipped}\nsteps:\n  - wait: {until: shipment.window_from, before: 1d, days: 7}\n  - send: {message: a}\n"
    )
    buy(run)
    for days, status in ((promised, "shipped"), (moved, "delayed")):
        news = replace(shipment("o1", status, run.now), window_from=None if days is None else START + days * DAY)
        run.handle(news, news)
        run.advance(2 * DAY)
    run.advance(9 * DAY)
    assert sent(run) == [("a", found)]
    moves = [one for one in run.effects if isinstance(one, LogDecision) and one.rule == "moment_moved"]
    assert len(moves) == (moved is not None)


def test_what_is_waited_for_behind_a_moment() -> None:
    """A wait_for that comes after such a wait begins when the moment has come: it neither hears what was before, nor is over already."""
    run = run_of(
        "trigger: {on: shipment.shipped}\nsteps:\n  - wait: {until: shipment.window_from, days: 2}\n"
        "  - wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}\n"
    )
    buy(run)
    run.handle(shipment("o1", "shipped", run.now))
    answered(run, "yes")
    run.advance(4 * DAY)
    assert sent(run) == []
    answered(run, "yes")
    run.advance(9 * DAY)
    assert sent(run) == [("a", 4)]


def test_a_promise_that_comes_to_the_same_orders_no_timer() -> None:
    """Another hour of the same day leads to the same moment: it is noted, and the timer stays."""
    wait = 'wait: {until: shipment.window_from, before: 1d, at: "06:00", days: 3}'
    run = run_of(f"trigger: {{on: shipment.shipped}}\nsteps: [{{{wait}}}, {{send: {{message: a}}}}]")
    buy(run)
    for hour, status in ((4, "shipped"), (6, "delayed"), (6, "out_for_delivery")):
        run.handle(replace(shipment("o1", status, run.now), window_from=START + 3 * DAY + hour * HOUR))
    assert len([one for one in run.effects if isinstance(one, ScheduleTimer)]) == 1
    rules = [one.rule for one in run.effects if isinstance(one, LogDecision)]
    assert rules == ["moment_moved"]


def test_what_is_bought_again_runs_out_later() -> None:
    """Whoever buys before the mail is reminded when the newer pieces run out, by the rhythm that two orders tell."""
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


def test_a_day_before_is_a_day_of_the_calendar() -> None:
    """The night before 25 October is an hour longer: a day before nine is nine all the same, and half past nine is still of that day."""
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


def test_late_from_the_end_of_the_window() -> None:
    """Who waits for the end of the promised window finds the order late then, however punctual the timer is."""
    run = run_of(
        "trigger: {on: shipment.shipped}\n"
        "steps: [{wait: {until: shipment.window_to}}, {split: [{when: order.is_late, steps: [{send: {message: a}}]}]}]"
    )
    buy(run)
    run.handle(replace(shipment("o1", "shipped", run.now), window_to=START + 2 * DAY))
    run.advance(5 * DAY)
    assert sent(run) == [("a", 2)]


@pytest.mark.parametrize("status", ["shipped", "out_for_delivery", "delayed"])
def test_news_of_the_way_that_come_after_the_parcel(status: Any) -> None:
    """Told late, they start nothing: the parcel is there already."""
    run = run_of(f"trigger: {{on: shipment.{status}, once_per: parcel}}\n{SEND}")
    buy(run)
    run.handle(shipment("o1", "delivered", START + DAY), shipment("o1", status, START))
    assert run.decisions() == [("f", "skip", "already_delivered")]
    run.handle(shipment("o1", status, START, "p2"))
    assert len(run.mails()) == 1


def test_replenishment_follows_the_customers_own_rhythm() -> None:
    """One purchase: the product's own time. Two: theirs: two pieces lasted 20 days, so the next two last as long."""
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
    """The customer's own rhythm, else what the newest order's line says, else the flow's; five days before."""
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


def test_waiting_for_an_event() -> None:
    """Opened in time: that way, counted from the event. Not: the other way when the time is up. A foreign mail is nobody's event."""
    run = run_of(WAIT_FOR)
    buy(run)
    run.advance(DAY)
    opened(run, "e" * 32)
    opened(run, run.mails()[0].send_id)
    opened(run, run.mails()[0].send_id)
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("b", 2)]
    silent = run_of(WAIT_FOR)
    buy(silent)
    silent.advance(10 * DAY)
    opened(silent, silent.mails()[0].send_id)
    assert sent(silent) == [("a", 0), ("c", 3)]
    assert silent.customers["c1"].instances == ()


def test_a_wait_before_a_wait_for_is_not_its_end() -> None:
    """What comes before the flow waits for it is not what it waits for, and the time limit counts from there."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n  - wait: 2d\n"
        "  - wait_for: {event: survey.answered, up_to: 3d, where: event.answer == 'yes', "
        "then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}"
    )
    buy(run)
    run.advance(DAY)
    answered(run, "yes")
    run.advance(2 * DAY)
    answered(run, "no", question="q2")
    run.advance(10 * DAY)
    assert sent(run) == [("b", 5)]


def test_each_parcel_waits_for_its_own_news() -> None:
    """A run for each parcel goes on with that parcel's; one for the order with that of any, which its mails then speak of."""
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


def test_each_parcel_ends_its_own_run() -> None:
    """A parcel that goes back ends the run for it; one for the order ends with any."""
    for trigger, parcels in (("shipment.shipped, once_per: parcel", ["p1"]), ("shipment.shipped", [])):
        run = run_of(
            f"trigger: {{on: {trigger}}}\nexit_on: [shipment.returned]\nsteps: [{{wait: 2d}}, {{send: {{message: a}}}}]"
        )
        buy(run)
        for parcel in ("p1", "p2"):
            run.handle(shipment("o1", "shipped", run.now, parcel, 2))
        run.advance(DAY)
        run.handle(shipment("o1", "returned", run.now, "p2", 2))
        run.advance(2 * DAY)
        assert [template_data(mail.content)["shipment"]["parcel_id"] for mail in run.mails()] == parcels


def test_an_order_of_before_the_flow_is_not_waited_for() -> None:
    """One that is told late was placed before the product was looked at; the next ends the wait."""
    run = run_of(
        "trigger: {on: product.viewed}\nsteps: [{wait_for: {event: order.placed, up_to: 9d, then: [{send: {message: a}}]}}]"
    )
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=run.now))
    run.advance(DAY)
    run.handle(OrderPlaced(order("o1", START - DAY), START - DAY))
    assert run.mails() == []
    buy(run, "o2")
    assert len(run.mails()) == 1


def test_a_forgotten_order_is_not_another() -> None:
    """A run whose order had to make room says so when its time is up, and goes on with no other order."""
    run = run_of(
        "trigger: {on: order.placed, where: order.total > 600}\n"
        "steps: [{wait_for: {event: order.placed, up_to: 9d, where: order.total < 600, then: [{send: {message: a}}]}}]",
        limits=Limits(orders=1),
    )
    buy(run, total_minor=90_000)
    buy(run, "o2", total_minor=90_000)
    buy(run, "o3")
    run.advance(9 * DAY)
    assert run.mails() == []
    assert run.decisions().count(("f", "limit", "orders")) == 2


def test_experiments_share_out_and_hold_out() -> None:
    """Each customer always falls the same way; the shares come near what was asked; who is held out gets nothing and is followed."""
    body = (
        "trigger: {on: order.placed}\nsteps:\n  - experiment:\n      name: subject\n      holdout: 20\n      arms:\n"
        "        - {name: plain, percent: 75, steps: [{send: {message: a}}]}\n"
        "        - {name: warm, percent: 25, steps: [{send: {message: b}}]}\n"
    )
    run = run_of(body, purpose="marketing")
    for number in range(1000):
        for time in range(2):
            run.handle(OrderPlaced(order(f"o{number}-{time}", run.now, customer_id=f"c{number}"), run.now))
    got = {name: run.messages(name) for name in run.customers}
    assert all(len(messages) in (0, 2) and len(set(messages)) < 2 for messages in got.values())
    counts = [sum(found[:1] == [kind] for found in got.values()) for kind in ("a", "b")]
    held = sum(not found for found in got.values())
    assert 160 < held < 240
    assert 540 < counts[0] < 660
    assert 160 < counts[1] < 240
    assert {one.outcome for one in run.customers[next(name for name, found in got.items() if not found)].sends} == {
        HELD_OUT
    }


def _held_out(body: str, **settings: object) -> tuple[Driver, str]:
    """A run, and a customer held out of a share of half."""
    run = run_of(body, purpose="marketing", **settings)
    for number in range(20):
        run.handle(OrderPlaced(order(f"o{number}", run.now, customer_id=f"c{number}"), run.now))
    held = [name for name, state in run.customers.items() if any(sent.outcome == HELD_OUT for sent in state.sends)]
    assert 0 < len(held) < 20
    assert all(not run.messages(name) for name in held)
    return run, held[0]


@pytest.mark.parametrize("body", ["holdout: 50\n" + SEND, "steps: [{send: {message: a, holdout: 50}}]", SEND])
def test_holdouts_get_nothing_and_are_compared(body: str) -> None:
    """Of a flow, of a send, of all mails: what they buy is told as `ordered_held_out`, beside what the others buy after a click."""
    rules = "holdout: 50" if body == SEND else ""
    run, name = _held_out("trigger: {on: order.placed}\n" + body, rules=rules)
    run.advance(DAY)
    run.handle(OrderPlaced(order("again", run.now, customer_id=name), run.now))
    assert [(one.kind, one.order_id, one.flow) for one in run.attributions()] == [("ordered_held_out", "again", "f")]


EFFECTS = """\
trigger: {on: order.placed}
steps:
  - set: {name: loyalty, value: gold}
  - add_to_list: testers
  - reward: {name: welcome-10, expires: 30d}
  - emit: call-them
  - split:
      - when: field.loyalty == 'gold' and 'testers' in customer.lists
        steps: [{send: {message: a}}]
  - remove_from_list: testers
  - set: {name: loyalty, value: ''}
"""


def test_effects() -> None:
    """A field, a list, a reward that the next mail shows, a signal; and conditions that ask for them. A draft does none of it."""
    run = run_of(EFFECTS)
    buy(run)
    (reward,) = [one for one in run.effects if isinstance(one, IssueReward)]
    (signal,) = [one for one in run.effects if isinstance(one, EmitSignal)]
    (mail,) = run.mails()
    assert (reward.name, reward.expires_at - reward.issued_at, signal.kind) == ("welcome-10", 30 * DAY, "call-them")
    assert template_data(mail.content)["reward"] == {"code": reward.code}
    assert len(reward.code) == 12
    keyed = Driver(ruleset_of(flow_text(EFFECTS), reward_key=b"the shop's own"))
    buy(keyed)
    assert [one.code for one in keyed.effects if isinstance(one, IssueReward)] != [reward.code]
    assert (run.customers["c1"].fields, run.customers["c1"].lists) == ((), ())
    draft = Driver(ruleset_of(flow_text(EFFECTS, status="draft")))
    buy(draft)
    assert {type(one) for one in draft.effects} == {LogDecision}


CAPPED = "caps: [{most: 1, per: 7d}]"


def _rivals(*steps: str, rules: str = CAPPED) -> Driver:
    """Flows f0, f1… on an order, each with the steps given."""
    texts = [
        flow_text("trigger: {on: order.placed}\nsteps: " + one, name=f"f{n}", purpose="marketing")
        for n, one in enumerate(steps)
    ]
    return Driver(ruleset_of(*texts, rules=rules))


def test_a_full_cap_puts_off_and_the_more_urgent_goes_first() -> None:
    """One mail a week: the others wait for a place; priority decides who gets it, and who expires first is told so and dropped."""
    run = _rivals(
        "[{send: {message: a, priority: 50, expires: 30d}}]",
        "[{send: {message: b, priority: 10, expires: 30d}}]",
        "[{send: {message: c, priority: 90, expires: 30d}}]",
        "[{send: {message: a, priority: 40, expires: 3d}}]",
    )
    buy(run)
    run.advance(40 * DAY)
    assert sent(run) == [("c", 0), ("a", 7), ("b", 14)]
    assert ("f3", "skip", "cap") in run.decisions()
    assert {("f0", "defer", "cap"), ("f1", "defer", "cap")} <= set(run.decisions())


@pytest.mark.parametrize(("purpose", "days"), [("marketing", 2), ("review", 1)])
def test_of_two_that_fall_due_together_the_more_urgent_goes_first(purpose: str, days: int) -> None:
    """Whichever timer comes first; but one that nobody agreed to holds no place."""
    urgent = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: %s, priority: %d}}]"
    flows = [("a", 10, "marketing"), ("b", 90, purpose), ("c", 5, "marketing")]
    ruleset = ruleset_of(
        *[flow_text(urgent % (text, rank), name=text, purpose=kind) for text, rank, kind in flows],
        rules="caps: [{most: 1, per: 1d}]",
    )
    run = Driver(ruleset)
    buy(run, country="DE")  # where reviews need a yes of their own
    run.advance(9 * DAY)
    assert sent(run) == ([("b", 1)] if days == 2 else []) + [("a", days), ("c", days + 1)]


def test_the_more_urgent_of_one_moment_goes_first() -> None:
    """At ten both are due for the first time, and whose timer comes first is chance: the urgent one goes, and if it may not, the other does."""
    head = 'trigger: {on: order.placed}\nsteps: [{wait: {days: 1, at: "10:00"}}, {send: {message: %s, priority: %s, expires: 2d}}]'
    for number in range(8):
        low = flow_text(head % ("a", 10), name=f"low{number}", purpose="marketing")
        for purpose, mails in (("marketing", [("b", 1)]), ("survey", [("a", 1.001)])):
            run = Driver(ruleset_of(low, flow_text(head % ("b", 90), name="high", purpose=purpose), rules=CAPPED))
            told(run, survey_consent=False)
            buy(run)
            run.advance(9 * DAY)
            assert [(message, at) for message, at in sent(run)] in (mails, [(mails[0][0], 1)])


def test_what_is_owed_is_never_capped_and_does_not_count() -> None:
    """Three receipts and a mail for marketing on one day, under a cap of one."""
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="owed"),
        flow_text(
            "trigger: {on: order.placed, once_per: customer}\nsteps: [{wait: 1h}, {send: {message: b}}]",
            name="more",
            purpose="marketing",
        ),
        rules=CAPPED,
    )
    run = Driver(ruleset)
    for number in range(3):
        buy(run, f"o{number}")
    run.advance(DAY)
    assert run.messages() == ["a", "a", "a", "b"]


def test_a_cap_counts_on_behind_many_receipts() -> None:
    """More mails that are owed than are remembered: what the cap counts is not forgotten for them."""
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="owed"),
        flow_text(
            "trigger: {on: order.placed, once_per: customer, again_after: 1h}\nsteps: [{send: {message: b, expires: 1h}}]",
            name="more",
            purpose="marketing",
        ),
        rules="caps: [{most: 2, per: 30d}]",
    )
    run = Driver(ruleset)
    for number in range(60):
        buy(run, f"o{number}")
        run.advance(12 * HOUR)
    assert [at for message, at in sent(run) if message == "b"] == [0, 0.5]
    assert len(run.customers["c1"].sends) == ruleset.limits.sends > MOST_TOGETHER


def test_quiet_hours_are_the_customers_own() -> None:
    """Due at four in the night: at eight. In Tokyo four in Copenhagen is noon."""
    rules = 'quiet_hours: {from: "21:00", to: "08:00"}'
    for zone, hours in (("Europe/Copenhagen", 22), ("Asia/Tokyo", 18)):
        run = run_of(
            "trigger: {on: order.placed}\nsteps: [{wait: 18h}, {send: {message: a}}]", purpose="marketing", rules=rules
        )
        buy(run, time_zone=zone)
        run.advance(3 * DAY)
        assert sent(run) == [("a", round(hours / 24, 3))]


def test_no_pestering_while_an_order_is_late_or_was_refunded() -> None:
    """Put off day by day until the parcel has come; until the time after a refund is over."""
    rules = "calm: {while_late: true, after_refund: 5d}"
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 20d}}]",
        purpose="marketing",
        rules=rules,
    )
    buy(run)
    run.handle(shipment("o1", "delayed", run.now))
    run.advance(4 * DAY + HOUR)
    assert run.mails() == []
    run.handle(shipment("o1", "delivered", run.now))
    run.advance(DAY)
    assert sent(run) == [("a", 5)]
    buy(run, "o2")
    run.handle(OrderRefunded(order("o1", START), run.now))
    run.advance(10 * DAY)
    assert [round(days, 2) for _, days in sent(run)] == [5, round(5 + 1 / 24 + 5, 2)]


@pytest.mark.parametrize("day", [DAY, timedelta(minutes=1)])
def test_a_parcel_is_not_late_for_ever(day: timedelta) -> None:
    """A carrier that never tells of the delivery keeps the customer's mails back for two weeks, not for good, however long a day is."""
    body = "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 60d}}]"
    run = run_of(body, purpose="marketing", rules="calm: {while_late: true}", day_scale=day / DAY)
    buy(run)
    run.handle(shipment("o1", "delayed", run.now))
    run.advance(40 * day)
    ((_, _, rule),) = [one for one in run.decisions() if one[1] == "send"]
    assert rule == "soft_opt_in"
    (at,) = [one.decided_at for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"]
    assert (at - START) / day == pytest.approx(14, abs=0.01)


def test_a_clash_waits_for_the_other_flow() -> None:
    """While a named flow runs, the mails of this one wait; the same event may have started both."""
    offer = "trigger: {on: order.placed}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 9d}}]"
    welcome = "trigger: {on: order.placed}\nsteps: [{wait: 3d}, {send: {message: a}}]"
    run = Driver(
        ruleset_of(
            flow_text(offer, name="offer", purpose="marketing"), flow_text(welcome, name="welcome", purpose="marketing")
        )
    )
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == ["a", "b"]
    assert ("offer", "defer", "clash") in run.decisions()


def test_a_draft_holds_nobody_back() -> None:
    """It changes nothing that customers get: flows that keep clear of it do not wait for its runs."""
    draft = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 3d}, {send: {message: a}}]", "welcome", "draft")
    offer = f"trigger: {{on: order.placed}}\nnot_with: [welcome]\n{SEND}"
    run = Driver(ruleset_of(draft, flow_text(offer, name="offer", purpose="marketing")))
    buy(run)
    assert sent(run) == [("a", 0)]


@pytest.mark.parametrize(("lasts", "messages"), [("11h", ["a", "b"]), ("13h", ["a"])])
def test_what_has_to_wait_is_lost_only_when_it_expires(lasts: str, messages: list[str]) -> None:
    """A mail that may wait for less than a day is looked at once more before it expires."""
    offer = "trigger: {on: order.placed}\nnot_with: [welcome]\nsteps: [{send: {message: b, expires: 12h}}]"
    welcome = f"trigger: {{on: order.placed}}\nsteps: [{{wait: {lasts}}}, {{send: {{message: a}}}}]"
    run = Driver(
        ruleset_of(
            flow_text(offer, name="offer", purpose="marketing"), flow_text(welcome, name="welcome", purpose="marketing")
        )
    )
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == messages
    assert (("offer", "skip", "clash") in run.decisions()) is (lasts == "13h")


def test_not_before_a_day() -> None:
    """The campaign's first day, at the customer's midnight; what is owed waits for it too."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{send: {message: a, not_before: 2026-03-05, expires: 9d}}]")
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", round(3 - 10 / 24, 3))]


def test_a_mail_expires_after_its_first_day() -> None:
    """It is not due before the day that it may not go before, so the days before count for nothing: nor does it hold a place against others then."""
    send = "{send: {message: %s, not_before: 2026-04-01, expires: 2d, priority: %d}}"
    run = _rivals(
        f"[{send % ('a', 90)}]", f"[{send % ('b', 50)}]", "[{send: {message: c, expires: 40d, priority: 60}}]",
        rules="caps: [{most: 1, per: 1d}]",
    )  # fmt: skip
    buy(run)
    run.advance(60 * DAY)
    first = round(30 - 11 / 24, 3)  # by then the clock has changed
    assert sent(run) == [("c", 0), ("a", first), ("b", first + 1)]


def test_who_unsubscribes_meanwhile_gets_nothing_that_was_put_off() -> None:
    """A mail that waits for a place is decided again by all rules."""
    run = _rivals("[{send: {message: a, expires: 30d}}]", "[{send: {message: b, expires: 30d}}]")
    buy(run)
    run.advance(DAY)
    goodbye(run)
    run.advance(20 * DAY)
    assert run.messages() == ["a"]
    assert ("f1", "skip", "unsubscribed") in run.decisions()


@pytest.mark.parametrize(("scope", "messages"), [("review", ["a", "c"]), ("survey", ["a", "b"]), ("marketing", [])])
def test_unsubscribing_ends_what_it_is_about(scope: Any, messages: list[str]) -> None:
    """From marketing: every flow that ends with it. From reviews or surveys: those, and no condition calls the customer unsubscribed."""
    body = (
        "trigger: {on: order.placed, where: not customer.is_unsubscribed}\nexit_on: [customer.unsubscribed]\n"
        "steps: [{wait: 1d}, {send: {message: %s}}]"
    )
    told_before = Driver(_world_of_purposes(body))
    told_before.handle(Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=told_before.now))
    buy(told_before)
    told_meanwhile = Driver(_world_of_purposes(body))
    buy(told_meanwhile)
    told_meanwhile.handle(Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=told_meanwhile.now))
    for run in (told_before, told_meanwhile):
        run.advance(2 * DAY)
        assert sorted(run.messages()) == messages


def _world_of_purposes(body: str) -> Ruleset:
    """The flow once for each of three purposes; its message is a for marketing, b for reviews and c for surveys."""
    purposes = {"a": "marketing", "b": "review", "c": "survey"}
    return ruleset_of(
        *[flow_text(body % message, name=purpose, purpose=purpose) for message, purpose in purposes.items()]
    )


def test_a_click_starts_a_flow() -> None:
    """Of a human, on a mail that Takk sent; a scanner's starts none."""
    run = Driver(
        ruleset_of(
            flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="first"),
            flow_text(
                "trigger: {on: mail.clicked, where: event.flow == 'first'}\nsteps: [{send: {message: b}}]",
                name="second",
            ),
        )
    )
    buy(run)
    send_id = run.mails()[0].send_id
    for agent in ("scanner", "human", "human"):
        run.advance(timedelta(minutes=1))
        run.handle(
            MailClicked(customer_id="c1", send_id=send_id, link="https://x.example", agent=agent, occurred_at=run.now)
        )
        assert len(run.mails()) == (1 if agent == "scanner" else 2)


@pytest.mark.parametrize(("agent", "days"), [("human", 1), ("privacy_proxy", 100_000), ("scanner", 100_000)])
def test_who_opens_is_a_human(agent: Any, days: int) -> None:
    """What a machine fetched nobody has read: days since an open count from a human's."""
    run = run_of(
        "trigger: {on: order.placed, once_per: customer}\n"
        "steps:\n  - send: {message: a}\n  - wait: 1d\n"
        f"  - split: [{{when: customer.days_since_open == {days}, steps: [{{send: {{message: b}}}}]}}]\n"
    )
    buy(run)
    send_id = run.mails()[0].send_id
    run.handle(MailOpened(customer_id="c1", send_id=send_id, agent=agent, occurred_at=run.now))
    run.advance(DAY)
    assert run.messages() == ["a", "b"]


def test_chance_is_even() -> None:
    """Over ten thousand customers each tenth of the lots is drawn about as often."""
    drawn = [bucket("experiment", "x", f"c{n}") // 1000 for n in range(10_000)]
    assert all(900 < drawn.count(tenth) < 1100 for tenth in range(10))


SHOW = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 4, at_least: 2}}]"


def test_a_mail_with_products() -> None:
    """The command tells what was bought and how many are wanted; each order is counted once, and taken back when it is cancelled."""
    run = run_of(SHOW, purpose="marketing")
    buy(run)
    buy(run)
    run.advance(DAY)
    wish = template_data(run.mails()[0].content)["recommend"]
    assert wish == {
        "most": 4,
        "at_least": 2,
        "bought": {"skus": ["s1", "s2"], "categories": ["cups", "tea"], "returned": []},
    }
    run.handle(OrderCancelled(order("o1", START), run.now), OrderCancelled(order("o1", START), run.now))
    counted = [(one.come, one.is_new, one.gone) for one in run.effects if isinstance(one, CountSales)]
    assert counted == [(("s1", "s2"), True, ()), ((), False, ("s1", "s2"))]


def test_nothing_is_counted_for_nobody() -> None:
    """A shop whose flows recommend nothing pays nothing for it."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}")
    buy(run)
    assert not [one for one in run.effects if isinstance(one, CountSales)]


@pytest.mark.parametrize(
    ("is_reported", "forbids"),
    [
        (False, lambda run: goodbye(run)),
        (False, lambda run: told(run, marketing_consent=False)),
        (
            False,
            lambda run: run.handle(
                MailComplained(customer_id="c1", send_id=run.mails()[0].send_id, occurred_at=run.now)
            ),
        ),
        (True, lambda run: goodbye(run)),
    ],
)
def test_mails_that_may_no_longer_go_are_withdrawn(is_reported: bool, forbids: Callable[[Driver], None]) -> None:
    """Those that were ordered and are not known to have left, whatever forbids them; never what is owed, and once."""
    flows = [
        flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name=name, purpose=name) for name in ("marketing", "order")
    ]
    run = Driver(ruleset_of(*flows), is_reporting=is_reported)
    buy(run)
    forbids(run)
    forbids(run)
    withdrawn = [one.send_id for one in run.effects if isinstance(one, WithdrawMail)]
    assert withdrawn == ([] if is_reported else [mail.send_id for mail in run.mails() if mail.purpose == "marketing"])


def test_a_profile_told_again_withdraws_nothing_again() -> None:
    """The same answer to the question for tracking is no news, as it is none to any other question."""
    run = Driver(
        ruleset_of(flow_text(f"trigger: {{on: order.placed}}\n{SEND}", purpose="marketing")), is_reporting=False
    )
    buy(run)
    for _ in range(2):
        told(run, marketing_consent=False, tracking_consent=False)
    assert len([one for one in run.effects if isinstance(one, WithdrawMail)]) == 1


def test_an_order_is_paid() -> None:
    """It starts a flow once, ends the one that reminds of it, and can be asked for; who has not paid is reminded."""
    flows = [
        flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="thanks"),
        flow_text(
            "trigger: {on: order.placed}\nexit_on: [order.paid]\nsteps: [{wait: 2d}, {send: {message: b}}]",
            name="remind",
        ),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: order.paid, up_to: 9d, where: order.is_paid, then: [{send: {message: c}}]}}]",
            name="await",
        ),
    ]
    run = Driver(ruleset_of(*flows))
    buy(run, "o1")
    buy(run, "o2")
    run.advance(DAY)
    for _ in range(2):
        run.handle(OrderPaid(order("o1", START), START + DAY))
    run.advance(9 * DAY)
    assert sent(run) == [("c", 1), ("a", 1), ("b", 2)]


def test_a_payment_that_is_told_before_its_order() -> None:
    """It waits for the order as its parcels do: a flow that the order starts hears of it, and one on payments begins once."""
    flows = [
        flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="thanks"),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: order.paid, up_to: 2d, otherwise: [{send: {message: b}}]}}]",
            name="remind",
        ),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: shipment.shipped, up_to: 2d, then: [{send: {message: c}}]}}]",
            name="await",
        ),
    ]
    run = Driver(ruleset_of(*flows))
    run.handle(OrderPaid(order("o1", START), START), shipment("o1", "shipped", START))
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == ["a", "c"]


def test_discounts() -> None:
    """Of the order, and of all orders of the customer; a cancelled one does not count."""
    split = "steps: [{split: [{when: %s, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]"
    for condition, messages in (
        ("order.discount >= 50 and order.is_discounted", ["a", "b", "b"]),
        ("customer.is_discount_only", ["a", "b", "a"]),
    ):
        run = run_of("trigger: {on: order.placed}\n" + split % condition)
        buy(run, "o1", discount_minor=5_000)
        buy(run, "o2")
        run.handle(OrderCancelled(order("o2", START), run.now))
        buy(run, "o3", discount_minor=100)
        assert run.messages() == messages


def test_a_launch() -> None:
    """Who looked at a product before it came is told when it is there; of one that is there already nobody is told."""
    run = run_of(
        "trigger: {on: product.viewed, once_per: product, where: product.is_coming}\n"
        "steps: [{wait: {until: product.launch, before: 1d, at: '10:00'}}, {send: {message: a}}]"
    )
    told(run, email="anna@example.com", country="DK")
    for sku, days in (("new", 5), ("old", -5)):
        launch = START + days * DAY
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=START, launches_at=launch))
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="other", occurred_at=START))
    run.advance(20 * DAY)
    assert sent(run) == [("a", 4)]


def looked(run: Driver, sku: str = "new", *, at: float = 0, launch: float | None = None, kind: Any = "viewed") -> None:
    """The customer c1 looked at a product, so many days after the start, and heard of its launch; it becomes known now."""
    launches_at = None if launch is None else START + launch * DAY
    run.handle(
        ProductBrowsed(customer_id="c1", kind=kind, sku=sku, occurred_at=START + at * DAY, launches_at=launches_at)
    )


def known(run: Driver, country: str = "DK") -> None:
    """The customer c1 has an address and agreed to advertising."""
    told(run, email="anna@example.com", country=country, marketing_consent=True)


@pytest.mark.parametrize(
    ("looks", "before", "begun"),
    [
        ([(0, 5)], 0, [5]),
        ([(0, 5.3)], 1, [4.3]),  # at the very moment, minus whole days
        ([(0, 5), (1, 5), (2, 5)], 0, [5]),
        ([(0, 5), (1, None)], 0, [5]),  # a look that tells no date changes none
        ([(0, 5), (1, 8)], 0, [8]),
        ([(0, 5), (1, 3)], 0, [3]),
        ([(0, 5), (1, 8), (2, 5)], 0, [5]),
        ([(0, 5), (4, 1)], 0, [4]),  # it was launched before it was told
        ([(0, 5), (4, 1)], 9, [0]),
        ([(0, 5), (6, 9)], 0, [5]),  # what has begun begins no second time
        ([(0, 5)], 9, [0]),  # the day to begin has passed, the launch has not
        ([(2, 1)], 0, []),  # looked at when it was there
        ([(0, None)], 0, []),
    ],
)
def test_the_launch_starts_a_flow(looks: list[tuple[float, float | None]], before: int, begun: list[float]) -> None:
    """Once, at the launch or so many days before it, as the newest look told it; also for who put it into the cart."""
    earlier = f", before: {before}d" if before else ""
    for kind in ("viewed", "added_to_cart"):
        run = run_of(f"trigger: {{on: product.launch{earlier}}}\n{SEND}")
        known(run)
        for at, launch in looks:
            run.advance_to(START + at * DAY)
            looked(run, at=at, launch=launch, kind=kind)
        run.advance(60 * DAY)
        assert sent(run) == [("a", day) for day in begun]
        assert run.customers["c1"].instances == ()


def test_looks_that_come_out_of_order() -> None:
    """The newest look knows the date best, whichever comes first or twice; of what is told late the look counts, not when it was told."""
    for looks, day in (([(0, 9), (1, 5), (2, 7)], 7), ([(0, 9), (1, 5), (2, 9)], 9)):
        for arrival in permutations(looks):
            run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
            known(run)
            for at, launch in (*arrival, arrival[0]):
                looked(run, at=at, launch=launch)
            run.advance(20 * DAY)
            assert sent(run) == [("a", day)]
    late = run_of("trigger: {on: product.launch}\nsteps: [{wait: 2d}, {send: {message: a}}]")
    known(late)
    late.advance(6 * DAY)
    looked(late, at=1, launch=5)
    looked(late, "there", at=5, launch=5)
    late.advance(20 * DAY)
    assert sent(late) == [("a", 7)]


def test_what_was_launched_is_not_waited_for_again() -> None:
    """A launch that began, and is told to come later after all, leaves nobody waiting."""
    run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
    known(run)
    looked(run, launch=5)
    run.advance(6 * DAY)
    before = run.customers["c1"]
    looked(run, at=6, launch=9)
    assert replace(run.customers["c1"], visited_at=before.visited_at) == before


def test_taken_out_of_the_cart_is_no_look() -> None:
    """Nobody waits for what they put back."""
    run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
    known(run)
    looked(run, launch=5, kind="removed_from_cart")
    assert run.customers["c1"].instances == ()


def test_each_product_has_its_launch() -> None:
    """Two products, two runs, each with its own name; one is bought before it comes, the order since the first look counts."""
    run = run_of(
        "trigger: {on: product.launch, before: 1d, where: not product.is_bought}\nsteps:\n"
        "  - split:\n      - when: product.sku == 'new' and product.is_coming\n        steps: [{send: {message: a}}]\n"
        "      - otherwise: [{send: {message: b}}]\n  - wait: {until: product.launch}\n  - send: {message: c}"
    )
    known(run)
    looked(run, launch=5)
    looked(run, "s1", launch=6)
    looked(run, "s9", launch=7)
    run.advance(DAY)
    buy(run)  # of s1 and s2
    run.advance(DAY)
    looked(run, "s1", at=2, launch=6)
    run.advance(20 * DAY)
    assert sent(run) == [("a", 4), ("c", 5), ("b", 6), ("c", 7)]
    assert run.decisions().count(("f", "skip", "where")) == 1


@pytest.mark.parametrize(
    ("head", "rule"),
    [
        ("exit_on: [customer.unsubscribed]", "customer.unsubscribed"),
        ("holdout: 99", "holdout"),
        ("exit_on: [order.placed]", None),
    ],
)
def test_a_launch_is_decided_when_it_begins(head: str, rule: str | None) -> None:
    """While it is waited for nothing ends it; then what ends the flow, and who is held out, is asked."""
    run = run_of(f"trigger: {{on: product.launch}}\n{head}\n{SEND}", purpose="marketing")
    known(run)
    looked(run, launch=5)
    run.advance(DAY)
    buy(run)
    if rule == "customer.unsubscribed":
        goodbye(run)
    assert run.decisions() == []
    run.advance(20 * DAY)
    assert sent(run) == ([] if rule else [("a", 5)])
    assert [one for _, _, one in run.decisions()] == [rule or "soft_opt_in"] or rule is None


def test_launches_do_not_keep_out_what_was_bought() -> None:
    """More products than are waited for: the decision says so, and an order's flow begins all the same. So does the limit of all flows."""
    launch = flow_text(f"trigger: {{on: product.launch}}\n{SEND}", name="launch")
    bought = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: b}}]", name="bought")
    for limits, rule in ((Limits(launches=3, instances=4), "launches"), (Limits(launches=9, instances=3), "instances")):
        run = Driver(ruleset_of(launch, bought, limits=limits))
        known(run)
        for number in range(5):
            looked(run, f"new-{number}", launch=5)
            looked(run, f"new-{number}", at=1, launch=5 + number)
        assert run.decisions() == [("launch", "limit", rule)] * 4
        assert len(run.customers["c1"].instances) == 3
        buy(run)
        assert len(run.customers["c1"].instances) == (4 if rule == "launches" else 3)
        run.advance(30 * DAY)
        assert run.messages().count("a") == 3


def test_a_flow_on_launches_that_changes_meanwhile() -> None:
    """Paused it begins and its mail waits; a draft logs; another `before` holds for who waits; one that is gone, or on something else, says so."""
    text = flow_text(f"trigger: {{on: product.launch, before: 4d}}\n{SEND}")
    later = text.replace("version: 1", "version: 2").replace("4d", "1d")
    birthday = flow_text(f"trigger: {{on: customer.birthday}}\n{SEND}")
    for other, mails, rule in (
        (later, [("a", 8)], "transactional"),
        (flow_text(f"trigger: {{on: product.launch}}\n{SEND}", status="draft"), [], "draft"),
        (flow_text(f"trigger: {{on: product.launch}}\n{SEND}", status="paused"), [], "paused"),
        (flow_text(f"trigger: {{on: order.placed}}\n{SEND}"), [], "flow_gone"),
        (birthday, [], "flow_gone"),
        (flow_text(f"trigger: {{on: product.launch}}\n{SEND}", name="g"), [], "flow_gone"),
    ):
        run = Driver(ruleset_of(text))
        known(run)
        looked(run, launch=9)
        run.ruleset = ruleset_of(other)
        run.advance(20 * DAY)
        assert sent(run) == mails
        assert rule in [one for _, _, one in run.decisions()]
    waits = Driver(ruleset_of(birthday))
    told(waits, email="anna@example.com", birthday=(START + 9 * DAY).date())
    waits.ruleset = ruleset_of(text)
    waits.advance(20 * DAY)
    assert ("f", "exit", "flow_gone") in waits.decisions()


def test_looks_cost_nothing_without_a_flow_on_launches() -> None:
    """The state stays the very same object, as for a second look in an hour that starts no flow."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}")
    known(run)
    looked(run)
    before = run.customers["c1"]
    looked(run, launch=5)
    assert run.customers["c1"] is before


def pressed(
    run: Driver, kind: Any, source: str = "letters", purpose: str = "marketing", days: float | None = None
) -> ContactPressed:
    """Another system tells what it does."""
    until = None if days is None else run.now + days * DAY
    return ContactPressed(customer_id="c1", source=source, kind=kind, purpose=purpose, until=until, occurred_at=run.now)


@pytest.mark.parametrize(("purpose", "days"), [("marketing", 3), ("review", 3), ("order", 0)])
def test_mails_of_other_systems_count(purpose: str, days: float) -> None:
    """One that another system sent takes a place under the caps, told once or twice; a receipt of it takes none."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}", purpose="marketing", rules="caps: [{most: 1, per: 3d}]")
    run.handle(*[pressed(run, "sent", purpose=purpose)] * 2)
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", days)]


@pytest.mark.parametrize(
    ("news", "day"),
    [
        ([("running", 3.0)], 3.0),
        ([("running", None), ("ended", None)], 0.0),
        ([("running", 0.5), ("running", 4.5)], 4.5),
        ([("ended", None), ("running", 2.0)], 2.0),
    ],
)
def test_series_of_other_systems(news: list[tuple[str, float | None]], day: float) -> None:
    """A flow keeps clear of one until it ends, or is told to have ended; of a series the newest news counts, in whatever order they come."""
    facts = [
        ContactPressed(
            customer_id="c1",
            source="letters",
            kind=kind,  # type: ignore[arg-type]  # one of the literals
            purpose="marketing",
            until=None if days is None else START + days * DAY,
            occurred_at=START - timedelta(minutes=len(news) - number),
        )
        for number, (kind, days) in enumerate(news)
    ]
    for order_of_arrival in (facts, facts[::-1], facts * 2):
        run = run_of(
            "trigger: {on: order.placed}\nnot_with: [letters]\nsteps: [{send: {message: a, expires: 30d}}]",
            purpose="marketing",
        )
        run.handle(*order_of_arrival)
        buy(run)
        run.advance(9 * DAY)
        assert sent(run) == [("a", day)]


@pytest.mark.parametrize(("country", "day"), [("DK", 7), ("SE", 2), ("XX", 2)])
def test_no_advertising_on_public_holidays(country: str, day: int) -> None:
    """Easter 2026 in Denmark is from Thursday 2 April to Monday 6 April with the Saturday that the rules name; in Sweden the Thursday is none."""
    rules = "quiet_hours: {from: '21:00', to: '08:00', not_on: [sat], holidays: true}"
    run = run_of(
        f"trigger: {{on: order.placed}}\n{SEND.replace('a}', 'a, expires: 9d}')}", purpose="marketing", rules=rules
    )
    run.advance_to(datetime(2026, 4, 2, 12, tzinfo=UTC))
    told(run, country=country, email="a@example.com", marketing_consent=True)
    buy(run, country=country, ship_country=country)
    run.advance(9 * DAY)
    (decision,) = [one for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"]
    assert (decision.decided_at.month, decision.decided_at.day) == (4, day)


def test_a_goal_ends_a_flow_before_its_next_step() -> None:
    """Who has reached it leaves at the next wake-up or event, and does not begin at all if it was reached before; a decision says so."""
    body = """trigger: {on: product.viewed, once_per: product}
goal: product.is_bought
steps: [{wait: 2d}, {send: {message: a}}, {wait_for: {event: order.placed, up_to: 9d, then: [{send: {message: b}}]}}, {send: {message: c}}]"""
    run = run_of(body)
    for sku in ("s1", "s9"):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
    run.advance(DAY)
    buy(run)  # s1 and s2
    run.advance(2 * DAY)
    assert run.messages() == ["a"]
    buy(run, "o2", lines=(OrderLine("s9", "Pot", "pots", 1, 9_900),))
    run.advance(20 * DAY)
    assert run.messages() == ["a"]
    assert [told for told in run.decisions() if told[1] == "exit"] == [("f", "exit", "goal")] * 2
    run = run_of("trigger: {on: order.placed}\ngoal: customer.orders > 1\nsteps: [{wait: 2d}, {send: {message: a}}]")
    buy(run)
    run.advance(3 * DAY)
    buy(run, "o2")
    run.advance(9 * DAY)
    assert (run.messages(), run.decisions()[-1]) == (["a"], ("f", "exit", "goal"))


def test_the_product_looked_at_is_bought_by_the_order_waited_for() -> None:
    """The very order that ends the wait counts."""
    run = run_of("""trigger: {on: product.viewed, once_per: product}
steps:
  - wait_for: {event: order.placed, up_to: 9d, then: [{split: [{when: product.is_bought, steps: [{send: {message: a}}]}]}]}""")
    for sku in ("s1", "s9"):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
    run.advance(DAY)
    buy(run)
    assert run.messages() == ["a"]


def test_a_wait_ends_on_the_weekdays_that_it_names() -> None:
    """From Monday to the next Thursday's half past nine; without a time of day it ends when that day comes."""
    run = run_of('trigger: {on: order.placed}\nsteps: [{wait: {on: [thu, sun], at: "09:30"}}, {send: {message: a}}]')
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", round(3 - 0.5 / 24, 3))]  # it is ten o'clock in Copenhagen at the start


def test_no_pestering_while_a_complaint_is_open() -> None:
    """Customer care tells when it begins to look into one and when it is done; meanwhile only what is owed goes."""
    rules = "calm: {while_running: [complaint]}"
    owed = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: b}}]", name="g")
    advertising = flow_text(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 20d}}]", purpose="marketing"
    )
    run = Driver(ruleset_of(advertising, owed, rules=rules))
    buy(run)
    run.handle(pressed(run, "running", source="complaint"))
    run.advance(5 * DAY + HOUR)
    assert run.messages() == ["b"]
    assert {rule for _, outcome, rule in run.decisions() if outcome == "defer"} == {"calm_series"}
    run.handle(pressed(run, "ended", source="complaint"))
    run.advance(DAY)
    assert run.messages() == ["b", "a"]


def test_days_since_a_visit() -> None:
    """The newest look at anything counts, in whatever order they are told; who never looked came never. A visit changes the state once an hour."""
    run = run_of("""trigger: {on: order.placed}
steps: [{split: [{when: customer.days_since_visit == 3, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]""")
    buy(run)
    looks = [
        ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now + length)
        for length in (2 * HOUR, HOUR, 2 * HOUR + timedelta(minutes=20), DAY)
    ]
    run.handle(*looks[:2])
    known = run.customers["c1"]
    run.handle(looks[2])
    assert run.customers["c1"] is known
    run.handle(looks[3])
    run.advance(4 * DAY + HOUR)
    buy(run, "o2")
    assert run.messages() == ["b", "a"]


def test_a_series_that_runs_is_not_forgotten_for_mails() -> None:
    """However many mails other systems send meanwhile, an open complaint keeps advertising away; what is remembered stays bounded."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{wait: 30d}, {send: {message: a, expires: 20d}}]",
        purpose="marketing",
        rules="calm: {while_running: [complaint]}",
    )
    buy(run)
    run.handle(pressed(run, "running", source="complaint"))
    for _ in range(30):
        run.advance(DAY)
        run.handle(pressed(run, "sent"))
    run.advance(2 * DAY)
    assert run.messages() == []
    run.handle(*[pressed(run, "running", source=f"s{number}") for number in range(30)])
    assert len(run.customers["c1"].contacts) == run.ruleset.limits.contacts


def test_a_mail_of_long_ago_changes_nothing() -> None:
    """More mails of other systems than are remembered: one that is older than all of them leaves the state itself as it was."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}", limits=Limits(contacts=2))
    for days in (2, 3, 1):
        before = run.customers.get("c1")
        run.handle(
            ContactPressed(
                customer_id="c1",
                source="esp",
                kind="sent",
                purpose="marketing",
                until=None,
                occurred_at=START + days * DAY,
            )
        )
    assert run.customers["c1"] is before
