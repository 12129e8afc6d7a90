"""Logs: one JSON object per line on standard error, for Takk and its libraries, without personal data."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import Processor

from streams.observability.log_filter import add_trace, filter_line, foreign_text, mask_secrets

#: The package whose lines are logged from the level of the settings; all others from WARNING. An HTTP client, for example, logs each
#: request with its URL at INFO.
OWN = "streams"


def setup_logs(
    level: str = "info", style: str = "json", stream: TextIO | None = None, *, secrets: Iterable[str] = ()
) -> None:
    """Write all logs to `stream`, filtered by `log_filter`. A second call replaces the earlier setup.

    Args:
        level: debug, info, warning or error. It is the level of Takk; lines of libraries are logged from WARNING.
        style: `json`, or `console` for reading in a terminal.
        stream: the stream, or None for standard error.
        secrets: values that no line may contain.
    """
    mask_secrets(secrets)
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
    renderer: Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, foreign_text],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, add_trace, filter_line, renderer],
        # The arguments of a library's line are cleaned before they become text.
        use_get_message=False,
        pass_foreign_args=True,
    )
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(level.upper())
    _log_crashes()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes log lines. A line that cannot be formatted is replaced: Python's own handler would print its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Write the place of a log call that failed, without its arguments."""
        error = sys.exc_info()[1]
        with contextlib.suppress(OSError, ValueError):  # the stream may be the reason
            self.stream.write(
                f"log line failed at {record.pathname}:{record.lineno}: {type(error).__name__}{self.terminator}"
            )


def _log_crashes() -> None:
    """Log what ends the process or a thread, and what Python ignores. Python's own tracebacks contain the texts of exceptions."""
    log = structlog.get_logger(__name__)

    def on_crash(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, frames)
            return
        log.critical("unhandled exception, exiting", exc_info=error)

    def on_thread_crash(crash: threading.ExceptHookArgs) -> None:
        if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
            log.critical(
                "unhandled exception in a thread", thread=getattr(crash.thread, "name", None), exc_info=crash.exc_value
            )

    def on_ignored(ignored: sys.UnraisableHookArgs) -> None:
        log.error("exception ignored by Python", exc_info=ignored.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = on_crash, on_thread_crash, on_ignored
