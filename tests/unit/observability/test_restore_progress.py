"""Restore progress: gauges, log lines and the time left."""

from __future__ import annotations

import json

from structlog.testing import capture_logs

from streams.observability import metrics
from streams.observability.restore_progress import RestoreProgress

STAGE = "restored"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_restore_reports_the_time_left() -> None:
    """A running restore logs its percentage and the seconds left every few seconds, and its end."""
    clock = Clock()
    progress = RestoreProgress(clock)
    restored = {"stage": STAGE}
    with capture_logs() as lines:
        for done in range(0, 1001, 10):
            progress.step(STAGE, done, 1000)
            if done == 250:
                assert progress.text == f"restoring {STAGE}: 25 %, about 19 s left"
                assert metrics.REGISTRY.get_sample_value("takk_restore_progress_ratio", restored) == 0.25
                assert metrics.REGISTRY.get_sample_value("takk_restore_offsets_per_second", restored) == 40
                assert metrics.REGISTRY.get_sample_value("takk_restore_left_seconds", restored) == 18.75
            clock.now += 0.25
        progress.end(STAGE, 900, 25.0)
    assert [line["seconds_left"] for line in lines[:-1]] == [None, *range(23, 0, -2)]
    assert [line["percent"] for line in lines[:-1]] == [*range(0, 100, 8)]
    assert (lines[-1]["event"], lines[-1]["records"]) == ("restored", 900)
    assert json.dumps(lines)
    assert progress.text == ""
    assert [line["offsets_per_s"] for line in lines[:-1]] == [0, *[40] * 12]
    assert metrics.REGISTRY.get_sample_value("takk_restore_progress_ratio", restored) == 1
    assert metrics.REGISTRY.get_sample_value("takk_restore_left_seconds", restored) == 0
    assert metrics.REGISTRY.get_sample_value("takk_restored_records_total", restored) == 900


def test_a_second_restore_is_reported_separately() -> None:
    """A later restore of the same stage has its own rate; one without records logs no end."""
    clock = Clock()
    progress = RestoreProgress(clock)
    progress.step(STAGE, 10, 10)
    progress.end(STAGE, 10, 0.1)
    clock.now += 3600
    with capture_logs() as lines:
        progress.step(STAGE, 0, 100)
        clock.now += 3
        progress.step(STAGE, 50, 100)
        progress.end(STAGE, 0, 0.0)
    assert [line.get("seconds_left") for line in lines] == [None, 3]


def test_stages_that_are_restored_side_by_side_are_all_reported() -> None:
    """The progress names every stage whose restore runs, and no longer the one that has ended."""
    progress = RestoreProgress(Clock())
    progress.step("flows", 1, 2)
    progress.step("scheduler", 0, 2)
    assert progress.text == "restoring flows: 50 %; restoring scheduler: 0 %"
    progress.end("flows", 1, 0.1)
    assert progress.text == "restoring scheduler: 0 %"
