"""The answers of `/livez` and `/readyz`, for each state of a process."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.observability import metrics
from streams.observability.probes import REBALANCE_S, Probes


@dataclass
class Process:
    """A process: its tasks, its membership, its threads and a clock, all set by the test."""

    is_ready: bool = False
    restoring: int = 0
    is_member: bool = False
    is_broker_away: bool = False
    is_over: bool = False
    is_cluster_down: bool = False
    stalled: dict[str, float] = field(default_factory=dict)
    progress: str = ""
    startup: str = ""
    now: float = 0.0

    def probes(self) -> Probes:
        return Probes(
            self,
            self,
            is_cluster_down=lambda: self.is_cluster_down,
            stalled=lambda: iter(self.stalled.items()),
            progress=lambda: self.progress,
            startup=lambda: self.startup,
            clock=lambda: self.now,
        )


def test_ready_with_the_first_assignment() -> None:
    """A process is alive from its start, and ready once its partitions are restored, however long that takes."""
    process = Process()
    probes = process.probes()
    assert probes.is_ready() == (False, "joining or rebalancing")
    process.progress, process.now = "restoring flows 50 %", 1000.0
    assert probes.is_ready() == (False, "restoring flows 50 %")
    assert probes.is_alive()[0]
    process.is_ready = True
    assert probes.is_ready() == (True, "ready")


def test_during_its_start_it_is_alive_and_not_ready() -> None:
    """While a process waits for Kafka before it has joined, `/readyz` fails with what it waits for, and `/livez` answers."""
    process = Process(startup="waiting for Kafka at broker:9092", is_broker_away=True)
    probes = process.probes()
    assert probes.is_ready() == (False, "waiting for Kafka at broker:9092")
    assert probes.is_alive()[0]


def test_an_ordinary_rebalance_leaves_it_ready() -> None:
    """`/readyz` does not change during a rebalance, and fails when it lasts unusually long, until it is over."""
    process = Process(is_ready=True)
    probes = process.probes()
    assert probes.is_ready()[0]
    process.is_ready, process.now = False, REBALANCE_S
    assert probes.is_ready()[0]
    process.now += 1
    assert probes.is_ready() == (False, f"joining or rebalancing for {REBALANCE_S + 1:.0f} s")
    process.is_ready = True
    assert probes.is_ready()[0]


def test_a_broker_that_is_away_is_no_reason_for_a_restart() -> None:
    """Without the broker a process is alive and not ready, whatever else is the matter; then it is as before."""
    for away in ("is_broker_away", "is_cluster_down"):
        process = Process(is_ready=True, **{away: True}, is_over=True, stalled={"reader": 100.0})
        probes = process.probes()
        assert probes.is_alive() == (True, "ok, waiting for the broker")
        assert probes.is_ready() == (False, "the broker does not answer")
        setattr(process, away, False)
        assert probes.is_ready() == (True, "ready")
        assert not probes.is_alive()[0]


def test_outside_the_group_it_is_not_alive() -> None:
    """`/livez` fails when the broker answers that the process is not a member."""
    process = Process(is_over=True)
    assert process.probes().is_alive() == (False, "the broker answers that this process is not a member of its group")


def test_a_thread_that_stands_still_is_not_alive() -> None:
    """`/livez` names the thread."""
    process = Process(stalled={"reader": 75.0})
    assert process.probes().is_alive() == (False, "the reader thread has stood still for 75 s")


def test_membership_and_restores_are_gauges() -> None:
    """The gauges show the same as the probes, also before the first assignment."""
    process = Process(restoring=4)
    probes = process.probes()
    probes.look()
    assert (metrics.MEMBER._value.get(), metrics.RESTORING._value.get()) == (0, 4)
    process.is_member, process.restoring = True, 0
    probes.is_ready()
    assert (metrics.MEMBER._value.get(), metrics.RESTORING._value.get()) == (1, 0)
