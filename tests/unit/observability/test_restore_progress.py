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


def test_restore_tells_the_time_left() -> None:
    """A restore's lines come every few seconds with the share done and the seconds left; its end is told too."""
    clock = Clock()
    report = RestoreProgress(clock)
    restored = {"stage": STAGE}
    with capture_logs() as lines:
        for done in range(0, 1001, 10):
            report.step(STAGE, done, 1000)
            if done == 250:
                assert report.text == f"restoring {STAGE}: 25 %, about 19 s left"
                assert metrics.REGISTRY.get_sample_value("takk_restore_progress_ratio", restored) == 0.25
                assert metrics.REGISTRY.get_sample_value("takk_restore_offsets_per_second", restored) == 40
                assert metrics.REGISTRY.get_sample_value("takk_restore_left_seconds", restored) == 18.75
            clock.now += 0.25
        report.end(STAGE, 900, 25.0)
    assert [line["seconds_left"] for line in lines[:-1]] == [None, *range(23, 0, -2)]
    assert [line["percent"] for line in lines[:-1]] == [*range(0, 100, 8)]
    assert (lines[-1]["event"], lines[-1]["records"]) == ("restored", 900)
    assert json.dumps(lines)
    assert report.text == ""
    assert [line["offsets_per_s"] for line in lines[:-1]] == [0, *[40] * 12]
    assert metrics.REGISTRY.get_sample_value("takk_restore_progress_ratio", restored) == 1
    assert metrics.REGISTRY.get_sample_value("takk_restore_left_seconds", restored) == 0
    assert metrics.REGISTRY.get_sample_value("takk_restored_records_total", restored) == 900


def test_second_restore_begins_anew() -> None:
    """A later restore of the same stage, and one of nothing, are told by themselves."""
    clock = Clock()
    report = RestoreProgress(clock)
    report.step(STAGE, 10, 10)
    report.end(STAGE, 10, 0.1)
    clock.now += 3600
    with capture_logs() as lines:
        report.step(STAGE, 0, 100)
        clock.now += 3
        report.step(STAGE, 50, 100)
        report.end(STAGE, 0, 0.0)
    assert [line.get("seconds_left") for line in lines] == [None, 3]
