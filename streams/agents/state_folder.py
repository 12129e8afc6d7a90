"""The logs and the state folder of a process. The gateway needs them too, without Faust."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from streams.observability.logs import setup_logs
from streams.runtime.errors import StoreError
from streams.runtime.state.permissions import make_private
from streams.settings import Settings

log = structlog.get_logger(__name__)


def open_state_folder(settings: Settings, role: str) -> Path:
    """Set up the logs of a process, and return its state folder, which only its user may read.

    Args:
        settings: the settings.
        role: the name of the folder: `flows`, `mailer` or `gateway`.

    Raises:
        SystemExit: the folder cannot be used; the message says why.
    """
    setup_logs(settings.log_level, settings.log_format, secrets=settings.secret_values())
    if insecure := settings.insecure_connections():
        log.warning("connections without encryption, allowed by TAKK_ALLOW_INSECURE", settings=insecure)
    folder = Path(settings.state_dir) / role
    try:
        if make_private(folder):
            log.warning("state folder closed to other users", at=str(folder))
    except (StoreError, OSError) as error:
        sys.exit(f"cannot start: {error}")
    return folder
