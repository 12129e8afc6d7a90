"""Versions of a flow under people who are on their way through it: they finish on theirs, or go on where a migration says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision, ScheduleTimer
from streams.core.model.events import OrderPlaced, OrderRefunded
from streams.core.model.flow import Flow, Migration
from streams.core.model.instance import Instance
from streams.core.model.ruleset import Ruleset
from streams.definitions.language.flow import parse_flow
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, open_email, sent

HEAD = "flow: f\nversion: {version}\nstatus: {status}\npurpose: service\ntrigger: {{on: order.placed}}\n"
OLD = "steps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}, {wait: 2d}, {send: {message: c}}]"
NEW = "steps: [{send: {message: a}}, {wait: 1d}, {send: {message: d}}, {wait: 2d}, {send: {message: c}}]"


def flow(version: int, body: str, status: str = "live") -> Flow:
    """A version of the flow."""
    text = HEAD.format(version=version, status=status) + body
    parsed = parse_flow(text, ["a", "b", "c", "d", "e"], "f")
    assert isinstance(parsed, Flow), parsed
    return parsed


def moving(steps: str, version: int = 1) -> str:
    """The lines of a migration."""
    return f"migrations: [{{from: {version}, steps: {steps}}}]\n"


def deploy(run: Driver, *flows: Flow) -> None:
    """New flow files; the state is written and read, as in a restart."""
    run.ruleset = Ruleset(flows)
    run.customers = {key: decode_customer(encode_customer(state)) for key, state in run.customers.items()}


def started(*flows: Flow) -> Driver:
    """The customer c1 has bought under these flows."""
    run = Driver(Ruleset(flows))
    buy(run)
    return run


def running(run: Driver) -> list[tuple[int, str]]:
    """Version and step of every run of c1."""
    return [(one.flow_version, one.step) for one in run.customers["c1"].instances]


def waiting(run: Driver) -> Instance:
    """The only run of c1."""
    (one,) = run.customers["c1"].instances
    return one


def migrations(run: Driver) -> list[str]:
    """What was decided by migrations."""
    return [one.detail for one in run.effects if isinstance(one, LogDecision) and one.rule == "migrated"]


def test_a_run_finishes_on_its_version() -> None:
    """A newer version beside the older: who is on the way goes on as he began, who comes now begins on the newest."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, NEW))
    buy(run, "o2")
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("a", 0), ("d", 1), ("b", 2), ("c", 3), ("c", 4)]
    assert migrations(run) == []


def test_the_newest_being_paused_pauses_all() -> None:
    """`status: paused` in flow.yaml stops older versions too, and lets them go on; a draft leaves them as they are."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, NEW, "paused"))
    run.advance(3 * DAY)
    assert sent(run) == [("a", 0)]
    deploy(run, flow(1, OLD), flow(2, NEW, "draft"))
    run.advance(2 * HOUR)
    assert [message for message, _ in sent(run)] == ["a", "b"]


def test_a_migration_moves_who_waits() -> None:
    """At its next wake-up a run goes on at the mapped step of the new version, and stays there."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, moving('{"2": "4"}') + NEW))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("c", 2)]
    (words,) = migrations(run)
    assert words.startswith("continues at step 4 of version 2 as instance ")
    assert running(run) == []


def test_who_is_not_mapped_finishes_on_his_own() -> None:
    """Of two runs at different steps only the mapped one moves."""
    run = started(flow(1, OLD))
    run.advance(timedelta(days=2.5))
    buy(run, "o2")
    deploy(run, flow(1, OLD), flow(2, moving('{"2": "2"}') + NEW))
    run.advance(10 * DAY)
    # The first one waited for c and gets it; the second waited for b and gets d in its place, and then c of version 2.
    assert sent(run) == [("a", 0), ("b", 2), ("a", 2.5), ("c", 4), ("d", 4.5), ("c", 6.5)]


def test_a_step_that_went_before_gives_its_mail() -> None:
    """Version 2 without b: c now stands where b stood and was sent from; it is another mail, and it goes."""
    shorter = "steps: [{send: {message: a}}, {wait: 2d}, {send: {message: c}}]"
    run = started(flow(1, OLD))
    run.advance(3 * DAY)
    deploy(run, flow(1, OLD), flow(2, moving('{"4": "2"}') + shorter))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("b", 2), ("c", 4)]
    assert len({mail.send_id for mail in run.mails()}) == 3


def test_nothing_twice() -> None:
    """Timers, orders and wake-ups that come again change nothing after a move, and the order begins no second run."""
    run = started(flow(1, OLD))
    run.advance(3 * DAY)
    deploy(run, flow(1, OLD), flow(2, moving('{"4": "2"}') + NEW))
    run.advance(1.5 * DAY)
    before = (run.customers["c1"], list(run.effects))
    for timer in [one for one in run.effects if isinstance(one, ScheduleTimer) and one.due_at <= run.now]:
        run.handle(timer_fired(timer, run.now))
    run.handle(OrderPlaced(order("o1", START), START))
    assert (run.customers["c1"], run.effects) == before
    run.advance(10 * DAY)
    assert [message for message, _ in sent(run)] == ["a", "b", "d", "c"]
    decisions = [one.decision_id for one in run.effects if isinstance(one, LogDecision)]
    assert len(set(decisions)) == len(decisions)


def test_moves_come_one_after_the_other() -> None:
    """From 1 to 2 and from 2 to 3, with a migration each: a run that slept through version 2 goes both ways at once."""
    second = flow(2, moving('{"2": "4"}') + NEW)
    third = flow(3, moving('{"4": "0"}', 2) + "steps: [{send: {message: e}}]")
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), second, third)
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("e", 2)]
    assert len(migrations(run)) == 1


def test_the_newest_migration_wins() -> None:
    """Two versions that both take over version 1: the newest does."""
    run = started(flow(1, OLD))
    third = flow(3, moving('{"2": "0"}') + "steps: [{send: {message: e}}]")
    deploy(run, flow(1, OLD), flow(2, moving('{"2": "4"}') + NEW), third)
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("e", 2)]


AWAITING = "steps: [{send: {message: a}}, {wait_for: {event: mail.opened, up_to: 5d, then: [{send: {message: b}}]}}]"
AWAITING_NEW = (
    "steps: [{send: {message: a}}, {wait: 1d}, {wait_for: {event: mail.opened, up_to: 9d,"
    " then: [{send: {message: c}}, {wait_for: {event: mail.opened, up_to: 3d, then: [{send: {message: e}}]}}],"
    " otherwise: [{send: {message: d}}]}}]"
)


def test_a_run_that_waits_for_an_event_moves_with_it() -> None:
    """The event leads it the way of the new version, also a later one about a mail of before the move."""
    run = started(flow(1, AWAITING))
    first = run.mails()[0].send_id
    deploy(run, flow(1, AWAITING), flow(2, moving('{"1": "2"}') + AWAITING_NEW))
    run.advance(DAY)
    open_email(run, first)
    assert sent(run) == [("a", 0), ("c", 1)]
    run.advance(DAY)
    open_email(run, first)
    run.advance(20 * DAY)
    assert sent(run) == [("a", 0), ("c", 1), ("e", 2)]


def test_a_run_whose_event_never_comes_moves_too() -> None:
    """The time limit that it began with holds; then it goes the new version's other way."""
    run = started(flow(1, AWAITING))
    deploy(run, flow(1, AWAITING), flow(2, moving('{"1": "2"}') + AWAITING_NEW))
    run.advance(20 * DAY)
    assert sent(run) == [("a", 0), ("d", 5)]


def test_an_event_that_is_not_meant_leaves_it_waiting() -> None:
    """With a condition that does not hold the run stays as it is, and its timer still wakes it."""
    strict = AWAITING_NEW.replace("up_to: 9d", "up_to: 9d, where: event.message == 'x'")
    run = started(flow(1, AWAITING))
    deploy(run, flow(1, AWAITING), flow(2, moving('{"1": "2"}') + strict))
    open_email(run, run.mails()[0].send_id)
    assert running(run) == [(1, "1")]
    run.advance(20 * DAY)
    assert sent(run) == [("a", 0), ("d", 5)]


def test_the_new_version_says_what_ends_it() -> None:
    """Refunded in the meantime: version 2 ends with it, and so does who is moved to it."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, "exit_on: [order.refunded]\n" + moving('{"2": "4"}') + NEW))
    run.handle(OrderRefunded(order("o1", START), START + HOUR))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0)]
    assert running(run) == []


def test_a_step_that_became_another() -> None:
    """Without the old file a run goes on with what stands at its step, even if that no longer waits for the event."""
    run = started(flow(1, AWAITING))
    deploy(run, flow(2, OLD.replace("{wait: 2d}", "{send: {message: e}}", 1)))
    run.advance(20 * DAY)
    assert [message for message, _ in sent(run)][:2] == ["a", "e"]


def test_a_put_off_mail_keeps_its_age() -> None:
    """A mail that is the same in both versions expires when it would have; another one begins anew."""
    text = "steps: [{wait: 1d}, {send: {message: a, expires: 2d}}]"
    other = "steps: [{wait: 1d}, {send: {message: %s, expires: 2d}}]"
    for message, mails in (("a", []), ("b", ["b"])):
        run = started(flow(1, text, "paused"))
        run.advance(2 * DAY)
        assert waiting(run).step == "1"
        # Paused mails have no age yet; give it one, as a full cap would.
        aged = replace(waiting(run), wanted_at=START)
        run.customers["c1"] = replace(run.customers["c1"], instances=(aged,))
        deploy(run, flow(1, text), flow(2, moving('{"1": "1"}') + other % message))
        run.advance(2 * DAY)
        assert run.messages() == mails


@pytest.mark.parametrize(
    ("body", "column", "id"),
    [
        (moving('{"2": "4"}', 2), 21, "flow.E007"),
        (moving("{}"), 31, "flow.E009"),
        (moving('{"2": "4", "2": "2"}'), 42, "yaml.E009"),
        (moving('{"two": "4"}'), 32, "flow.E010"),
        (moving('{"2": "1.0"}'), 37, "flow.E010"),
        ("migrations: [{from: 1}]\n", 14, "yaml.E011"),
        ("migrations: [{from: 1, steps: {0: 0}}, {from: 1, steps: {0: 0}}]\n", 47, "flow.E008"),
    ],
)
def test_invalid_migrations(body: str, column: int, id: str) -> None:
    """A version that is not older, a missing mapping and invalid paths are one error each, with its position."""
    parsed = parse_flow(HEAD.format(version=2, status="live") + body + NEW, ["a", "c", "d"], "f")
    assert isinstance(parsed, list)
    (problem,) = parsed
    assert (problem.location.line, problem.location.column, problem.id) == (6, column, id)


def test_migrations_are_read() -> None:
    """Paths may be written with and without quotes."""
    read = flow(7, 'migrations:\n  - from: 3\n    steps: {1.0.10: 2, "0": 2.0.1}\n' + NEW)
    assert read.migrations == (Migration(version=3, steps=(("1.0.10", "2"), ("0", "2.0.1"))),)


@pytest.mark.parametrize("is_woken", [True, False])
def test_once_stays_once(is_woken: bool) -> None:
    """A flow that begins once a customer does not begin again for who was moved, by a timer or by an event."""

    def once(version: int, body: str) -> Flow:
        text = HEAD.replace("order.placed", "order.placed, once_per: customer").format(version=version, status="live")
        parsed = parse_flow(text + body, ["a", "b", "c", "d", "e"], "f")
        assert isinstance(parsed, Flow)
        return parsed

    run = started(once(1, AWAITING))
    deploy(run, once(1, AWAITING), once(2, moving('{"1": "2"}') + AWAITING_NEW))
    if is_woken:
        run.advance(6 * DAY)
    else:
        open_email(run, run.mails()[0].send_id)
    assert len(migrations(run)) == 1
    buy(run, "o2")
    run.advance(20 * DAY)
    assert [message for message, _ in sent(run)] == ["a", "d" if is_woken else "c"]
