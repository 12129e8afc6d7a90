"""Reading the headers of a record that librdkafka cannot read."""

from __future__ import annotations

from typing import Any

from streams.runtime.kafka.producer_record import headers_of


class Message:
    """A message as librdkafka's binding returns it: reading broken headers again would end the process."""

    def __init__(self, kept: Any, *, is_broken: bool = False) -> None:
        self._kept = kept
        self._is_broken = is_broken
        self._calls = 0

    def headers(self) -> Any:
        """Return the headers, or raise SystemError."""
        self._calls += 1
        assert not self._is_broken or self._calls == 1
        if self._is_broken:
            raise SystemError
        return self._kept

    def set_headers(self, headers: Any) -> None:
        """Replace the headers."""
        self._kept, self._is_broken = headers, False


def test_broken_headers_are_read_once() -> None:
    """They are None as often as they are asked for; empty ones are a list."""
    message = Message(None, is_broken=True)
    assert [headers_of(message), headers_of(message), headers_of(message)] == [None, None, None]
    assert headers_of(Message(None)) == []
    assert headers_of(Message([("h", b"1")])) == [("h", b"1")]
