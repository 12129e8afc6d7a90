"""The end of a process that meets state of a newer version."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from streams.core.model.versioned_codec import UnknownVersion
from streams.runtime.errors import TimerTooNew

log = structlog.get_logger(__name__)


@contextmanager
def explain_newer_state() -> Iterator[None]:
    """Log what to do if the block fails because a newer Takk wrote the state.

    Raises:
        SystemExit: with 1, because a restart does not help.
    """
    try:
        yield
    except (UnknownVersion, TimerTooNew) as error:
        log.critical(
            "the state was written by a newer Takk, exiting",
            error=error,
            hint="upgrade this process. Newer processes take over its partitions, and nothing is lost",
        )
        sys.exit(1)
