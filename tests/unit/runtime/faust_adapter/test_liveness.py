"""Threads that stand still are found by the step that they do not finish."""

from __future__ import annotations

from streams.runtime.faust_adapter.liveness import STEP_LIMIT_S, Liveness


def test_a_step_that_does_not_end() -> None:
    """Only a thread whose step lasts longer than the limit stands still; later steps of it do not hide that."""
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    liveness.begin("membership")
    with liveness.step("reader"):
        now[0] = STEP_LIMIT_S
        assert not list(liveness.stalled())
        now[0] += 1
        liveness.begin("membership")
        assert dict(liveness.stalled()) == {"reader": STEP_LIMIT_S + 1, "membership": STEP_LIMIT_S + 1}
    assert dict(liveness.stalled()) == {"membership": STEP_LIMIT_S + 1}
    liveness.end("membership")
    assert not list(liveness.stalled())
