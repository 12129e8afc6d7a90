"""Log lines: JSON with known keys, without personal data and secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from streams.observability import log_filter
from streams.observability.logs import setup_logs
from streams.runtime.errors import InvalidRecord
from streams.settings import PROJECT_ROOT

PASSWORD = "hunter2/hunter2"
ADDRESSES = [
    "anna@shop.example",
    "anna@localhost",
    "jörg@exämple.de",
    "anna%40shop.example",
    "anna＠shop.example",
    "a+b@x",
]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root, own = logging.getLogger(), logging.getLogger("streams")
    before = list(root.handlers), root.level, own.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    setup_logs(stream=stream, secrets=[PASSWORD])
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    log_filter.mask_secrets([])
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_logs_are_json_without_addresses(logged: io.StringIO) -> None:
    """Each line of structlog and logging is JSON with level and time. Email addresses are replaced, also in errors."""
    structlog.get_logger("streams.x").info("sent", send_id="s1", detail="to anna@shop.example")
    try:
        raise ValueError("550 <anna@shop.example> unknown")
    except ValueError:
        logging.getLogger("library").exception("refused %s", "anna@shop.example")
    first, second = lines(logged)
    assert (first["event"], first["send_id"], first["level"], first["detail"]) == ("sent", "s1", "info", "to <address>")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "refused <address>"
    assert "ValueError" in second["exception"]
    assert "anna" not in logged.getvalue()


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("place", ["text", "list", "mapping", "argument", "deep"])
def test_addresses_of_any_form_and_in_any_place(logged: io.StringIO, address: str, place: str) -> None:
    """An address is replaced without a dot, with other letters, percent-encoded, in nested values and in arguments."""
    values: dict[str, Any] = {"text": f"to {address}!", "list": [address], "mapping": {"a": {"b": address}}}
    values["deep"] = [[[[[address]]]]]
    if place == "argument":
        logging.getLogger("library").warning("refused %r: %s", [address], {"to": address})
    else:
        structlog.get_logger("streams.x").info("x", detail=values[place])
    assert lines(logged)
    assert address not in logged.getvalue()
    assert "rg@" not in logged.getvalue()


def test_only_known_keys_are_logged(logged: io.StringIO) -> None:
    """A key that is not on the list is left out, with its value; the line says how many were."""
    structlog.get_logger("streams.x").info("x", partition=3, customer_name="Anna", order="Anna's")
    (line,) = lines(logged)
    assert (line["partition"], line[log_filter.OMITTED]) == (3, 2)
    assert "Anna" not in logged.getvalue()


class OfALibrary(Exception):
    """An exception with data, as a library would raise it."""


OfALibrary.__module__ = "library"


def test_texts_of_foreign_exceptions_are_not_logged(logged: io.StringIO) -> None:
    """Of a library's exception the type and the place are logged, also of its causes, of groups and of arguments; never its text."""
    log = structlog.get_logger("streams.x")
    try:
        try:
            int("Anna Jensen")
        except ValueError as error:
            raise OfALibrary("Anna Jensen") from error
    except OfALibrary as error:
        log.error("failed", error=error, exc_info=error)
        log.exception("failed")
        logging.getLogger("library").error("failed: %r", error, exc_info=True)
        log.error("failed", exc_info=ExceptionGroup("Anna Jensen", [error]))
    for line in lines(logged):
        assert "OfALibrary" in json.dumps(line) or "ExceptionGroup" in json.dumps(line)
    assert "test_logs.py" in lines(logged)[0]["exception"]
    assert "ValueError" in lines(logged)[0]["exception"]
    assert "Jensen" not in logged.getvalue()


def test_texts_of_own_exceptions_are_logged(logged: io.StringIO) -> None:
    """Takk's exceptions contain no data, and say what to do."""
    structlog.get_logger("streams.x").error("failed", error=InvalidRecord("too_much", "the total is too large"))
    assert lines(logged)[0]["error"] == "InvalidRecord: too_much: the total is too large"


def test_errors_of_the_system_name_no_file(logged: io.StringIO) -> None:
    """An OSError is logged with the reason, and without a file name."""
    try:
        open("/none/Anna")  # noqa: SIM115
    except OSError as error:
        structlog.get_logger("streams.x").error("failed", error=error)
    assert lines(logged)[0]["error"] == "FileNotFoundError: No such file or directory"


def test_secrets_are_masked_everywhere(logged: io.StringIO) -> None:
    """A secret in force is replaced in keys, values, arguments, errors and log calls that fail, also encoded."""
    setup_logs(stream=logged, secrets=[PASSWORD])  # again, so that the handlers of pytest do not format the lines too
    log = structlog.get_logger("streams.x")
    log.info(f"login with {PASSWORD}", detail=[PASSWORD], error=InvalidRecord("x", PASSWORD), settings={PASSWORD: 1})
    logging.getLogger("library").warning("GET https://u:%s@host/", "hunter2%2Fhunter2")
    logging.getLogger("library").warning("basic aHVudGVyMi9odW50ZXIy")
    logging.getLogger("library").warning("%d", PASSWORD)
    assert len(lines(logged)) == 4
    assert "hunter2" not in logged.getvalue()
    assert "aHVudGVyMi9" not in logged.getvalue()


def test_libraries_are_logged_from_warning(logged: io.StringIO) -> None:
    """The HTTP client logs each request with its URL at INFO: such lines are not written, at no level of the settings."""
    setup_logs("debug", stream=logged)
    for name in ("httpx", "httpcore.http11", "aiokafka", "faust", "asyncio", "authlib"):
        logging.getLogger(name).info("HTTP Request: GET http://u:%s@registry/ids/1", PASSWORD)
        logging.getLogger(name).debug("headers")
    structlog.get_logger("streams.x").debug("own")
    assert [line["event"] for line in lines(logged)] == ["own"]


def test_crashes_are_logged_without_data(logged: io.StringIO) -> None:
    """An exception that ends the process, or a thread, becomes a log line without its text."""
    error = KeyError("Anna Jensen")
    sys.excepthook(KeyError, error, None)
    thread = threading.Thread(target=lambda: {}["Anna" + " Jensen"])
    thread.start()
    thread.join()
    assert [line["level"] for line in lines(logged)] == ["critical", "critical"]
    assert "Anna Jensen" not in logged.getvalue()


class CannotBePrinted:
    """An argument whose text fails."""

    def __str__(self) -> str:
        raise ValueError("Anna Jensen")

    __repr__ = __str__


def test_a_line_that_fails_names_its_place(logged: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """A log call that cannot be formatted writes no arguments, and stops nothing."""
    setup_logs(stream=logged)  # again, so that the handlers of pytest do not format the line too
    logging.getLogger("library").warning("%s", CannotBePrinted())
    logging.getLogger("library").warning("%q %s", "Anna Jensen")
    assert "Jensen" not in logged.getvalue() + "".join(capsys.readouterr())
    assert len(logged.getvalue().splitlines()) == 2


@pytest.mark.parametrize("piece", ["a", "a.", "@", "a@", "@.", "a@b.c", "<", " ", ".@.", "%40", PASSWORD])
def test_long_texts(logged: io.StringIO, piece: str) -> None:
    """A text of 10 million characters is cleaned, and bounded. With quadratic work this would take hours."""
    structlog.get_logger("streams.x").info("x", detail=piece * (10_000_000 // len(piece)))
    assert len(logged.getvalue()) < 3 * log_filter.MAX_TEXT


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(ValueError, inner),
    )
)
def test_any_value_can_be_logged(value: Any) -> None:
    """Any value becomes JSON of bounded size without an address."""
    text = json.dumps(log_filter.clean(value), ensure_ascii=False)
    assert "@" not in text


LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each log call in the program, with its place."""
    for path in (PROJECT_ROOT / "streams").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                yield f"{path.relative_to(PROJECT_ROOT)}:{node.lineno}", node


def test_each_log_call_uses_known_keys() -> None:
    """Each key of a log call is on the list of the filter, so that no line loses what an operator needs."""
    calls = list(log_calls())
    assert len(calls) > 15
    unknown = {
        f"{place} {keyword.arg}"
        for place, call in calls
        for keyword in call.keywords
        if keyword.arg not in log_filter.ALLOWED_KEYS | {"exc_info", "stack_info"}
    }
    assert unknown == set(), "add the keys to ALLOWED_KEYS in streams/observability/log_filter.py"


def test_no_log_call_contains_the_text_of_an_exception() -> None:
    """Log calls pass an exception itself: the filter decides whether its text may be logged."""
    wrong = {
        place
        for place, call in log_calls()
        for keyword in call.keywords
        if ast.unparse(keyword.value) in ("str(error)", "repr(error)", "error.args", "f'{error}'")
    }
    assert wrong == set(), "write error=error"
