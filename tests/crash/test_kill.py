"""kill -9 in mid-run: whatever is killed, the inbox, the outputs and the state are what a recomputation from the input says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.wire import topics
from tests.harness.stack import Stack, open_stack

SECONDS = 20.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with open_stack(tmp_path) as stack:
        yield stack


def test_worker_and_mailer_killed(stack: Stack) -> None:
    """Flows worker and mailer are killed in turn under load, disk kept: nothing lost; at most the counted unknown sends doubled."""
    shop = stack.run_shop(SECONDS, 40.0, poison=0.02)
    kills = 0
    while shop.is_alive():
        for process in stack.processes:
            mails = stack.inbox.accepted
            deadline = time.monotonic() + 15
            while stack.inbox.accepted < mails + 30 and time.monotonic() < deadline and shop.is_alive():
                time.sleep(0.01)
            process.kill()
            kills += 1
            process.start()
            process.await_ready()
    shop.join()
    stack.wait_until_idle()
    verdict = stack.judge()
    assert kills >= 2
    assert verdict.problems == []
    assert verdict.lost == []
    assert len(verdict.sends) > 300
    dead = stack.records(topics.DEAD_LETTERS)
    assert dead
    assert {letter["reason"] for letter in dead} <= {"not_avro", "unknown_schema", "truncated"}
    # A mail may come twice only where the ledger found it in flight after its data had begun, and each such one is reported.
    doubled = [send for send in verdict.duplicates if send in verdict.sends]
    assert verdict.duplicates == doubled
    assert len(doubled) <= 8 * kills
