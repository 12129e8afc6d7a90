"""Logs: one JSON object per line on standard error, for Takk and its libraries, without personal data."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

_ADDRESS = re.compile(r"[^\s@<>\"'(),:;]+@[^\s@<>\"'(),:;]+\.[A-Za-z0-9-]+")
#: Libraries whose INFO lines matter only to their authors.
_VERBOSE = ("aiokafka", "aiohttp.access", "asyncio", "faust", "mode", "mail.log")


def setup_logs(level: str = "info", style: str = "json", stream: TextIO | None = None) -> None:
    """Write all logs to `stream`. A second call replaces the earlier setup.

    Args:
        level: debug, info, warning or error.
        style: `json`, or `console` for reading in a terminal.
        stream: the stream, or None for standard error.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Modules create their loggers when they are imported, possibly before this call.
        cache_logger_on_first_use=False,
    )
    last: list[Processor] = (
        [structlog.processors.format_exc_info, without_addresses, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.processors.format_exc_info, without_addresses, structlog.dev.ConsoleRenderer(colors=False)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(
            max(logging.WARNING, root.level) if root.level > logging.DEBUG else logging.DEBUG
        )


def without_addresses(logger: Any, method: str, event: EventDict) -> EventDict:
    """Replace email addresses: a library's exception may quote one, and logs contain ids only."""
    for key, value in event.items():
        if isinstance(value, str) and "@" in value:
            event[key] = _ADDRESS.sub("<address>", value)
    return event
