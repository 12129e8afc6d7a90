"""The free space of the volume with the state. A full volume stops the worker."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import structlog

from streams.observability import metrics

log = structlog.get_logger(__name__)


def sample_disk(state_dir: Path) -> None:
    """Set the gauges of the volume that contains `state_dir`.

    They are NaN, and the error is logged, if the directory cannot be read: all other metrics are needed most then.
    """
    free = size = math.nan
    try:
        size, _, free = shutil.disk_usage(state_dir)
    except OSError as error:
        log.error("cannot read the free space of TAKK_STATE_DIR", at=str(state_dir), error=error.strerror)
    metrics.DISK_FREE.set(free)
    metrics.DISK_SIZE.set(size)
