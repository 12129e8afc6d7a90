"""Log lines: JSON, without email addresses."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streams.observability.logs import setup_logs


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    setup_logs(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_without_addresses(logged: io.StringIO) -> None:
    """Each line of structlog and logging is JSON with level and time. Email addresses are replaced, also in errors."""
    structlog.get_logger("takk").info("sent", send_id="s1", detail="to anna@shop.example")
    try:
        raise ValueError("550 <anna@shop.example> unknown")
    except ValueError:
        logging.getLogger("library").exception("refused %s", "anna@shop.example")
    first, second = (json.loads(line) for line in logged.getvalue().splitlines())
    assert (first["event"], first["send_id"], first["level"], first["detail"]) == ("sent", "s1", "info", "to <address>")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "refused <address>"
    assert "ValueError" in second["exception"]
    assert "anna" not in logged.getvalue()
