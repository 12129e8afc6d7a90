"""Properties of every email: quiet hours in every time zone, caps in every period, and one email per step."""

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
from streams.core.model.events import Event, MailOpened, OrderPlaced, OrderRefunded, ProductBrowsed, SurveyAnswered
from streams.core.model.person_events import ProfileUpdated
from streams.core.offers.code_pool_records import Code
from streams.core.rules.ruleset import Ruleset
from streams.core.values import local_time
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import order, shipment
from tests.harness.examples import examples
from tests.harness.flow_texts import flow_text, ruleset_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
#: Two years: every time zone with clock changes has four of them.
times = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * timedelta(minutes=1)
)


@settings(max_examples=examples(600), deadline=None)
@given(times, clocks, clocks, st.sampled_from(ZONES))
def test_the_end_of_quiet_hours_is_not_quiet(at: datetime, begins: time, ends: time, name: str) -> None:
    """Quiet hours end outside of themselves on the local clock, never earlier, and within two days."""
    zone = ZoneInfo(name)
    end = local_time.end_of_quiet_hours(at, begins, ends, zone)
    clock = end.astimezone(zone).time()
    is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    assert not is_quiet
    assert at <= end <= at + timedelta(hours=50)


@settings(max_examples=examples(400), deadline=None)
@given(times, st.dates(date(1950, 1, 1), date(2010, 12, 31)), st.integers(0, 30), st.sampled_from(ZONES))
def test_anniversaries_recur_every_year(after: datetime, day: date, before: int, name: str) -> None:
    """The next anniversary is within a year and a day, and the one after it about a year later."""
    zone = ZoneInfo(name)
    first = local_time.next_day(day, after, zone, before)
    assert after < first <= after + timedelta(days=367)
    assert timedelta(days=364) <= local_time.next_day(day, first, zone, before) - first <= timedelta(days=367)


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
        "trigger: {on: product.launch, before: 1d}\nexit_on: [order.placed]\nsteps: [{send: {message: a, expires: 9d}}, {wait: 1d}, {emit: signal}]",
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
RULESET = ruleset_of(*FLOWS, rules=RULES, segments=SEGMENTS)

order_ids = st.sampled_from(["o1", "o2", "o3"])
whens = st.integers(0, 24 * 20).map(lambda hours: START + hours * HOUR)
events = st.one_of(
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
stories = st.lists(st.tuples(events, gaps, st.booleans()), max_size=16)
Story = list[tuple[Event, timedelta, bool]]


def run_story(story: Story, ruleset: Ruleset = RULESET) -> Driver:
    """Return a run of the story, and of two months after it. After some events the newest email is opened."""
    run = Driver(ruleset)
    run.stock(*[Code("ten", f"C{number}") for number in range(len(story) % 3)])
    for event, gap, is_opened in story:
        run.handle(event)
        run.advance(gap)
        if is_opened and run.mails():
            send_id = run.mails()[-1].send_id
            run.handle(MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=run.now))
    run.advance(60 * DAY)
    return run


def sends(run: Driver) -> list[tuple[datetime, SendMail]]:
    """Return each email with the time of its decision."""
    decisions = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "send"]
    at = {decision.send_id: decision.decided_at for decision in decisions}
    return [(at[mail.send_id], mail) for mail in run.mails()]


@settings(max_examples=examples(150), deadline=None)
@given(stories)
def test_caps_and_quiet_hours_hold(story: Story) -> None:
    """No cap is exceeded in any period; no email is sent in quiet hours or after it expired."""
    emails = sends(run_story(story))
    for most, per, purposes in ((1, DAY, ("marketing", "review")), (2, 4 * DAY, ("marketing",))):
        times = sorted(at for at, mail in emails if mail.purpose in purposes)
        assert all(later - earlier >= per for earlier, later in zip(times, times[most:], strict=False))
    for at, mail in emails:
        clock = at.astimezone(ZoneInfo(mail.time_zone)).time()
        assert time(7, 30) <= clock < time(20)
        assert at <= mail.not_after


@settings(max_examples=examples(100), deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_one_email_per_step_whatever_is_repeated(story: Story, random: Any) -> None:
    """Repeating all events in another order, and all timers, sends or gives nothing twice."""
    run = run_story(story)
    again = [event for event, _, _ in story]
    random.shuffle(again)
    run.handle(*again, *[timer_fired(one, run.now) for one in run.effects if isinstance(one, ScheduleTimer)])
    run.advance(60 * DAY)
    counted = Counter(mail.send_id for mail in run.mails())
    assert not [send for send, count in counted.items() if count > 1]
    for kind in (IssueReward, ClaimCode):
        rewards = Counter(one.reward_id for one in run.effects if isinstance(one, kind))
        assert not [reward for reward, count in rewards.items() if count > 1]


@settings(max_examples=examples(100), deadline=None)
@given(stories)
def test_replay_equals_live(story: Story) -> None:
    """Encoding the state between events and deciding every event twice gives the same states and effects."""
    state, now = new_customer("c1"), START
    for event, gap, _ in story:
        now += gap
        after, effects = advance(RULESET, state, event, now)
        read = decode_customer(encode_customer(state))
        assert read == state
        assert advance(RULESET, read, event, now) == (after, effects)
        state = after


@settings(max_examples=examples(60), deadline=None)
@given(stories, st.integers(0, 16))
def test_paused_and_resumed(story: Story, resumed_at: int) -> None:
    """A flow that is paused first and resumed later sends each email at most once, and no instance stays."""
    paused = RULESET.with_flows([replace(flow, status="paused") for flow in RULESET.flows])
    run = Driver(paused)
    for number, (event, gap, _) in enumerate(story):
        if number == resumed_at:
            run.ruleset = RULESET
        run.handle(event)
        run.advance(gap)
        if number < resumed_at:
            assert run.mails() == []
    run.ruleset = RULESET
    run.advance(60 * DAY)
    counted = Counter(mail.send_id for mail in run.mails())
    assert not [send for send, count in counted.items() if count > 1]
    waiting = run.customers["c1"].instances if "c1" in run.customers else ()
    assert {instance.flow for instance in waiting} <= {"birthday"}


launch_looks = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6, unique_by=lambda look: look[0])


@settings(max_examples=examples(150), deadline=None)
@given(launch_looks, st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_launch_starts_once_by_the_newest_view(looks: list[tuple[int, int]], before: int, random: Any) -> None:
    """Views in any order, each twice: the newest decides about the launch, and one instance starts."""
    earlier = f", before: {before}d" if before else ""
    run = Driver(ruleset_of(flow_text(f"trigger: {{on: product.launch{earlier}}}\nsteps: [{{send: {{message: a}}}}]")))
    run.handle(ProfileUpdated(customer_id="c1", email="anna@example.com", occurred_at=START))
    views = [(START + hour * HOUR, START + (20 + days) * DAY) for hour, days in looks]
    arrivals = views * 2
    random.shuffle(arrivals)
    run.advance(DAY)
    for at, launch in arrivals:
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=at, launches_at=launch))
    run.advance(60 * DAY)
    due = [launch - before * DAY for _, launch in sorted(views)[-1:]]
    assert [at for at, _ in sends(run)] == due
