"""Versions of a flow: instances finish on their version, or continue where a migration maps them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision, ScheduleTimer
from streams.core.model.events import OrderPlaced, OrderRefunded
from streams.core.model.instance import Instance
from streams.core.rules.flow import Flow, Migration
from streams.core.rules.ruleset import Ruleset
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
    """Deploy new flow files. The state is encoded and decoded, as in a restart."""
    run.ruleset = Ruleset(flows)
    run.customers = {key: decode_customer(encode_customer(state)) for key, state in run.customers.items()}


def started(*flows: Flow) -> Driver:
    """A driver with these flows, after an order of the customer c1."""
    run = Driver(Ruleset(flows))
    buy(run)
    return run


def running(run: Driver) -> list[tuple[int, str]]:
    """Version and step of every instance of c1."""
    return [(instance.flow_version, instance.step) for instance in run.customers["c1"].instances]


def waiting(run: Driver) -> Instance:
    """The only instance of c1."""
    (one,) = run.customers["c1"].instances
    return one


def migrations(run: Driver) -> list[str]:
    """The details of the decisions of migrations."""
    return [effect.detail for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "migrated"]


def test_instances_finish_on_their_version() -> None:
    """An instance finishes on the version it started with, and a new instance starts on the newest."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, NEW))
    buy(run, "o2")
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("a", 0), ("d", 1), ("b", 2), ("c", 3), ("c", 4)]
    assert migrations(run) == []


def test_pause() -> None:
    """`status: paused` in flow.yaml pauses older versions too; a draft does not."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, NEW, "paused"))
    run.advance(3 * DAY)
    assert sent(run) == [("a", 0)]
    deploy(run, flow(1, OLD), flow(2, NEW, "draft"))
    run.advance(2 * HOUR)
    assert [message for message, _ in sent(run)] == ["a", "b"]


def test_migration() -> None:
    """At its next timer an instance continues at the mapped step of the new version."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, moving('{"2": "4"}') + NEW))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("c", 2)]
    (words,) = migrations(run)
    assert words.startswith("continues at step 4 of version 2 as instance ")
    assert running(run) == []


def test_unmapped_instances() -> None:
    """Only instances at mapped steps are moved."""
    run = started(flow(1, OLD))
    run.advance(timedelta(days=2.5))
    buy(run, "o2")
    deploy(run, flow(1, OLD), flow(2, moving('{"2": "2"}') + NEW))
    run.advance(10 * DAY)
    # The first instance waits for c and gets it. The second waits for b, gets d instead, and then c of version 2.
    assert sent(run) == [("a", 0), ("b", 2), ("a", 2.5), ("c", 4), ("d", 4.5), ("c", 6.5)]


def test_other_email_at_the_same_path() -> None:
    """A new email at the path of one that was sent before is another email, and is sent."""
    shorter = "steps: [{send: {message: a}}, {wait: 2d}, {send: {message: c}}]"
    run = started(flow(1, OLD))
    run.advance(3 * DAY)
    deploy(run, flow(1, OLD), flow(2, moving('{"4": "2"}') + shorter))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("b", 2), ("c", 4)]
    assert len({mail.send_id for mail in run.mails()}) == 3


def test_repeated_events() -> None:
    """Repeated timers and orders change nothing after a move."""
    run = started(flow(1, OLD))
    run.advance(3 * DAY)
    deploy(run, flow(1, OLD), flow(2, moving('{"4": "2"}') + NEW))
    run.advance(1.5 * DAY)
    before = (run.customers["c1"], list(run.effects))
    for timer in [effect for effect in run.effects if isinstance(effect, ScheduleTimer) and effect.due_at <= run.now]:
        run.handle(timer_fired(timer, run.now))
    run.handle(OrderPlaced(order("o1", START), START))
    assert (run.customers["c1"], run.effects) == before
    run.advance(10 * DAY)
    assert [message for message, _ in sent(run)] == ["a", "b", "d", "c"]
    decisions = [effect.decision_id for effect in run.effects if isinstance(effect, LogDecision)]
    assert len(set(decisions)) == len(decisions)


def test_two_migrations() -> None:
    """An instance that missed version 2 is moved from version 1 to 3 by both migrations."""
    second = flow(2, moving('{"2": "4"}') + NEW)
    third = flow(3, moving('{"4": "0"}', 2) + "steps: [{send: {message: e}}]")
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), second, third)
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0), ("e", 2)]
    assert len(migrations(run)) == 1


def test_newest_migration_wins() -> None:
    """Of two versions that take over version 1 the newest does."""
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


def test_migration_with_an_event() -> None:
    """The event takes the instance to the branch of the new version. Emails of before the move still count."""
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


def test_migration_without_the_event() -> None:
    """The instance keeps its time limit, then takes the other branch of the new version."""
    run = started(flow(1, AWAITING))
    deploy(run, flow(1, AWAITING), flow(2, moving('{"1": "2"}') + AWAITING_NEW))
    run.advance(20 * DAY)
    assert sent(run) == [("a", 0), ("d", 5)]


def test_migration_with_another_event() -> None:
    """An event that fails the new condition leaves the instance waiting."""
    strict = AWAITING_NEW.replace("up_to: 9d", "up_to: 9d, where: event.message == 'x'")
    run = started(flow(1, AWAITING))
    deploy(run, flow(1, AWAITING), flow(2, moving('{"1": "2"}') + strict))
    open_email(run, run.mails()[0].send_id)
    assert running(run) == [(1, "1")]
    run.advance(20 * DAY)
    assert sent(run) == [("a", 0), ("d", 5)]


def test_exits_of_the_new_version() -> None:
    """`exit_on` of the new version ends instances that would be moved."""
    run = started(flow(1, OLD))
    deploy(run, flow(1, OLD), flow(2, "exit_on: [order.refunded]\n" + moving('{"2": "4"}') + NEW))
    run.handle(OrderRefunded(order("o1", START), START + HOUR))
    run.advance(10 * DAY)
    assert sent(run) == [("a", 0)]
    assert running(run) == []


def test_missing_old_version() -> None:
    """Without the old file an instance continues with the newest step at its path."""
    run = started(flow(1, AWAITING))
    deploy(run, flow(2, OLD.replace("{wait: 2d}", "{send: {message: e}}", 1)))
    run.advance(20 * DAY)
    assert [message for message, _ in sent(run)][:2] == ["a", "e"]


def test_deferred_email_keeps_its_age() -> None:
    """A deferred email that is the same in both versions keeps its expiry. Another email starts over."""
    text = "steps: [{wait: 1d}, {send: {message: a, expires: 2d}}]"
    other = "steps: [{wait: 1d}, {send: {message: %s, expires: 2d}}]"
    for message, mails in (("a", []), ("b", ["b"])):
        run = started(flow(1, text, "paused"))
        run.advance(2 * DAY)
        assert waiting(run).step == "1"
        # A paused email has no age yet. Give it one, as a full cap would.
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
    """Paths may be quoted or not."""
    read = flow(7, 'migrations:\n  - from: 3\n    steps: {1.0.10: 2, "0": 2.0.1}\n' + NEW)
    assert read.migrations == (Migration(version=3, steps=(("1.0.10", "2"), ("0", "2.0.1"))),)


@pytest.mark.parametrize("is_woken", [True, False])
def test_once_per_customer_after_a_migration(is_woken: bool) -> None:
    """A flow that starts once per customer does not start again after a migration."""

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
