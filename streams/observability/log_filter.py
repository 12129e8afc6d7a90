"""The filter of all log lines: only known keys, no personal data, no secrets.

A record, a library and a mail server can put any text into an exception or an argument. The filter therefore starts from what may be
logged: the keys of `ALLOWED_KEYS`, plain values of bounded size, and for an exception its type and its place in the code. The text of an
exception is kept only if Takk wrote it. The work is linear in the length of a line.
"""

from __future__ import annotations

import base64
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import quote

#: A log line before it is rendered, as structlog passes it on (`structlog.typing.EventDict`; importing structlog would slow `takk --help`).
EventDict: TypeAlias = MutableMapping[str, Any]

#: The keys of a log line. A new key must be added here; its values must not contain personal data.
ALLOWED_KEYS = frozenset(
    {
        # added by the logging setup
        "event", "exception", "level", "logger", "stack", "timestamp",
        # places in Kafka and in the program
        "agent", "app", "at", "broker", "changelog", "client", "cluster", "group", "health", "host", "instance_id", "level_name", "member", "name",
        "names", "offset", "partition", "partitions", "pid", "port", "role", "stage", "state", "store", "table", "task", "thread", "topic", "topics",
        # what happened
        "code", "detail", "error", "expected", "facility", "found", "hint", "kind", "outcome", "provider", "reason", "rule", "setting", "settings",
        "previous", "status", "version", "versions", "walk",
        # ids: random or hashed, except those of orders and customers, which are never logged
        "claim_id", "flow", "flow_version", "message", "pool", "reward_id", "schema", "schema_id", "send_id", "step", "subject", "timer_id",
        "request_id", "route",
        # numbers and times
        "attempt", "attempts", "bytes", "count", "deadline", "due_at", "emails", "emails_left", "first", "generation", "last", "limit",
        "lost", "missing", "offsets", "offsets_done", "offsets_per_s", "offsets_total", "pause_s", "percent", "records", "seconds", "seconds_left",
        "size", "unread", "until",
    }
)  # fmt: skip
#: Set to the number of keys of a line that are not allowed.
OMITTED = "omitted_keys"
#: The most characters of one value: a line of a broker or of a flow check has a few hundred.
MAX_TEXT = 4000
#: The most entries of a list or a mapping, and the most levels of them.
MAX_ENTRIES, MAX_DEPTH = 50, 3
#: The most frames of a traceback (the innermost), and the most exceptions of a chain.
MAX_FRAMES, MAX_CHAIN = 50, 8
#: Shorter values are not masked: they are parts of ordinary words. A password of three characters protects nothing.
SHORTEST_SECRET = 4
MASK = "<secret>"
ADDRESS = "<address>"

#: The characters between which an email address stands. One character class with one repetition: each character is read once.
_TOKEN = re.compile(r"[^\s<>\"'(),:;=\[\]{}|\\]+")
#: The forms of the sign @ in an address: the sign, its percent-encoding, and its full-width and small forms.
_AT = re.compile(r"@|%40|\uff20|\ufe6b")
#: Packages whose exceptions have texts without data: Takk's own.
_OWN = ("streams.",)

_secrets: tuple[str, ...] = ()


def mask_secrets(values: Iterable[str]) -> None:
    """Replace `values` in all log lines and errors from now on, also in their URL-encoded form and their base64 form."""
    global _secrets
    forms = {
        form
        for value in values
        if len(value) >= SHORTEST_SECRET
        for form in (value, quote(value, safe=""), quote(value), base64.b64encode(value.encode()).decode())
    }
    # The longest first: one secret may contain another.
    _secrets = tuple(sorted(forms, key=len, reverse=True))


def without_secrets(text: str) -> str:
    """Return `text` with all secrets in force replaced."""
    for secret in _secrets:
        text = text.replace(secret, MASK)
    return text


def clean_text(text: str) -> str:
    """Return `text` without secrets and email addresses, and of bounded length."""
    text = without_secrets(text)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]} ... ({len(text)} characters)"
    return _TOKEN.sub(_clean_token, text) if _AT.search(text) else text


def _clean_token(token: re.Match[str]) -> str:
    return ADDRESS if _AT.search(token[0]) else token[0]


def describe(error: BaseException) -> str:
    """Return the type of an exception, with its text only if that text contains no data.

    These are exceptions of Takk, errors of the operating system without their file names, and errors of librdkafka, which name brokers and
    topics.
    """
    name = type(error).__name__
    text = ""
    if type(error).__module__.startswith(_OWN):
        text = str(error)
    elif isinstance(error, OSError):
        text = error.strerror or ""
    elif type(error).__name__ == "KafkaException" and error.args and hasattr(error.args[0], "str"):
        text = f"{error.args[0].name()}: {error.args[0].str()}"
    return clean_text(f"{name}: {text}" if text else name)


def trace(error: BaseException) -> str:
    """Return the places of the traceback of an exception and of its causes, with their types. Texts follow `describe`."""
    blocks = []
    for cause in islice(_chain(error), MAX_CHAIN):
        frames = traceback.walk_tb(_innermost(cause.__traceback__))
        places = [
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}' for frame, line in frames
        ]
        blocks.append("\n".join([*places, describe(cause)]))
    return without_secrets("\nwhile handling:\n".join(blocks))


def _innermost(frames: TracebackType | None) -> TracebackType | None:
    """Return the last `MAX_FRAMES` frames: a recursion error has a thousand."""
    depth, frame = 0, frames
    while frame is not None:
        depth, frame = depth + 1, frame.tb_next
    while frames is not None and depth > MAX_FRAMES:
        depth, frames = depth - 1, frames.tb_next
    return frames


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and what it was raised from, or in the handling of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def clean(value: Any, depth: int = 0) -> Any:
    """Return a value that may be logged: plain, bounded, without addresses and secrets. Other objects become the name of their type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, BaseException):
        return describe(value)
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {clean_text(str(key)): clean(item, depth + 1) for key, item in islice(value.items(), MAX_ENTRIES)}
        if isinstance(value, list | tuple | set | frozenset):
            return [clean(item, depth + 1) for item in islice(value, MAX_ENTRIES)]
    return f"<{type(value).__name__}>"


def filter_line(logger: Any, method: str, event: EventDict) -> EventDict:
    """Keep the allowed keys of a log line, with clean values. The traceback was made by `add_trace`."""
    kept: EventDict = {}
    for key, value in event.items():
        if key == "exception":
            kept[key] = value
        elif key in ALLOWED_KEYS:
            kept[key] = clean(value)
    if omitted := len(event) - len(kept):
        kept[OMITTED] = omitted
    return kept


def add_trace(logger: Any, method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the traceback that `trace` makes."""
    error = event.pop("exc_info", None)
    event.pop("exception", None)
    if error is True:  # `log.exception`, within the handler of the exception
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = trace(error)
    return event


def foreign_text(logger: Any, method: str, event: EventDict) -> EventDict:
    """Format the line of another library with clean arguments: an exception among them becomes its type.

    asyncio puts whole objects into its text, so only the first line of its text is kept.
    """
    text, arguments = str(event.get("event", "")), event.pop("positional_args", ())
    if isinstance(arguments, Mapping):
        values: Any = {key: _argument(value) for key, value in arguments.items()}
    else:
        values = tuple(_argument(value) for value in arguments or ())
    if values:
        try:
            text %= values
        except (TypeError, ValueError, KeyError):
            text = f"{text} (with {len(values)} arguments)"
    if str(event.get("logger", "")).startswith("asyncio"):
        text = text.partition("\n")[0]
    event["event"] = text
    return event


def _argument(value: Any) -> Any:
    """Return a clean argument of a format: numbers stay numbers, for `%d` and `%.2f`."""
    cleaned = clean(value)
    return cleaned if cleaned is None or isinstance(cleaned, int | float | str) else str(cleaned)
