"""Gauges of what this process owns: partitions, or the code pools on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Gauge

#: For each value of the gauges' label, the value of each gauge.
Reading = Mapping[Any, tuple[float, ...]]


class OwnedGauges:
    """Sets gauges for each label that this process owns, and removes them once another process owns it.

    A stale number would hide the truth: that a pool is empty, for example.

    Args:
        stage: the stage whose tasks are read.
        read: returns the reading of one of its tasks; a label must belong to one task only.
        gauges: gauges with one label, in the order of the values in a reading.
    """

    def __init__(self, stage: str, read: Callable[[Any], Reading], *gauges: Gauge) -> None:
        self._stage = stage
        self._read = read
        self._gauges = gauges
        self._labels: set[Any] = set()

    def __call__(self, tasks: Iterable[Any]) -> None:
        """Set the gauges from the tasks that the process owns now."""
        readings = (self._read(task) for task in tasks if task.stage.name == self._stage)
        owned = {label: values for reading in readings for label, values in reading.items()}
        for position, gauge in enumerate(self._gauges):
            for label, values in owned.items():
                gauge.labels(label).set(values[position])
            for label in self._labels - owned.keys():
                gauge.remove(label)
        self._labels = set(owned)
