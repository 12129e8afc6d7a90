"""The end of a process that meets state of a newer version."""

from __future__ import annotations

import structlog

from streams.core.model.versioned_codec import UnknownVersion
from streams.runtime.errors import TimerTooNew

log = structlog.get_logger(__name__)


def explain_newer_state(reason: BaseException) -> None:
    """Log what to do if the process ends because a newer Takk wrote the state. A restart does not help."""
    if isinstance(reason, (UnknownVersion, TimerTooNew)):
        log.critical(
            "the state was written by a newer Takk, exiting",
            error=reason,
            hint="upgrade this process. Newer processes take over its partitions, and nothing is lost",
        )
