"""The gauges of the volume with the state."""

from __future__ import annotations

import math
import os
from pathlib import Path

from streams.observability import metrics
from streams.observability.disk import sample_disk


def test_size_and_free_space(tmp_path: Path) -> None:
    """The size is that of the volume, and the free space leaves out the blocks that are reserved for the superuser."""
    sample_disk(tmp_path)
    volume = os.statvfs(tmp_path)
    size = metrics.REGISTRY.get_sample_value("takk_disk_size_bytes")
    free = metrics.REGISTRY.get_sample_value("takk_disk_free_bytes")
    assert size == volume.f_blocks * volume.f_frsize
    assert free is not None
    assert 0 < free <= size - (volume.f_bfree - volume.f_bavail) * volume.f_frsize


def test_a_missing_directory(tmp_path: Path) -> None:
    """Without the directory the sizes are NaN, not 0 bytes, and nothing is raised: a scrape must not lose all other metrics."""
    sample_disk(tmp_path / "missing")
    for name in ("takk_disk_free_bytes", "takk_disk_size_bytes"):
        assert math.isnan(metrics.REGISTRY.get_sample_value(name) or 0.0)
