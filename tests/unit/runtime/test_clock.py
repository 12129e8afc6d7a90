"""The clock: a step of more than five minutes ends the process before a batch can use the wrong time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.clock import MAX_READING_S, MAX_STEP_S, Clock, elapsed_s

YEARS_S = 10 * 365 * 86_400.0


class Stepped(Exception):
    """The end of the process."""


class Machine:
    """The two clocks of a machine. `pause_s` seconds pass within the next reading."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.elapsed = 5.0
        self.pause_s = 0.0
        self.steps: list[float] = []
        self.clock = Clock(self._end, wall=self.read, elapsed=lambda: self.elapsed)

    def _end(self, step_s: float) -> None:
        self.steps.append(step_s)
        raise Stepped

    def read(self) -> float:
        """The wall clock as it is read. Then the process may be suspended."""
        now = self.wall
        self.pass_time(self.pause_s)
        self.pause_s = 0.0
        return now

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.wall += seconds
        self.elapsed += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("step_s", [YEARS_S, 3600.0, MAX_STEP_S + 1, -MAX_STEP_S - 1, -3600.0, -YEARS_S])
def test_a_step_ends_the_process(machine: Machine, step_s: float) -> None:
    """The first reading after a step returns no time, in either direction."""
    machine.clock()
    machine.wall += step_s
    with pytest.raises(Stepped):
        machine.clock()
    assert machine.steps == pytest.approx([step_s])


@given(
    st.lists(st.tuples(st.floats(0, 1e7), st.floats(-MAX_STEP_S + 1, MAX_STEP_S - 1), st.floats(0, 1e6)), max_size=30)
)
def test_no_step(changes: list[tuple[float, float, float]]) -> None:
    """Long pauses, suspensions at any moment, and any number of corrections of less than five minutes do not count as steps."""
    machine = Machine()
    for passed_s, correction_s, pause_s in changes:
        machine.pass_time(passed_s)
        machine.wall += correction_s
        machine.pause_s = pause_s
        read_s = machine.clock() / 1000
        assert 0 <= machine.wall - read_s <= MAX_READING_S + 0.01
    assert machine.steps == []


@pytest.mark.parametrize("shift", [lambda: 0.0, lambda: YEARS_S])
def test_a_clock_that_is_always_wrong(shift: Callable[[], float]) -> None:
    """A clock that is off by a constant has no step, and a real clock passes. Only the broker's clock shows that it is wrong."""
    clock = Clock(lambda step_s: pytest.fail(f"step of {step_s} s"), wall=lambda: time.time() + shift())
    assert abs(clock() / 1000 - time.time() - shift()) < 60


def test_the_elapsed_time_goes_on() -> None:
    """The clock that cannot be set is at least as old as the monotonic one, which a suspension of the machine stops."""
    assert elapsed_s() >= time.monotonic() - 1
