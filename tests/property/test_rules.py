"""What holds for every mail whatever happens: quiet hours in every zone, caps in every window, one mail of one step."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ClaimCode, IssueReward, LogDecision, ScheduleTimer, SendMail
from streams.core.model.events import (
    Event,
    MailOpened,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    ProfileUpdated,
    SurveyAnswered,
)
from streams.core.model.ruleset import Ruleset
from streams.core.offers.code_pool_records import Code
from streams.core.values import local_time
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import order, shipment
from tests.harness.flow_texts import flow_text, ruleset_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
#: Two years, in which every zone that changes its clock does so four times.
moments = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * timedelta(minutes=1)
)


@settings(max_examples=600, deadline=None)
@given(moments, clocks, clocks, st.sampled_from(ZONES))
def test_what_quiet_hours_let_through_is_not_quiet(moment: datetime, begins: time, ends: time, name: str) -> None:
    """The moment to which a mail is put off lies outside the quiet hours on the wall there, is not earlier, and at most two days later."""
    where = ZoneInfo(name)
    found = local_time.end_of_quiet_hours(moment, begins, ends, where)
    clock = found.astimezone(where).time()
    is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    assert not is_quiet
    assert moment <= found <= moment + timedelta(hours=50)


@settings(max_examples=400, deadline=None)
@given(moments, st.dates(date(1950, 1, 1), date(2010, 12, 31)), st.integers(0, 30), st.sampled_from(ZONES))
def test_a_day_of_the_year_comes_every_year(after: datetime, day: date, before: int, name: str) -> None:
    """The next one lies ahead, within a year and a day, and the one after it a year later, give or take the leap day."""
    where = ZoneInfo(name)
    first = local_time.next_day(day, after, where, before)
    assert after < first <= after + timedelta(days=367)
    assert timedelta(days=364) <= local_time.next_day(day, first, where, before) - first <= timedelta(days=367)


FLOWS = (
    flow_text(
        "trigger: {on: order.placed}\nexit_on: [order.refunded]\nsteps:\n  - send: {message: a, priority: 70}\n"
        "  - wait_for: {event: mail.opened, up_to: 2d, then: [{send: {message: b, priority: 20, expires: 9d}}], otherwise: [{send: {message: c}}]}",
        name="first",
        purpose="marketing",
    ),
    flow_text(
        "trigger: {on: product.viewed, again_after: 3d}\nsteps: [{wait: 1d}, {send: {message: a, priority: 40, expires: 6d}}]",
        name="viewed",
        purpose="marketing",
    ),
    flow_text(
        "trigger: {on: segment.entered, segment: returning, again_after: 5d}\nsteps: [{wait: 2h}, {send: {message: b, expires: 4d}}]",
        name="returning",
        purpose="marketing",
    ),
    flow_text(
        "trigger: {on: customer.birthday}\nsteps:\n  - experiment:\n      name: x\n      holdout: 10\n      arms:\n"
        "        - {name: one, percent: 50, steps: [{send: {message: a}}]}\n        - {name: two, percent: 50, steps: [{reward: {name: gift}}, "
        "{reward: {name: more, pool: ten, within: 2d}}, "
        "{send: {message: b}}]}\n",
        name="birthday",
        purpose="marketing",
    ),
    flow_text(
        "trigger: {on: product.launch, before: 1d}\nexit_on: [order.placed]\nsteps: [{send: {message: a, expires: 9d}}, {wait: 1d}, {emit: told}]",
        name="launch",
        purpose="marketing",
    ),
    flow_text(
        "trigger: {on: shipment.delivered}\nnot_with: [first]\nsteps: [{send: {message: c, priority: 90, expires: 20d}}]",
        name="review",
        purpose="review",
    ),
)
RULES = """\
caps: [{most: 1, per: 1d}, {most: 2, per: 4d, of: [marketing]}]
quiet_hours: {from: "20:00", to: "07:30"}
calm: {while_late: true, after_refund: 1d}
"""
SEGMENTS = "returning: customer.orders >= 2"
WORLD = ruleset_of(*FLOWS, rules=RULES, segments=SEGMENTS)

order_ids = st.sampled_from(["o1", "o2", "o3"])
whens = st.integers(0, 24 * 20).map(lambda hours: START + hours * HOUR)
facts = st.one_of(
    st.builds(lambda name, at: OrderPlaced(order(name, START), at), order_ids, whens),
    st.builds(lambda name, at: OrderPlaced(order(name, START), at), order_ids, whens),
    st.builds(lambda name, at: OrderRefunded(order(name, START), at), order_ids, whens),
    st.builds(shipment, order_ids, st.sampled_from(["shipped", "delayed", "delivered"]), whens),
    st.builds(
        ProductBrowsed, customer_id=st.just("c1"), kind=st.just("viewed"), sku=st.sampled_from(["s1", "s9"]), occurred_at=whens,
        launches_at=st.none() | whens,
    ),
    st.builds(
        SurveyAnswered, customer_id=st.just("c1"), send_id=st.none(), question=st.just("q"), answer=st.just("yes"), occurred_at=whens
    ),
    st.builds(
        ProfileUpdated,
        customer_id=st.just("c1"),
        email=st.just("anna@example.com"),
        time_zone=st.sampled_from(["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe"]),
        birthday=st.just(date(1990, 3, 12)),
        marketing_consent=st.just(True),
        occurred_at=whens,
    ),
)  # fmt: skip
gaps = st.integers(0, 70).map(lambda hours: hours * HOUR)
stories = st.lists(st.tuples(facts, gaps, st.booleans()), max_size=16)
Story = list[tuple[Event, timedelta, bool]]


def tell(story: Story, ruleset: Ruleset = WORLD) -> Driver:
    """A run of the story; after some facts the newest mail is opened. Then two months of silence."""
    run = Driver(ruleset)
    run.stock(*[Code("ten", f"C{number}") for number in range(len(story) % 3)])
    for fact, gap, is_opened in story:
        run.handle(fact)
        run.advance(gap)
        if is_opened and run.mails():
            send_id = run.mails()[-1].send_id
            run.handle(MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=run.now))
    run.advance(60 * DAY)
    return run


def sends(run: Driver) -> list[tuple[datetime, SendMail]]:
    """Each mail with the moment at which it was decided."""
    at = {one.send_id: one.decided_at for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"}
    return [(at[mail.send_id], mail) for mail in run.mails()]


@settings(max_examples=150, deadline=None)
@given(stories)
def test_caps_hold_in_every_window_and_nights_are_quiet(story: Story) -> None:
    """No window of a day has two mails, none of four days three for marketing; none leaves in the customer's quiet hours or too late."""
    found = sends(tell(story))
    for most, per, purposes in ((1, DAY, ("marketing", "review")), (2, 4 * DAY, ("marketing",))):
        times = sorted(at for at, mail in found if mail.purpose in purposes)
        assert all(later - earlier >= per for earlier, later in zip(times, times[most:], strict=False))
    for at, mail in found:
        clock = at.astimezone(ZoneInfo(mail.time_zone)).time()
        assert time(7, 30) <= clock < time(20)
        assert at <= mail.not_after


@settings(max_examples=100, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_one_mail_of_one_step_whatever_comes_again(story: Story, lot: Any) -> None:
    """All facts again in another order, and every timer again: no step sends twice, no reward is given twice."""
    run = tell(story)
    again = [fact for fact, _, _ in story]
    lot.shuffle(again)
    run.handle(*again, *[timer_fired(one, run.now) for one in run.effects if isinstance(one, ScheduleTimer)])
    run.advance(60 * DAY)
    counted = Counter(mail.send_id for mail in run.mails())
    assert not [send for send, count in counted.items() if count > 1]
    for kind in (IssueReward, ClaimCode):
        rewards = Counter(one.reward_id for one in run.effects if isinstance(one, kind))
        assert not [reward for reward, count in rewards.items() if count > 1]


@settings(max_examples=100, deadline=None)
@given(stories)
def test_replay_equals_live(story: Story) -> None:
    """The state through its bytes between any two events, and every event decided twice: the same states and effects."""
    state, now = new_customer("c1"), START
    for fact, gap, _ in story:
        now += gap
        after, effects = advance(WORLD, state, fact, now)
        read = decode_customer(encode_customer(state))
        assert read == state
        assert advance(WORLD, read, fact, now) == (after, effects)
        state = after


@settings(max_examples=60, deadline=None)
@given(stories, st.integers(0, 16))
def test_paused_and_resumed(story: Story, resumed_at: int) -> None:
    """A flow that is paused at first and resumed later sends each mail once at most, and nobody waits for ever."""
    paused = WORLD.with_flows([replace(flow, status="paused") for flow in WORLD.flows])
    run = Driver(paused)
    for number, (fact, gap, _) in enumerate(story):
        if number == resumed_at:
            run.ruleset = WORLD
        run.handle(fact)
        run.advance(gap)
        if number < resumed_at:
            assert run.mails() == []
    run.ruleset = WORLD
    run.advance(60 * DAY)
    counted = Counter(mail.send_id for mail in run.mails())
    assert not [send for send, count in counted.items() if count > 1]
    waiting = run.customers["c1"].instances if "c1" in run.customers else ()
    assert {instance.flow for instance in waiting} <= {"birthday"}


launch_looks = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6, unique_by=lambda look: look[0])


@settings(max_examples=150, deadline=None)
@given(launch_looks, st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_launch_begins_once_as_the_newest_look_told_it(looks: list[tuple[int, int]], before: int, lot: Any) -> None:
    """Looks of the past become known in whatever order, each twice: what waits is the plan of the newest, and each product begins once."""
    earlier = f", before: {before}d" if before else ""
    run = Driver(ruleset_of(flow_text(f"trigger: {{on: product.launch{earlier}}}\nsteps: [{{send: {{message: a}}}}]")))
    run.handle(ProfileUpdated(customer_id="c1", email="anna@example.com", occurred_at=START))
    told = [(START + hour * HOUR, START + (20 + days) * DAY) for hour, days in looks]
    arrivals = told * 2
    lot.shuffle(arrivals)
    run.advance(DAY)
    for at, launch in arrivals:
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=at, launches_at=launch))
    run.advance(60 * DAY)
    due = [launch - before * DAY for _, launch in sorted(told)[-1:]]
    assert [at for at, _ in sends(run)] == due
