"""The fields of effects have the names of their schema, so that a renamed field does not fall back to a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.encode.encoder import Encoder


class Recorder(Codec):
    """A codec that records the field names of each of its writers."""

    def __init__(self) -> None:
        super().__init__(load_schemas(SCHEMAS), subjects=topics.subjects())
        self.written: dict[str, set[str]] = {}

    def writer(
        self,
        name: str,
        fields: Sequence[str],
        fixed: Mapping[str, Any] | None = None,
        given: Sequence[str] = (),
        encoded: Sequence[str] = (),
    ) -> Callable[..., bytes]:
        self.written[name] = {*fields, *(fixed or {}), *given}
        return super().writer(name, fields, fixed, given, encoded)


#: Fields that a writer leaves at their default: a timer of a step has no fields of a retry.
NOT_WRITTEN = {"timer": {"send_id", "attempt", "purpose", "not_after", "command"}}


def test_every_field_of_an_effect_is_in_the_schema() -> None:
    """A writer writes exactly the fields of its schema, so a renamed or a new field of an effect fails here."""
    recorder, schemas = Recorder(), load_schemas(SCHEMAS)
    Encoder(recorder)
    assert len(recorder.written) > 10
    for name, written in recorder.written.items():
        assert written == {field["name"] for field in schemas[name]["fields"]} - NOT_WRITTEN.get(name, set()), name
