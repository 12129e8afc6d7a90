"""Logs: one JSON object a line on standard error, from Takk's own code and from the libraries alike, without personal data."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

_ADDRESS = re.compile(r"[^\s@<>\"'(),:;]+@[^\s@<>\"'(),:;]+\.[A-Za-z0-9-]+")
#: Libraries that tell at INFO what only their authors want to know.
_TALKATIVE = ("aiokafka", "aiohttp.access", "asyncio", "faust", "mode", "mail.log")


def setup_logs(level: str = "info", style: str = "json", stream: TextIO | None = None) -> None:
    """Send all logs to `stream`; calling it again replaces the earlier setup.

    Args:
        level: debug, info, warning or error.
        style: `json`, or `console` for people.
        stream: standard error when None.
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
        # Loggers are made when modules are imported, which may be before this call.
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
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(
            max(logging.WARNING, root.level) if root.level > logging.DEBUG else logging.DEBUG
        )


def without_addresses(logger: Any, method: str, event: EventDict) -> EventDict:
    """Blot out mail addresses: a library's exception may quote one, and logs carry ids only."""
    for key, value in event.items():
        if isinstance(value, str) and "@" in value:
            event[key] = _ADDRESS.sub("<address>", value)
    return event
