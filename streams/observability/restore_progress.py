"""Restore progress: gauges, a log line every few seconds, and a text for `/readyz`."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from streams.observability import metrics

log = structlog.get_logger(__name__)

#: Seconds between two log lines about a running restore.
RESTORE_LINE_S = 2.0


class RestoreProgress:
    """Reports running restores as gauges, and as a log line every `RESTORE_LINE_S` seconds with the estimated time left.

    Args:
        clock: a monotonic clock, in seconds.

    The stages of a worker are restored side by side, each by a thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: When the first report of a stage's restore came, and the offsets done by then.
        self._first: dict[str, tuple[float, int]] = {}
        self._last_line: dict[str, float] = {}
        #: The progress of each stage whose restore runs.
        self._texts: dict[str, str] = {}

    @property
    def text(self) -> str:
        """The progress for `/readyz`; empty if no restore is running."""
        return "; ".join(list(self._texts.values()))

    def step(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` changelog offsets of a stage are restored."""
        now = self._clock()
        metrics.RESTORE_PROGRESS.labels(stage).set(done / total if total else 1)
        since, first_done = self._first.setdefault(stage, (now, done))
        rate = (done - first_done) / (now - since) if now > since else 0.0
        left = (total - done) / rate if rate else None
        metrics.RESTORE_RATE.labels(stage).set(rate)
        metrics.RESTORE_LEFT.labels(stage).set(left or 0.0)
        percent = 100 * done // total if total else 100
        self._texts[stage] = f"restoring {stage}: {percent} %" + ("" if left is None else f", about {left:.0f} s left")
        if done < total and now - self._last_line.get(stage, since - RESTORE_LINE_S) >= RESTORE_LINE_S:
            self._last_line[stage] = now
            log.info(
                "restoring",
                stage=stage,
                percent=percent,
                offsets_done=done,
                offsets_total=total,
                offsets_per_s=round(rate),
                seconds_left=None if left is None else round(left),
            )

    def end(self, stage: str, records: int, seconds: float) -> None:
        """Report that the newly assigned partitions of a stage are restored."""
        self._first.pop(stage, None)
        self._last_line.pop(stage, None)
        self._texts.pop(stage, None)
        metrics.RESTORE_PROGRESS.labels(stage).set(1)
        metrics.RESTORE_RATE.labels(stage).set(0)
        metrics.RESTORE_LEFT.labels(stage).set(0)
        metrics.RESTORED.labels(stage).inc(records)
        metrics.RESTORE_SECONDS.labels(stage).observe(seconds)
        if records:
            log.info("restored", stage=stage, records=records, seconds=round(seconds, 1))
