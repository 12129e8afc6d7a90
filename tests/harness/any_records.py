"""Hypothesis strategies for records of any kind: any bytes, and records of a schema with any values in its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_schemas
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, MAX_RECORD_BYTES, SMALL_BYTES
from streams.wire.codec import SCHEMAS
from streams.wire.encode.journal import MAX_WHOLE
from streams.wire.validation import MAX_LINES, MAX_MINOR, MAX_NUMBER, MAX_RECORD
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT, AT_MS

RAW = load_schemas(SCHEMAS)
#: Sizes at which something changes: a limit of a topic, of a dead letter, of a record that is written.
LIMITS = (SMALL_BYTES, DEFAULT_TOPIC_BYTES, MAX_WHOLE, MAX_RECORD, MAX_RECORD_BYTES)
INT, LONG = (1 << 31) - 1, (1 << 63) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Text that is valid in most fields, and text that is not.
TEXTS = ("", "o1", "s1", "placed", "shipped", "opened", "DKK", "DK", "da", "anna@example.org", "https://shop.example/", "{}", "spring-10", "order",
         "a\x00b", "\u202e", "x" * 201, "x" * 501, "x" * 2001, "Å" * 300)  # fmt: skip
NUMBERS = (-LONG - 1, -INT - 1, -1, 0, 1, 2, MAX_LINES, MAX_NUMBER, MAX_NUMBER + 1, INT, MAX_MINOR, MAX_MINOR + 1, LONG)
TIMES = st.sampled_from([AT, AT - timedelta(days=400), AT + timedelta(days=2), datetime(1999, 1, 1, tzinfo=UTC), EPOCH,
                         datetime(9999, 12, 31, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, tzinfo=UTC)])  # fmt: skip


def values_of(schema: Any, fixed: Mapping[str, Any], named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy of values of an Avro schema.

    Args:
        schema: the schema, or a part of one.
        fixed: values that the fields of these names often have.
        named: the named types so far.
    """
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of(*[values_of(part, fixed, named) for part in schema])
    if isinstance(schema, dict):
        if schema.get("logicalType"):
            return TIMES
        if schema["type"] == "record":
            fields = {}
            for field in schema["fields"]:
                values = values_of(field["type"], fixed, named)
                symbols = field["type"].get("symbols") if isinstance(field["type"], dict) else None
                if field["name"] in fixed and (symbols is None or fixed[field["name"]] in symbols):
                    values = st.just(fixed[field["name"]]) | values
                fields[field["name"]] = values
            named[f"takk.{schema['name']}"] = st.fixed_dictionaries(fields)
            return named[f"takk.{schema['name']}"]
        if schema["type"] == "array":
            items = values_of(schema["items"], fixed, named)
            return st.lists(items, max_size=3) | items.map(lambda item: [item] * (MAX_LINES + 1))
        if schema["type"] == "map":
            return st.dictionaries(st.sampled_from(TEXTS), values_of(schema["values"], fixed, named), max_size=3)
        if schema["type"] == "enum":
            return st.sampled_from(schema["symbols"])
        return values_of(schema["type"], fixed, named)
    if schema in named:
        return named[schema]
    if schema == "int":
        return st.sampled_from([number for number in NUMBERS if abs(number) <= INT])
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "long": st.sampled_from(NUMBERS),
        "string": st.sampled_from(TEXTS) | st.text(max_size=20),
        "bytes": st.binary(max_size=20),
    }[schema]


def records_of(codec: Codec, schema: str, sample: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """Return a strategy of encoded records: `sample` with up to three other fields, and records with any values."""
    whole = values_of(RAW[schema], sample)
    few = st.tuples(
        whole, st.sets(st.sampled_from(sorted(field["name"] for field in RAW[schema]["fields"])), max_size=3)
    )
    changed = few.map(lambda drawn: {**sample, **{name: drawn[0][name] for name in drawn[1]}})
    return st.one_of(st.just(dict(sample)), changed, changed, whole).map(lambda record: codec.encode(schema, record))


def damaged(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy of these bytes with one cut, one changed byte, or some bytes more."""

    def cut(drawn: tuple[bytes, int, int]) -> bytes:
        value, at, _ = drawn
        return value[: at % (len(value) + 1)]

    def change(drawn: tuple[bytes, int, int]) -> bytes:
        value, at, byte = drawn
        at %= len(value) + 1
        return value[:at] + bytes([byte]) + value[at + 1 :]

    drawn = st.tuples(values, st.integers(0, 10_000), st.integers(0, 255))
    return drawn.map(cut) | drawn.map(change) | drawn.map(lambda d: d[0] + bytes([d[2]]))


def sizes() -> st.SearchStrategy[int]:
    """Return a strategy of sizes around each limit."""
    return st.builds(
        lambda limit, more: limit + more, st.sampled_from(LIMITS), st.integers(-2000, 2000) | st.integers(-2, 2)
    )


class AnyRecord(Record):
    """A record with a short description: pytest and hypothesis print the records of a failure."""

    def __repr__(self) -> str:
        key, value, headers = self.name and self.name[:40], self.body and self.body[:400], str(self.annotations)[:100]
        sizes = len(self.name or b""), len(self.body or b"")
        return f"{self.of}@{self.at}(key={key!r}, value={value!r}, sizes={sizes}, headers={headers}, written_ms={self.written_ms})"


class Unreadable(AnyRecord):
    """A record whose header has a name that is not UTF-8."""

    def headers(self) -> Any:
        """Raise SystemError, as librdkafka's binding does for a name that cannot be decoded."""
        raise SystemError("returned a result with an exception set")


def headers() -> st.SearchStrategy[Any]:
    """Return a strategy of headers; `...` for unreadable ones."""
    pair = st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=10))
    return st.one_of(
        st.none(), st.lists(pair, max_size=3), st.just(...), st.just([("takk_due_at", b"9" * 40)]), sizes().map(lambda size: [("h", b"x" * size)]),
    )  # fmt: skip


def timestamps() -> st.SearchStrategy[int]:
    """Return a strategy of timestamps, in ms since 1970."""
    return st.sampled_from([AT_MS, AT_MS, 0, -1, 1, LONG, -LONG]) | st.integers(-LONG, LONG)


def record(offset: int, topic: str, key: Any, value: Any, written_ms: int, with_headers: Any) -> Record:
    """Return a record with these parts."""
    kind = Unreadable if with_headers is ... else AnyRecord
    return kind(offset, key, value, topic, written_ms, None if with_headers is ... else with_headers)
