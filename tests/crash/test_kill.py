"""Worker and mailer killed under load: inbox, output and state equal a recomputation from the input."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.wire import topics
from tests.crash.outages import YEARS_S, step_clock
from tests.crash.results import Row
from tests.crash.scenario_run import ScenarioRun
from tests.crash.scenarios import own_clock
from tests.harness.stack import HEARTBEATS, Stack, await_heartbeats, open_stack

SECONDS = 12.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with one worker and one mailer."""
    with open_stack(tmp_path, env=HEARTBEATS | own_clock(tmp_path)) as stack:
        yield stack


def test_worker_and_mailer_killed(stack: Stack) -> None:
    """Worker and mailer are killed in turn and keep their disks: no email is lost, and only sends in flight arrive twice.

    Then their clock is ten years ahead for a moment: both exit, refuse to start by it, and no email is early.
    """
    shop = stack.run_shop(SECONDS, 25.0, poison=0.03)
    kills = 0
    while shop.is_alive():
        for process in stack.processes:
            accepted = stack.inbox.accepted
            deadline = time.monotonic() + 15
            while stack.inbox.accepted < accepted + 30 and time.monotonic() < deadline and shop.is_alive():
                time.sleep(0.01)
            process.kill()
            kills += 1
            process.start()
            process.await_ready()
    shop.join()
    shop = stack.run_shop(1.0, 40.0, seed=4)
    step_clock(ScenarioRun(stack, Row("clock", "", 4), 0.0), YEARS_S)
    shop.join()
    await_heartbeats(stack)
    stack.wait_until_idle()
    verdict = stack.judge()
    assert kills >= 2
    assert verdict.problems == []
    assert verdict.lost == []
    assert len(verdict.sends) > 200
    dead_letters = stack.records(topics.DEAD_LETTERS)
    assert dead_letters
    assert {letter["reason"] for letter in dead_letters} <= {"not_avro", "unknown_schema", "truncated"}
    # An email may arrive twice only if its data had begun before a kill. The bound is twice the default number of SMTP connections.
    duplicated = [send for send in verdict.duplicates if send in verdict.sends]
    assert verdict.duplicates == duplicated
    assert len(duplicated) <= 8 * kills
