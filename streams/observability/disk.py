"""The free space of the volume with the state. A full volume stops the worker."""

from __future__ import annotations

import shutil
from pathlib import Path

from streams.observability import metrics


def sample_disk(state_dir: Path) -> None:
    """Set the gauges of the volume that contains `state_dir`.

    Raises:
        OSError: the directory is missing or cannot be read.
    """
    usage = shutil.disk_usage(state_dir)
    metrics.DISK_FREE.set(usage.free)
    metrics.DISK_SIZE.set(usage.total)
