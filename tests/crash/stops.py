"""How long partitions stood still around the faults of a scenario: those of the processes that a fault hit, and those of all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

WORKER, MAILER = "worker", "mailer"


@dataclass(frozen=True)
class Fault:
    """A fault, or an operation that takes partitions from a process.

    Attributes:
        at_ms: when, in ms since 1970.
        owned: role -> the partitions of the processes of this role that the fault hit. All others of the role are those of the others.
    """

    at_ms: int
    owned: Mapping[str, frozenset[int]]


@dataclass
class Stops:
    """The longest stops of a scenario, in seconds. None: there was no such partition.

    Attributes:
        victim_s: of a partition whose owner was hit.
        others_s: of any other partition.
    """

    victim_s: float | None = None
    others_s: float | None = None

    def add(self, is_victim: bool, seconds: float) -> None:
        """Note that a partition stood still for `seconds`."""
        if is_victim:
            self.victim_s = max(self.victim_s or 0.0, round(seconds, 1))
        else:
            self.others_s = max(self.others_s or 0.0, round(seconds, 1))


def longest_stops(
    faults: Iterable[Fault],
    outputs: Mapping[tuple[str, int], Iterable[int]],
    windows: Iterable[tuple[int, int]],
) -> Stops:
    """Return the longest times without output after a fault.

    A stop belongs to the faults during it, and without one to the fault before it. It is a victim's if one of these faults hit the owner of
    the partition.

    Args:
        faults: in the order of their times.
        outputs: role and partition -> the times of its outputs, in ms since 1970.
        windows: start and end of each time in which the shop placed orders. Only then a partition must have output.
    """
    stops, faults, windows = Stops(), list(faults), list(windows)
    for (role, partition), times in outputs.items():
        hits = [(fault.at_ms, partition in fault.owned[role]) for fault in faults if role in fault.owned]
        for opened, closed in windows:
            within = [*sorted(at for at in times if opened <= at <= closed), closed]
            for start, end in pairwise(within):
                during = [is_victim for at, is_victim in hits if start < at <= end]
                before = [is_victim for at, is_victim in hits if opened <= at <= start]
                if during or before:
                    stops.add(any(during or before[-1:]), (end - start) / 1000)
    return stops
