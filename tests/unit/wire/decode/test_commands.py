"""Decoding of commands."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.validation import ValidationFailed
from tests.harness.effects import CODEC, NOW, SEND

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
