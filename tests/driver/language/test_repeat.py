"""Repetitions: rounds, the wait between them, and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from streams.core.model.effects import LogDecision
from streams.core.model.events import Event, OrderPaid, TimerFired
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of, sent

MINUTE = timedelta(minutes=1)

REMINDERS = """trigger: {on: order.placed}
steps:
  - wait: 1d
  - repeat: {times: 3, every: 2d%s, steps: [{send: {message: a}}]}
  - send: {message: b}
"""


def pay(run: Driver) -> None:
    """Pay the order."""
    run.handle(OrderPaid(order("o1", run.now), run.now))


def test_every_round_sends() -> None:
    """Each round sends its email again, with the wait between two rounds and none after the last one."""
    run = run_of(REMINDERS % "")
    buy(run)
    run.advance(20 * DAY)
    assert sent(run) == [("a", 1), ("a", 3), ("a", 5), ("b", 5)]
    assert len({mail.send_id for mail in run.mails()}) == 4


@pytest.mark.parametrize(
    ("paid_after", "expected"),
    [
        (0.5, [("b", 1)]),
        (2, [("a", 1), ("b", 3)]),
        (4, [("a", 1), ("a", 3), ("b", 5)]),
        (9, [("a", 1), ("a", 3), ("a", 5), ("b", 5)]),
    ],
)
def test_until_ends_the_repetition(paid_after: float, expected: list[tuple[str, float]]) -> None:
    """`until` is evaluated before each round; then the flow continues after the repetition, and the decision says why."""
    run = run_of(REMINDERS % ", until: order.is_paid")
    buy(run)
    run.advance(paid_after * DAY)
    pay(run)
    run.advance(20 * DAY)
    assert sent(run) == expected
    rules = [effect.rule for effect in run.effects if isinstance(effect, LogDecision)]
    assert rules.count("repeat_until") == (paid_after < 9)


def test_an_exit_ends_the_repetition() -> None:
    """An event of `exit_on` ends the flow between two rounds."""
    run = run_of("exit_on: [order.paid]\n" + REMINDERS % "")
    buy(run)
    run.advance(2 * DAY)
    pay(run)
    run.advance(20 * DAY)
    assert sent(run) == [("a", 1)]


def test_rounds_with_branches() -> None:
    """A round can contain branches and waits of its own. `every` has the options of a wait."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps:\n"
        '  - repeat:\n      times: 2\n      every: {days: 1, at: "12:00"}\n      steps:\n'
        "        - wait_for: {event: order.paid, up_to: 1d, then: [{send: {message: b}}], otherwise: [{send: {message: a}}]}\n"
    )
    buy(run)
    run.advance(2 * DAY)
    assert [name for name, _ in sent(run)] == ["a"]
    run.advance(DAY / 4)
    pay(run)
    run.advance(9 * DAY)
    assert [name for name, _ in sent(run)] == ["a", "b"]


class LateTimers(Driver):
    """A simulator whose timers fire late, as those of a busy worker do."""

    late = timedelta(milliseconds=250)

    def handle(self, *events: Event) -> None:
        """Handle events, timers later than they are due."""
        for event in events:
            if isinstance(event, TimerFired):
                self.now += self.late
            super().handle(event)


@pytest.mark.parametrize("late", [timedelta(milliseconds=250), timedelta(minutes=5)])
def test_rounds_at_a_time_of_day_with_late_timers(late: timedelta) -> None:
    """Each round is at its time of day, although its timer fires a little late: no day is left out."""
    run = LateTimers(
        ruleset_of(
            flow_text(
                'trigger: {on: order.placed}\nsteps:\n  - wait: {at: "10:00"}\n'
                '  - repeat: {times: 5, every: {days: 1, at: "10:00"}, steps: [{send: {message: a}}]}\n'
            )
        )
    )
    run.late = late
    buy(run)
    run.advance(20 * DAY)
    assert [int(days) for _, days in sent(run)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("wait", ["30m", "2h", "1d", '{hours: 2, at: "12:00"}', "{wait_for}"])
@pytest.mark.parametrize("late", [20 * MINUTE, 59 * MINUTE, 61 * MINUTE])
def test_emails_are_not_closer_than_the_wait_between_them(wait: str, late: timedelta) -> None:
    """A wait after an email takes its whole length, although the email was late. Two emails never leave together."""
    step = "wait_for: {event: mail.opened, up_to: 30m}" if wait == "{wait_for}" else f"wait: {wait}"
    body = f"trigger: {{on: order.placed}}\nsteps:\n  - wait: 1h\n  - send: {{message: a}}\n  - {step}\n  - send: {{message: b}}\n"
    run = LateTimers(ruleset_of(flow_text(body)))
    run.late = late
    buy(run)
    run.advance(10 * DAY)
    first, second = [
        effect.decided_at for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]
    least = {"30m": 30 * MINUTE, "1d": DAY, "{wait_for}": 30 * MINUTE}.get(wait, 2 * HOUR)
    assert second - first >= least


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=250), 20 * MINUTE])
def test_a_time_of_day_after_an_email_is_the_next_one(late: timedelta) -> None:
    """After an email at ten o'clock, a wait until ten o'clock takes a day, in production and in a simulation."""
    body = 'trigger: {on: order.placed}\nsteps:\n  - wait: {at: "10:00"}\n'
    for rest in (
        '  - repeat: {times: 3, every: {at: "10:00"}, steps: [{send: {message: a}}]}\n',
        '  - send: {message: a}\n  - wait: {at: "10:00"}\n  - send: {message: b}\n  - wait: {at: "10:00"}\n  - send: {message: c}\n',
    ):
        run = LateTimers(ruleset_of(flow_text(body + rest)))
        run.late = late
        buy(run)
        run.advance(10 * DAY)
        days = [days for _, days in sent(run)]
        assert [round(later - earlier, 1) for earlier, later in pairwise(days)] == [1, 1]


def test_rounds_after_a_long_standstill() -> None:
    """After a standstill of hours, the wait between two rounds counts from the round, so that emails do not follow each other closely."""
    body = "trigger: {on: order.placed}\nsteps:\n  - repeat: {times: 3, every: 2d, steps: [{send: {message: a}}]}\n"
    run = LateTimers(ruleset_of(flow_text(body)))
    run.late = 40 * HOUR
    buy(run)
    run.advance(20 * DAY)
    days = [days for _, days in sent(run)]
    assert len(days) == 3
    assert all(later - earlier >= 2 for earlier, later in pairwise(days))


@pytest.mark.parametrize("first", [datetime(2026, 3, 26, 12, tzinfo=UTC), datetime(2026, 10, 22, 12, tzinfo=UTC)])
def test_daily_rounds_over_a_clock_change(first: datetime) -> None:
    """A round at half past two in the night comes every night, also in those of a clock change and after them."""
    body = (
        'trigger: {on: order.placed}\nsteps:\n  - wait: {at: "02:30"}\n'
        '  - repeat: {times: 6, every: {days: 1, at: "02:30"}, steps: [{send: {message: a}}]}\n'
    )
    run = Driver(ruleset_of(flow_text(body)), first)
    buy(run)
    run.advance(20 * DAY)
    days = [
        effect.decided_at.date()
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]
    assert days == [(first + n * DAY).date() for n in range(1, 7)]
