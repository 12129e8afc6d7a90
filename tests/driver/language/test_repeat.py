"""Repetitions: rounds, the wait between them, and what ends them."""

from __future__ import annotations

import pytest

from streams.core.model.effects import LogDecision
from streams.core.model.events import OrderPaid
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, buy, run_of, sent

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
