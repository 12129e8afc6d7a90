"""Decoding of commands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import asdict

from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import DUE_AT_HEADER
from streams.wire.validation import LATEST_MS, ValidationFailed
from tests.harness.effects import CODEC, NOW, SEND
from tests.harness.records import AT, AT_MS

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"context": "not json"}, "bad_context"),
        ({"context": "[]"}, "bad_context"),
        ({"to_address": "a@b\r\nBcc: c@d"}, "bad_address"),
        ({"locale": "../da"}, "bad_locale"),
        ({"purpose": "spam"}, "unknown_kind"),
        ({"attempt": 0}, "bad_quantity"),
        ({"send_id": ""}, "bad_id"),
        ({"send_id": "a\nb"}, "bad_id"),
    ],
)
def test_a_command_is_validated(changes: dict[str, Any], rule: str) -> None:
    """Any producer may write to the topic, so an invalid command is rejected. It cannot inject a header into an email."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW).value)
    record = {**asdict(command), "context": "{}", **changes}
    with pytest.raises(ValidationFailed) as error:
        DECODER.command(CODEC.encode("email_command", record))
    assert error.value.rule == rule


@pytest.mark.parametrize(
    ("text", "due_at"),
    [
        (b"%d" % AT_MS, AT),
        (b"", None),
        (None, None),
        (b"0", None),
        (b"-1", None),
        (b"soon", None),
        (b"1" * 5_000, None),
        (b"%d" % LATEST_MS, None),
    ],
)
def test_the_due_time_is_optional(text: bytes | None, due_at: datetime | None) -> None:
    """Any producer may write headers, so an invalid due time is ignored; the command stays valid."""
    record = ENCODER.effects.encode(SEND, NOW)
    assert DECODER.command(record.value, [*record.headers, (DUE_AT_HEADER, text)]).due_at == due_at
    assert DECODER.command(record.value, record.headers).due_at is None
