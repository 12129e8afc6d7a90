"""Flows that change under the people who are on their way through them: steps edited, moved, taken away, paused, migrated, brought back."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import Effect, EmitSignal, IssueReward, LogDecision, ScheduleTimer, SendMail
from streams.core.model.events import Event, OrderPlaced, SurveyAnswered
from streams.core.model.flow import Flow, Migration, Status
from streams.core.model.ruleset import Ruleset
from streams.core.offers.code_pool_records import ClaimRecord, Code
from streams.core.values import ids
from streams.definitions.checks.migrations import check_migration
from streams.definitions.checks.paths import resting_places
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import flow_from, order, shipment
from tests.harness.flow_texts import DAY, HOUR, MESSAGES

HEAD = (
    "flow: f\nversion: {}\nstatus: live\npurpose: service\ntrigger: {{on: order.placed}}\nexit_on: [order.refunded]\n"
)
BODIES = (
    "steps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]",
    "steps: [{wait: 2d}, {send: {message: b}}, {wait: 1d}, {send: {message: a, expires: 9d}}]",
    "steps: [{wait: 1d}, {wait: 1d}, {reward: {name: gift}}, {send: {message: a}}, {emit: told}]",
    "steps: [{send: {message: c}}, {wait_for: {event: survey.answered, up_to: 3d, then: [{send: {message: a}}], "
    "otherwise: [{wait: 1d}, {send: {message: b}}]}}]",
    "steps: [{wait_for: {event: shipment.delivered, up_to: 4d, then: [{wait: 1d}]}}, {send: {message: a}}, {wait: 1d}, {send: {message: b}}]",
    "steps: [{split: [{when: customer.orders > 1, steps: [{wait: 2d}, {send: {message: a}}]}, {otherwise: [{wait: 1d}, {send: {message: b}}]}]}, "
    "{wait: 1d}, {send: {message: c}}]",
    "steps: [{experiment: {name: x, arms: [{name: one, percent: 50, steps: [{wait: 1d}, {send: {message: a}}]}, "
    "{name: two, percent: 50, steps: [{reward: {name: gift}}]}]}}, {wait: 2d}, {send: {message: b}}]",
    "steps: [{reward: {name: gift, pool: ten}}, {wait: 1d}, {send: {message: a}}, {reward: {name: more, pool: ten, within: 3d}}, "
    "{split: [{when: reward.is_given, steps: [{send: {message: b}}]}]}]",
    "steps: [{reward: {name: gift, pool: other, within: 2d}}, {send: {message: c}}, {wait: 1d}, {reward: {name: more, pool: ten, within: 5d}}]",
    "steps: [{set: {name: seen, value: yes}}]",
    "steps: [{send: {message: c}}, {wait: 1d}, {send: {message: b}}]",
    "steps: [{send: {message: b}}, {wait: 1d}, {send: {message: a}}]",
)


@st.composite
def versions(draw: st.DrawFn) -> tuple[Flow, ...]:
    """Some versions of the flow as they may lie in its folder: the steps of a version may be other ones than yesterday. None: it is gone."""
    newest = draw(st.integers(0, 3))
    numbers = [
        number for number in range(1, newest + 1) if number == newest or draw(st.integers(0, 3))
    ]  # most are kept
    bodies = st.sampled_from(BODIES)
    flows = [flow_from(HEAD.format(number) + draw(bodies), "f", MESSAGES) for number in numbers]
    if len(flows) > 1 and draw(st.booleans()):
        flows[-1] = replace(flows[-1], migrations=_right(draw, flows[-1], flows[:-1]))
    statuses: st.SearchStrategy[Status] = st.sampled_from(["live", "live", "paused", "draft"])
    return tuple([replace(flow, status=draw(statuses)) for flow in flows])


def _right(draw: st.DrawFn, newest: Flow, older: list[Flow]) -> tuple[Migration, ...]:
    """Migrations in which `takk flows check` finds nothing: a worker starts with no others."""
    found = []
    for old in older:
        was, will = CompiledFlow(old), CompiledFlow(newest)
        pairs = [(path, draw(st.sampled_from(sorted(will.steps)))) for path in sorted(resting_places(was))]
        whole = [Migration(version=old.version, steps=(pair,)) for pair in pairs]
        steps = tuple([one.steps[0] for one in whole if not [*check_migration(was, will, one)]])
        if steps:
            found.append(Migration(version=old.version, steps=steps))
    return tuple(found)


whens = st.integers(0, 24 * 12).map(lambda hours: START + hours * HOUR)
order_ids = st.sampled_from(["o1", "o2", "o3"])
facts = st.one_of(
    st.builds(lambda name, at: OrderPlaced(order(name, START), at), order_ids, whens),
    st.builds(shipment, order_ids, st.just("delivered"), whens),
    st.builds(
        SurveyAnswered, customer_id=st.just("c1"), send_id=st.none(), question=st.just("q"), answer=st.just("yes"), occurred_at=whens
    ),
)  # fmt: skip
codes = st.builds(
    lambda pool, number, ends_at: Code(pool, f"{pool}-{number}", ends_at),
    st.sampled_from(["ten", "other"]),
    st.integers(0, 9),
    st.none() | whens,
)
What = Event | Code | tuple[Flow, ...]
Story = list[tuple[What, timedelta]]
gaps = st.integers(0, 60).map(lambda hours: hours * HOUR)
stories: st.SearchStrategy[Story] = st.lists(
    st.tuples(st.one_of(facts, codes, versions()), gaps), min_size=2, max_size=14
)


def update_profile(story: Story) -> Driver:
    """A run of the story, in which a tuple of flows is a restart with those."""
    run = Driver(Ruleset(()))
    for what, gap in story:
        hear(run, what)
        run.advance(gap)
        look(run)
    return run


def hear(run: Driver, what: What) -> None:
    """A fact, a code of the shop's, or a restart with other flows."""
    if isinstance(what, tuple):
        restart(run, what)
    elif isinstance(what, Code):
        run.stock(what)
    else:
        run.handle(what)


def restart(run: Driver, flows: tuple[Flow, ...]) -> None:
    """Other flow files; the state is written and read again."""
    run.ruleset = Ruleset(flows)
    for key, state in run.customers.items():
        read = decode_customer(encode_customer(state))
        assert read == state
        run.customers[key] = read


def look(run: Driver) -> None:
    """Whoever waits has a timer for that very moment, and nobody waits twice."""
    timers = {one.timer_id for one in run.effects if isinstance(one, ScheduleTimer)}
    for state in run.customers.values():
        waiting = [one.instance_id for one in state.instances]
        assert len(waiting) == len(set(waiting))
        for one in state.instances:
            assert ids.timer_id(one.instance_id, one.step, one.due_at) in timers


def once(effects: list[Effect]) -> None:
    """No mail, no reward, no code and no signal is given twice."""
    given_ids = [
        *(one.send_id for one in effects if isinstance(one, SendMail)),
        *(one.reward_id for one in effects if isinstance(one, IssueReward)),
        *(one.code for one in effects if isinstance(one, IssueReward)),
        *(one.signal_id for one in effects if isinstance(one, EmitSignal)),
    ]
    assert [found for found, count in Counter(given_ids).items() if count > 1] == []


def accounted(run: Driver) -> None:
    """Each code that a pool gave was given to the customer, or a decision says why not."""
    left = [one for one in run.pools.entries.values() if isinstance(one, ClaimRecord) and one.at is not None]
    given = [one for one in run.effects if isinstance(one, IssueReward) and "-" in one.code]
    unused = [
        one for one in run.effects if isinstance(one, LogDecision) and one.rule in ("code_too_late", "code_expired")
    ]
    assert len(left) == len(given) + len(unused)


@settings(max_examples=250, deadline=None)
@given(stories, versions())
def test_whatever_becomes_of_a_flow(story: Story, last: tuple[Flow, ...]) -> None:
    """Nothing is sent or given twice, every mail has its decision, and when the flow is left alone everybody comes to an end."""
    last = tuple([replace(flow, status="live") for flow in last])
    run = update_profile(story)
    restart(run, last)
    run.advance(120 * DAY)
    once(run.effects)
    decided = {one.send_id for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"}
    assert {mail.send_id for mail in run.mails()} == decided
    assert [state.instances for state in run.customers.values() if state.instances] == []
    accounted(run)
    before = len(run.mails())
    run.handle(*[timer_fired(one, run.now) for one in run.effects if isinstance(one, ScheduleTimer)])
    assert len(run.mails()) == before


@settings(max_examples=100, deadline=None)
@given(stories)
def test_a_flow_that_is_gone(story: Story) -> None:
    """Who is on the way through a flow when it is taken away gets no more of it, and a decision says why."""
    run = update_profile(story)
    waiting = {one.instance_id for state in run.customers.values() for one in state.instances}
    mails = len(run.mails())
    restart(run, ())
    run.advance(120 * DAY)
    gone = {one.instance_id for one in run.effects if isinstance(one, LogDecision) and one.rule == "flow_gone"}
    assert waiting <= gone
    assert len(run.mails()) == mails
    assert all(state.instances == () for state in run.customers.values())
    once(run.effects)


@settings(max_examples=100, deadline=None)
@given(stories, versions())
def test_people_finish_on_their_own_version(story: Story, last: tuple[Flow, ...]) -> None:
    """A mail is of the version that the run began with, as long as that is kept and no migration moved the run."""
    run = Driver(Ruleset(()))
    began: dict[str, int] = {}
    for what, gap in [*story, (last, 120 * DAY)]:
        hear(run, what)
        kept = {flow.version for flow in run.ruleset.flows}
        has_moves = bool(run.ruleset.migrations)
        for state in run.customers.values():
            for one in state.instances:
                began.setdefault(one.instance_id, one.flow_version)
        mark = len(run.effects)
        run.advance(gap)
        for mail in run.effects[mark:]:
            if isinstance(mail, SendMail) and not has_moves and began.get(mail.instance_id, mail.flow_version) in kept:
                assert mail.flow_version == began.get(mail.instance_id, mail.flow_version)
