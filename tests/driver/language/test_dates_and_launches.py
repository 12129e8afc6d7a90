"""Flows that start on a date: birthdays, anniversaries and launches."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.customer import Profile, new_customer
from streams.core.model.events import HandedOver, OrderCancelled, ProductBrowsed
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    answer_survey,
    buy,
    flow_text,
    ruleset_of,
    run_of,
    sent,
    unsubscribe,
    update_profile,
)

SEND = "steps: [{send: {message: a}}]"


def test_birthday() -> None:
    """A birthday starts a flow every year, also on 29 February. A late or changed birthday counts from the next one."""
    run = run_of(f"trigger: {{on: customer.birthday, before: 2d}}\n{SEND}", purpose="service")
    update_profile(run, email="anna@example.com", name="Anna", country="DK", birthday=(START + 10 * DAY).date())
    run.advance(7 * DAY)
    assert run.mails() == []
    run.advance(2 * DAY)
    assert len(run.mails()) == 1
    run.advance(400 * DAY)
    assert len(run.mails()) == 2
    update_profile(run, birthday=(START + 500 * DAY).date())
    run.advance(1200 * DAY)
    assert len(run.mails()) == 2 + 4


def test_birthday_across_time_zones() -> None:
    """A birthday starts a flow once, even if the customer moves to another time zone that day."""
    run = run_of(f"trigger: {{on: customer.birthday}}\n{SEND}")
    update_profile(run, email="anna@example.com", country="DK", birthday=date(1990, 4, 10))
    run.advance_to(datetime(2026, 4, 9, 23, tzinfo=UTC))
    update_profile(run, country="US")
    run.advance(300 * DAY)
    assert run.messages() == ["a"]
    run.advance(200 * DAY)
    assert run.messages() == ["a", "a"]


def test_birthday_with_a_late_timer() -> None:
    """An event between a birthday and its late timer does not postpone the flow to the next year."""
    run = run_of(f"trigger: {{on: customer.birthday}}\n{SEND}")
    update_profile(run, email="anna@example.com", birthday=(START + 10 * DAY).date())
    (waiting,) = run.customers["c1"].instances
    run.now = waiting.due_at + HOUR  # the timers stood still
    update_profile(run, name="Anna")
    run.advance(DAY)
    assert run.messages() == ["a"]


@pytest.mark.parametrize(("birthday", "age"), [(date(1976, 4, 10), 50), (date(1976, 2, 29), 51)])
def test_age_on_the_birthday(birthday: date, age: int) -> None:
    """At midnight of the birthday `customer.age` is the new age; 29 February counts on 28 February."""
    run = run_of(f"trigger: {{on: customer.birthday, where: customer.age == {age}}}\n{SEND}")
    update_profile(run, email="anna@example.com", name="Anna", country="DK", birthday=birthday)
    run.advance(364 * DAY)
    assert run.messages() == ["a"]


def test_anniversary() -> None:
    """An anniversary starts a flow each year after the first order."""
    run = run_of(f"trigger: {{on: customer.anniversary}}\n{SEND}")
    buy(run)
    run.advance(40 * DAY)
    buy(run, "o2")
    run.advance(700 * DAY)
    assert [round(days) for _, days in sent(run)] == [365, 731]


def test_dates_in_scaled_time() -> None:
    """In a demo a year takes 365 of its days, also for dates, and an event in between does not postpone them."""
    second = DAY / 86_400
    for trigger in ("customer.birthday", "customer.anniversary, where: customer.days_since_first_order < 400"):
        run = run_of(f"trigger: {{on: {trigger}}}\n{SEND}", day_scale=1 / 86_400)
        update_profile(run, email="anna@example.com", name="Anna", country="DK", birthday=date(1990, 4, 10))
        buy(run)
        for _ in range(30):
            run.advance(12 * second)
            update_profile(run, name="Anna")
        assert len(run.mails()) == (trigger == "customer.birthday")
        run.advance(10 * second)
        assert len(run.mails()) == 1


def test_an_important_date() -> None:
    """A date of the shop's record starts its flow every year, also on 29 February; other dates do not. One that is removed ends it."""
    run = run_of(f"trigger: {{on: customer.date, date: wedding, before: 2d}}\n{SEND}")
    update_profile(
        run,
        email="anna@example.com",
        country="DK",
        dates=(("wedding", date(2024, 2, 29)), ("name_day", (START + 20 * DAY).date())),
    )
    run.advance(340 * DAY)
    assert run.messages() == []
    run.advance(40 * DAY)
    assert run.messages() == ["a"]
    run.advance(365 * DAY)
    assert run.messages() == ["a", "a"]
    update_profile(run, dates=(("wedding", None),))
    assert run.customers["c1"].instances == ()
    run.advance(400 * DAY)
    assert run.messages() == ["a", "a"]


@pytest.mark.parametrize(
    ("trigger", "given", "removed"),
    [
        ("{on: customer.birthday, before: 5d}", "birthday", {"removes_birthday": True}),
        ("{on: customer.date, date: wedding, before: 5d}", "dates", {"dates": (("wedding", None),)}),
    ],
)
def test_a_date_that_is_removed(trigger: str, given: str, removed: dict[str, Any]) -> None:
    """Neither the next start nor a started flow remains, however late an older record of the date or an order comes. A newer one counts."""

    def state(days: int) -> dict[str, Any]:
        day = (START + days * DAY).date()
        return {given: day if given == "birthday" else (("wedding", day),)}

    run = run_of(f"trigger: {trigger}\nsteps:\n  - wait: 2d\n  - send: {{message: a}}\n")
    update_profile(run, email="anna@example.com", country="DK", **state(10))
    run.advance(6 * DAY)
    assert sorted(instance.has_started for instance in run.customers["c1"].instances) == [False, True]
    buy(run)
    update_profile(run, **removed)
    assert run.customers["c1"].instances == ()
    assert ("f", "exit", "date_removed") in run.decisions()
    update_profile(run, occurred_at=START + DAY, **state(30))
    buy(run, "o2")
    run.advance(400 * DAY)
    assert (run.messages(), run.customers["c1"].instances) == ([], ())
    update_profile(run, **state(380))
    update_profile(run, occurred_at=START + 9 * DAY, **removed)
    run.advance(400 * DAY)
    assert run.messages() == ["a"]


def test_a_date_that_one_of_two_merged_customers_removed() -> None:
    """A started flow of the birthday ends if the other customer removed it later."""
    run = run_of("trigger: {on: customer.birthday, before: 5d}\nsteps:\n  - wait: 2d\n  - send: {message: a}\n")
    update_profile(run, email="anna@example.com", country="DK", birthday=(START + 10 * DAY).date())
    run.advance(6 * DAY)
    other = replace(new_customer("g"), profile=Profile(at=run.now, birthday_at=run.now))
    run.handle(HandedOver(customer_id="c1", handover_id="h", state=other, path=("g",), occurred_at=run.now))
    assert ("f", "exit", "date_removed") in run.decisions()
    run.advance(400 * DAY)
    assert (run.messages(), run.customers["c1"].instances) == ([], ())


def test_a_date_that_changes() -> None:
    """The new day counts from then on, in an order of records that is not that of their times too."""
    run = run_of(f"trigger: {{on: customer.date, date: wedding}}\n{SEND}")
    update_profile(run, email="anna@example.com", dates=(("wedding", (START + 10 * DAY).date()),))
    run.advance(DAY)
    update_profile(run, dates=(("wedding", (START + 20 * DAY).date()),))
    update_profile(run, dates=(("wedding", (START + 15 * DAY).date()),), occurred_at=START + HOUR)
    run.advance(17 * DAY)
    assert run.messages() == []
    run.advance(3 * DAY)
    assert run.messages() == ["a"]


def test_cancelled_orders() -> None:
    """Cancelled orders have no anniversary and do not count for days since an order."""
    days = "{when: customer.days_since_%s_order == %d, steps: [{send: {message: %s}}]}"
    branches = ", ".join(days % each for each in (("last", 5, "a"), ("first", 10, "b"), ("last", 100_000, "c")))
    split = flow_text(f"trigger: {{on: survey.answered, again_after: 1h}}\nsteps: [{{split: [{branches}]}}]")
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
    answer_survey(run, "x")
    assert run.messages() == ["a"]
    cancelled(run, "o2", START + 5 * DAY)
    run.advance(DAY)
    answer_survey(run, "x")
    assert run.messages() == ["a"]  # eleven days since the first, which is the last
    cancelled(run, "o1", START)
    run.advance(DAY)
    answer_survey(run, "x")
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


def test_wait_for_a_launch() -> None:
    """A product view before the launch can wait for it. A view after the launch does not start the flow."""
    run = run_of(
        "trigger: {on: product.viewed, once_per: product, where: product.is_coming}\n"
        "steps: [{wait: {until: product.launch, before: 1d, at: '10:00'}}, {send: {message: a}}]"
    )
    update_profile(run, email="anna@example.com", country="DK")
    for sku, days in (("new", 5), ("old", -5)):
        launch = START + days * DAY
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=START, launches_at=launch))
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="other", occurred_at=START))
    run.advance(20 * DAY)
    assert sent(run) == [("a", 4)]


def view_product(
    run: Driver, sku: str = "new", *, at: float = 0, launch: float | None = None, kind: Any = "viewed"
) -> None:
    """Let c1 view a product, `at` days after the start, which launches `launch` days after the start. The event arrives now."""
    launches_at = None if launch is None else START + launch * DAY
    run.handle(
        ProductBrowsed(customer_id="c1", kind=kind, sku=sku, occurred_at=START + at * DAY, launches_at=launches_at)
    )


def give_consent(run: Driver, country: str = "DK") -> None:
    """Give c1 an address, a country and consent to marketing."""
    update_profile(run, email="anna@example.com", country=country, marketing_consent=True)


@pytest.mark.parametrize(
    ("views", "before", "begun"),
    [
        ([(0, 5)], 0, [5]),
        ([(0, 5.3)], 1, [4.3]),  # at the very time, minus whole days
        ([(0, 5), (1, 5), (2, 5)], 0, [5]),
        ([(0, 5), (1, None)], 0, [5]),  # a view without a launch date changes none
        ([(0, 5), (1, 8)], 0, [8]),
        ([(0, 5), (1, 3)], 0, [3]),
        ([(0, 5), (1, 8), (2, 5)], 0, [5]),
        ([(0, 5), (4, 1)], 0, [4]),  # launched before the event arrived
        ([(0, 5), (4, 1)], 9, [0]),
        ([(0, 5), (6, 9)], 0, [5]),  # what has begun begins no second time
        ([(0, 5)], 9, [0]),  # the day to begin has passed, the launch has not
        ([(2, 1)], 0, []),  # viewed after the launch
        ([(0, None)], 0, []),
    ],
)
def test_launch(views: list[tuple[float, float | None]], before: int, begun: list[float]) -> None:
    """The launch starts a flow once, at the date in the newest view, or `before` it. A product in the cart counts too."""
    earlier = f", before: {before}d" if before else ""
    for kind in ("viewed", "added_to_cart"):
        run = run_of(f"trigger: {{on: product.launch{earlier}}}\n{SEND}")
        give_consent(run)
        for at, launch in views:
            run.advance_to(START + at * DAY)
            view_product(run, at=at, launch=launch, kind=kind)
        run.advance(60 * DAY)
        assert sent(run) == [("a", day) for day in begun]
        assert run.customers["c1"].instances == ()


def test_views_out_of_order() -> None:
    """The newest view decides the launch date, in any order of arrival. A late event counts from its own time."""
    for looks, day in (([(0, 9), (1, 5), (2, 7)], 7), ([(0, 9), (1, 5), (2, 9)], 9)):
        for arrival in permutations(looks):
            run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
            give_consent(run)
            for at, launch in (*arrival, arrival[0]):
                view_product(run, at=at, launch=launch)
            run.advance(20 * DAY)
            assert sent(run) == [("a", day)]
    late = run_of("trigger: {on: product.launch}\nsteps: [{wait: 2d}, {send: {message: a}}]")
    give_consent(late)
    late.advance(6 * DAY)
    view_product(late, at=1, launch=5)
    view_product(late, "there", at=5, launch=5)
    late.advance(20 * DAY)
    assert sent(late) == [("a", 7)]


def test_postponed_after_the_launch() -> None:
    """A launch that already started the flow does not start it again if it is postponed."""
    run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
    give_consent(run)
    view_product(run, launch=5)
    run.advance(6 * DAY)
    before = run.customers["c1"]
    view_product(run, at=6, launch=9)
    assert replace(run.customers["c1"], visited_at=before.visited_at) == before


def test_removed_from_cart() -> None:
    """Removing a product from the cart does not wait for its launch."""
    run = run_of(f"trigger: {{on: product.launch}}\n{SEND}")
    give_consent(run)
    view_product(run, launch=5, kind="removed_from_cart")
    assert run.customers["c1"].instances == ()


def test_launches_of_several_products() -> None:
    """Each product has its own instance, and knows whether it was bought."""
    run = run_of(
        "trigger: {on: product.launch, before: 1d, where: not product.is_bought}\nsteps:\n"
        "  - split:\n      - when: product.sku == 'new' and product.is_coming\n        steps: [{send: {message: a}}]\n"
        "      - otherwise: [{send: {message: b}}]\n  - wait: {until: product.launch}\n  - send: {message: c}"
    )
    give_consent(run)
    view_product(run, launch=5)
    view_product(run, "s1", launch=6)
    view_product(run, "s9", launch=7)
    run.advance(DAY)
    buy(run)  # of s1 and s2
    run.advance(DAY)
    view_product(run, "s1", at=2, launch=6)
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
def test_decisions_at_the_launch(head: str, rule: str | None) -> None:
    """`exit_on`, holdout and consent are decided at the launch and not at the view."""
    run = run_of(f"trigger: {{on: product.launch}}\n{head}\n{SEND}", purpose="marketing")
    give_consent(run)
    view_product(run, launch=5)
    run.advance(DAY)
    buy(run)
    if rule == "customer.unsubscribed":
        unsubscribe(run)
    assert run.decisions() == []
    run.advance(20 * DAY)
    assert sent(run) == ([] if rule else [("a", 5)])
    assert [one for _, _, one in run.decisions()] == [rule or "soft_opt_in"] or rule is None


def test_limits_of_launches() -> None:
    """A limit of waiting launches leaves room for flows that start with orders."""
    launch = flow_text(f"trigger: {{on: product.launch}}\n{SEND}", name="launch")
    bought = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: b}}]", name="bought")
    for limits, rule in (
        (Limits(launches=3, instances=4, transactional_instances=0), "launches"),
        (Limits(launches=9, instances=3, transactional_instances=0), "instances"),
    ):
        run = Driver(ruleset_of(launch, bought, limits=limits))
        give_consent(run)
        for number in range(5):
            view_product(run, f"new-{number}", launch=5)
            view_product(run, f"new-{number}", at=1, launch=5 + number)
        assert run.decisions() == [("launch", "limit", rule)] * 4
        assert len(run.customers["c1"].instances) == 3
        buy(run)
        assert len(run.customers["c1"].instances) == (4 if rule == "launches" else 3)
        run.advance(30 * DAY)
        assert run.messages().count("a") == 3


def test_flow_changes_before_the_launch() -> None:
    """A flow that changes before the launch is paused, drafted, moved or gone at the launch."""
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
        give_consent(run)
        view_product(run, launch=9)
        run.ruleset = ruleset_of(other)
        run.advance(20 * DAY)
        assert sent(run) == mails
        assert rule in [one for _, _, one in run.decisions()]
    waits = Driver(ruleset_of(birthday))
    update_profile(waits, email="anna@example.com", birthday=(START + 9 * DAY).date())
    waits.ruleset = ruleset_of(text)
    waits.advance(20 * DAY)
    assert ("f", "exit", "flow_gone") in waits.decisions()


def test_views_without_a_launch_flow() -> None:
    """Without a flow on launches a second view leaves the state unchanged."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}")
    give_consent(run)
    view_product(run)
    before = run.customers["c1"]
    view_product(run, launch=5)
    assert run.customers["c1"] is before
