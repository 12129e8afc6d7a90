"""Flows that change while customers are in them: edited, paused, migrated, deleted and restored."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision, ScheduleTimer, SendMail
from streams.core.model.events import Event
from streams.core.offers.code_pool_records import Code
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Migration, Status
from streams.core.rules.ruleset import Ruleset
from streams.core.values import ids
from streams.definitions.checks.migrations import check_migration
from streams.definitions.checks.paths import waiting_steps
from tests.harness.driver import Driver, timer_fired
from tests.harness.events import flow_from
from tests.harness.examples import examples
from tests.harness.flow_texts import DAY, HOUR, MESSAGES
from tests.property.changing_flows import BODIES, HEAD, check_codes, check_once, codes, events


@st.composite
def versions(draw: st.DrawFn) -> tuple[Flow, ...]:
    """Return some versions of the flow, as its directory may contain them; none if the flow was deleted."""
    newest = draw(st.integers(0, 3))
    numbers = [
        number for number in range(1, newest + 1) if number == newest or draw(st.integers(0, 3))
    ]  # most versions are kept
    bodies = st.sampled_from(BODIES)
    flows = [flow_from(HEAD.format(number) + draw(bodies), "f", MESSAGES) for number in numbers]
    if len(flows) > 1 and draw(st.booleans()):
        flows[-1] = replace(flows[-1], migrations=_valid_migrations(draw, flows[-1], flows[:-1]))
    statuses: st.SearchStrategy[Status] = st.sampled_from(["live", "live", "paused", "draft"])
    return tuple([replace(flow, status=draw(statuses)) for flow in flows])


def _valid_migrations(draw: st.DrawFn, newest: Flow, older: list[Flow]) -> tuple[Migration, ...]:
    """Return valid migrations, since a worker does not start with others."""
    migrations = []
    for old in older:
        source, target = CompiledFlow(old), CompiledFlow(newest)
        pairs = [(path, draw(st.sampled_from(sorted(target.steps)))) for path in sorted(waiting_steps(source))]
        candidates = [Migration(version=old.version, steps=(pair,)) for pair in pairs]
        steps = tuple([each.steps[0] for each in candidates if not [*check_migration(source, target, each)]])
        if steps:
            migrations.append(Migration(version=old.version, steps=steps))
    return tuple(migrations)


What = Event | Code | tuple[Flow, ...]
Story = list[tuple[What, timedelta]]
gaps = st.integers(0, 60).map(lambda hours: hours * HOUR)
stories: st.SearchStrategy[Story] = st.lists(
    st.tuples(st.one_of(events, codes, versions()), gaps), min_size=2, max_size=14
)


def run_of(story: Story) -> Driver:
    """Return a run of the story. A tuple of flows in it is a restart with those flows."""
    run = Driver(Ruleset(()))
    for what, gap in story:
        handle(run, what)
        run.advance(gap)
        check_timers(run)
    return run


def handle(run: Driver, what: What) -> None:
    """Handle an event, a code of the shop, or a restart with other flows."""
    if isinstance(what, tuple):
        restart(run, what)
    elif isinstance(what, Code):
        run.stock(what)
    else:
        run.handle(what)


def restart(run: Driver, flows: tuple[Flow, ...]) -> None:
    """Replace the flows; encode and decode the state."""
    run.ruleset = Ruleset(flows)
    for key, state in run.customers.items():
        read = decode_customer(encode_customer(state))
        assert read == state
        run.customers[key] = read


def check_timers(run: Driver) -> None:
    """Check that each waiting instance has a timer for its due time, and that no instance waits twice."""
    timers = {effect.timer_id for effect in run.effects if isinstance(effect, ScheduleTimer)}
    for state in run.customers.values():
        waiting = [instance.instance_id for instance in state.instances]
        assert len(waiting) == len(set(waiting))
        for instance in state.instances:
            assert ids.timer_id(instance.instance_id, instance.step, instance.due_at) in timers


@settings(max_examples=examples(250), deadline=None)
@given(stories, versions())
def test_whatever_changes_in_a_flow(story: Story, last: tuple[Flow, ...]) -> None:
    """Nothing happens twice, each email has its decision, and every instance ends once the flow stays the same."""
    last = tuple([replace(flow, status="live") for flow in last])
    run = run_of(story)
    restart(run, last)
    run.advance(120 * DAY)
    check_once(run.effects)
    decided = {one.send_id for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"}
    assert {mail.send_id for mail in run.mails()} == decided
    assert [state.instances for state in run.customers.values() if state.instances] == []
    check_codes(run)
    before = len(run.mails())
    run.handle(*[timer_fired(one, run.now) for one in run.effects if isinstance(one, ScheduleTimer)])
    assert len(run.mails()) == before


@settings(max_examples=examples(100), deadline=None)
@given(stories)
def test_a_deleted_flow(story: Story) -> None:
    """If a flow is deleted, its instances end without another email, and a decision logs why."""
    run = run_of(story)
    waiting = {one.instance_id for state in run.customers.values() for one in state.instances}
    mails = len(run.mails())
    restart(run, ())
    run.advance(120 * DAY)
    gone = {one.instance_id for one in run.effects if isinstance(one, LogDecision) and one.rule == "flow_gone"}
    assert waiting <= gone
    assert len(run.mails()) == mails
    assert all(state.instances == () for state in run.customers.values())
    check_once(run.effects)


@settings(max_examples=examples(100), deadline=None)
@given(stories, versions())
def test_instances_finish_on_their_own_version(story: Story, last: tuple[Flow, ...]) -> None:
    """An instance finishes on the version it started with, unless that is deleted or a migration moves it."""
    run = Driver(Ruleset(()))
    began: dict[str, int] = {}
    for what, gap in [*story, (last, 120 * DAY)]:
        handle(run, what)
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
