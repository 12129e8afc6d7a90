"""Avro schemas compiled to Python functions, for the most frequent records.

fastavro walks the schema for every record. Here each schema becomes the source of one function, which is compiled once.

Three techniques make these functions fast. They build and parse a record as a `str` whose characters are the bytes 0 to 255 (latin-1):
slicing and joining such strings is fast in Python, and an ASCII field is its own encoding. They look numbers up in tables instead of computing
them in loops. And they recognise several fields that have their defaults by one comparison.

The functions handle ordinary records only. Otherwise (a damaged record, a length with more bytes than needed, a value of a wrong type) they
raise one of `ODD`, and the caller repeats the work with fastavro, which decides what is wrong. Bytes, records and errors therefore equal
fastavro's; tests/property/test_avro.py checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeAlias

Schema: TypeAlias = Any
Writer: TypeAlias = Callable[..., bytes]
Reader: TypeAlias = Callable[[bytes, int], dict[str, Any]]

#: The errors of the compiled functions for records that they leave to fastavro.
ODD = (ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INDENT = "    "
_MAX_LONG = 1 << 63
#: The number of table entries: smaller numbers, also the lengths of texts, are looked up.
_TABLE = 8192
#: Milliseconds up to which a double represents a time in seconds with millisecond precision (the year 2100).
_LATEST_MS = 4_102_444_800_000
#: Fields with defaults that a reader compares at once: the most, and the fewest for which that is faster.
_RUN, _SHORTEST_RUN = 8, 3


class Unsupported(ValueError):
    """The schema contains a type that is not compiled; fastavro handles it."""


# -- numbers -----------------------------------------------------------------------------------------------------------------


def varint(number: int) -> str:
    """Return a long in Avro's encoding: zigzag, seven bits per byte, the lowest first.

    Raises:
        OverflowError: the number needs more than 64 bits.
    """
    if _TABLE <= number < 1 << 27:  # most amounts of money: two table entries take half of the time of the loop
        return _MORE[number << 1 & 0x3FFF] + _LAST[number >> 13]
    if not -_MAX_LONG <= number < _MAX_LONG:
        raise OverflowError(f"{number.bit_length()} bits")
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = ""
    while rest > 0x7F:
        out += chr(rest & 0x7F | 0x80)
        rest >>= 7
    return out + chr(rest)


_NUMBERS = [varint(number) for number in range(_TABLE)]
# Fourteen bits that are followed by more, and the last fourteen bits. A time between 1974 and 2039 consists of three of these.
_MORE = [chr(bits & 0x7F | 0x80) + chr(bits >> 7 | 0x80) for bits in range(1 << 14)]
_LAST = [chr(bits) if bits < 0x80 else chr(bits & 0x7F | 0x80) + chr(bits >> 7) for bits in range(1 << 14)]
# The inverse tables. The lowest bit is the sign, so a time after 1970 starts with an even number.
_FROM_FIRST = {text: bits >> 1 for bits, text in enumerate(_MORE) if not bits & 1}
_FROM_MORE = {text: bits << 13 for bits, text in enumerate(_MORE)}
_FROM_LAST = {text: bits << 27 for bits, text in enumerate(_LAST) if len(text) == 2}


# The last encoded time and its text: most records of a batch contain the same time.
_last_time: tuple[datetime, str] = (_EPOCH, "\0")


def _timestamp(at: datetime) -> str:
    """Return an encoded timestamp-millis. Raise TypeError for a time without a zone."""
    global _last_time
    last, text = _last_time
    if last is not at:
        text = _encode_timestamp(at)
        _last_time = (at, text)
    return text


def _encode_timestamp(at: datetime) -> str:
    bits = (at - _EPOCH) // _MILLISECOND << 1
    if 0 < bits >> 28 < 1 << 14:
        return _MORE[bits & 0x3FFF] + _MORE[bits >> 14 & 0x3FFF] + _LAST[bits >> 28]
    return varint(bits >> 1)


def _utf8(text: str) -> str:
    return text.encode().decode("latin-1")


def _strings(values: Sequence[str]) -> str:
    if type(values) is not tuple and type(values) is not list:
        raise TypeError("not an array")
    if not values:
        return "\0"
    pieces = [_NUMBERS[len(values)]]
    for value in values:
        text = value if value.isascii() else _utf8(value)
        pieces += (_NUMBERS[len(text)], text)
    pieces.append("\0")
    return "".join(pieces)


def _text(data: str) -> str:
    return data.encode("latin-1").decode()


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Return the long at offset `at`, and the offset after it. Raise ValueError if it has more than nine bytes, IndexError if it has no end."""
    byte = data[at]
    bits, shift = byte & 0x7F, 7
    while byte > 0x7F:
        at += 1
        byte = data[at]
        bits |= (byte & 0x7F) << shift
        shift += 7
    if shift > 63:
        raise ValueError("the number has more than nine bytes")
    return (-1 - (bits >> 1) if bits & 1 else bits >> 1), at + 1


def _length(data: bytes, at: int) -> tuple[int, int]:
    length, at = _long(data, at)
    if length < 0:
        raise ValueError("negative length")
    return length, at


def _time(ms: int) -> datetime:
    if 0 <= ms < _LATEST_MS:
        return datetime.fromtimestamp(ms / 1000, UTC)
    return _EPOCH + timedelta(milliseconds=ms)


# -- writing -----------------------------------------------------------------------------------------------------------------


def compile_writer(
    schema: Schema,
    header: bytes,
    fields: Sequence[str],
    fixed: Mapping[str, Any],
    given: Sequence[str],
    encoded: Sequence[str] = (),
    otherwise: Callable[..., bytes] | None = None,
    *,
    is_mapping: bool = False,
) -> Writer:
    """Return a function `write(source, *given) -> bytes` for records of `schema`.

    Args:
        schema: the parsed schema of a record.
        header: the bytes before the data.
        fields: the fields that are attributes of `source`.
        fixed: fields with the same value in every record.
        given: the fields that are arguments, in order. All other fields get their default.
        encoded: the arguments that are text, but passed as UTF-8 bytes.
        is_mapping: whether `source` and the records in it are mappings, and have the fields as items in the place of attributes.
        otherwise: the function to call, with the same arguments, for a record that is not ordinary; if None, one of `ODD` is raised.

    Raises:
        Unsupported: the schema contains a type that is not compiled, or a field has neither a value nor a default.
    """
    lines: list[str] = []
    pieces: list[str] = []
    constant = header.decode("latin-1")
    records = _Records(is_mapping)
    for number, field in enumerate(schema["fields"]):
        name = field["name"]
        if name in fields or name in given:
            value = f"v{number}"
            lines.append(f"{value} = {records.field('source', name) if name in fields else f'given_{name}'}")
            if constant:
                pieces.append(repr(constant))
                constant = ""
            pieces += _write("bytes" if name in encoded else field["type"], value, lines, records)
        elif name in fixed or "default" in field:
            constant += _constant(field["type"], fixed[name] if name in fixed else field["default"])
        else:
            raise Unsupported(f"field {name} has neither a value nor a default")
    if constant:
        pieces.append(repr(constant))
    arguments = ", ".join(["source", *(f"given_{name}" for name in given)])
    lines.append(f'return "".join(({", ".join(pieces)},)).encode("latin-1")')
    if otherwise is not None:
        lines = ["try:", *(_INDENT + line for line in lines), "except ODD:", f"{_INDENT}return otherwise({arguments})"]
    return _compiled([f"def compiled({arguments}):", *(_INDENT + line for line in lines)], otherwise=otherwise)


class _Records:
    """Knows how the fields of records are read, and the records and enums that were written before, by name."""

    def __init__(self, is_mapping: bool) -> None:
        self._is_mapping = is_mapping
        self.types: dict[str, Schema] = {}

    def field(self, record: str, name: str) -> str:
        """Return the expression for a field of a record."""
        return f"{record}[{name!r}]" if self._is_mapping else f"{record}.{name}"


def _constant(kind: Schema, value: Any) -> str:
    """Return the encoded text of a constant value."""
    lines: list[str] = []
    pieces = _write(kind, "source", lines, _Records(is_mapping=True))
    source = [
        "def compiled(source):",
        *(_INDENT + line for line in lines),
        f'{_INDENT}return "".join(({", ".join(pieces)},))',
    ]
    try:
        text: str = _compiled(source)(value)
    except ODD as error:
        raise Unsupported(f"only fastavro can encode this value: {error}") from error
    return text


def _write(kind: Schema, value: str, lines: list[str], records: _Records) -> list[str]:
    """Return the expressions for the encoded text of `value`. Statements that must run first are added to `lines`."""
    kind = records.types.get(kind, kind) if isinstance(kind, str) else kind
    name, logical = (kind["type"], kind.get("logicalType")) if isinstance(kind, dict) else (kind, None)
    if isinstance(kind, list):
        if len(kind) != 2 or kind[0] != "null":
            raise Unsupported("a union other than null and one type")
        inner: list[str] = []
        pieces = _write(kind[1], value, inner, records)
        lines.append(f"if {value} is None: {value} = '\\0'")
        lines.append("else:")
        lines += [_INDENT + line for line in inner]
        lines.append(f"""{_INDENT}{value} = "".join(("\\x02", {", ".join(pieces)},))""")
        return [value]
    if name == "string":
        lines.append(f"if not {value}.isascii(): {value} = utf8({value})")
        return [f"numbers[len({value})]", value]
    if name == "bytes":
        return [f"numbers[len({value})]", f'{value}.decode("latin-1")']
    if name == "long" and logical == "timestamp-millis":
        return [f"timestamp({value})"]
    if name in ("int", "long") and logical is None:
        return [f"numbers[{value}] if 0 <= {value} < {_TABLE} else varint({value})"]
    if name == "boolean":
        return [f"'\\1' if {value} else '\\0'"]
    if name == "enum":
        records.types[kind["name"]] = kind
        return [f"{ ({symbol: varint(index) for index, symbol in enumerate(kind['symbols'])})!r}[{value}]"]
    if name == "array" and kind["items"] == "string":
        return [f"strings({value})"]
    if name == "record":
        parts: list[str] = []
        for field in kind["fields"]:
            part = f"{value}_{field['name']}"
            lines.append(f"{part} = {records.field(value, field['name'])}")
            parts += _write(field["type"], part, lines, records)
        records.types[kind["name"]] = kind
        return parts
    if name in ("array", "map"):
        item = f"{value}_item"
        body: list[str] = []
        parts = _write("string", f"{value}_key", body, records) if name == "map" else []
        parts += _write(kind["values" if name == "map" else "items"], item, body, records)
        of_each = f"{value}_key, {item} in {value}.items()" if name == "map" else f"{item} in {value}"
        lines += [
            f"{value}_parts = [numbers[len({value})]] if {value} else []",
            f"for {of_each}:",
            *(_INDENT + line for line in body),
            f"""{_INDENT}{value}_parts.append("".join(({", ".join(parts)},)))""",
            f"""{value}_parts.append("\\0")""",
        ]
        return [f"*{value}_parts"]
    raise Unsupported(f"{name} {logical or ''}")


def mapped(value: Any) -> Any:
    """Return a value with mappings in the place of structs: what fastavro writes where a compiled writer reads attributes."""
    if hasattr(value, "__struct_fields__"):
        return {name: mapped(getattr(value, name)) for name in value.__struct_fields__}
    return [mapped(each) for each in value] if isinstance(value, tuple) else value


# -- reading -----------------------------------------------------------------------------------------------------------------


def compile_reader(schema: Schema) -> Reader:
    """Return a function `read(data, at) -> record` for data of `schema` from offset `at` to the end of `data`.

    Args:
        schema: the parsed schema of a record, both the writer's and the reader's.

    Raises:
        Unsupported: the schema contains a type that is not compiled.
    """
    lines = ["def compiled(data, at):", f'{_INDENT}text = data.decode("latin-1")']
    names = _Names()
    lines += [_INDENT + line for line in _read(schema, "record", names)]
    # Every read advances `at` even if the bytes are missing, so data that ends too early is found here at the latest.
    lines.append(f"{_INDENT}if at != len(data): raise ValueError('the record does not end at the end of the data')")
    lines.append(f"{_INDENT}return record")
    return _compiled(lines)


class _Names:
    """Generates unused names of local variables, and knows the records and enums that were read before, by name."""

    def __init__(self) -> None:
        self._count = 0
        self.types: dict[str, Schema] = {}

    def new(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _read_blocks(target: str, empty: str, item: list[str], names: _Names) -> list[str]:
    """Return the lines that read the blocks of an array or a map into `target`; `item` are the lines that read one of its items."""
    count = names.new()
    return [
        f"{target} = {empty}",
        *_read_number(count, "length"),
        f"while {count}:",
        f"{_INDENT}for _ in range({count}):",
        *(_INDENT * 2 + line for line in item),
        *(_INDENT + line for line in _read_number(count, "length")),
    ]


def _read(kind: Schema, target: str, names: _Names) -> list[str]:
    """Return the lines that read a value of `kind` at offset `at` into the variable `target`, and advance `at`."""
    kind = names.types.get(kind, kind) if isinstance(kind, str) else kind
    name, logical = (kind["type"], kind.get("logicalType")) if isinstance(kind, dict) else (kind, None)
    if isinstance(kind, list):
        if kind[0] != "null":
            raise Unsupported("a union that does not begin with null")
        lines = ["branch = data[at]", "at += 1", f"if not branch: {target} = None"]
        for index, part in enumerate(kind[1:], 1):
            lines += [f"elif branch == {2 * index}:", *(_INDENT + line for line in _read(part, target, names))]
        return [*lines, "else: raise ValueError('unknown branch of a union')"]
    if name in ("string", "bytes"):
        source = "text" if name == "string" else "data"
        return [
            *_read_number("size", "length"),
            "end = at + size",
            f"{target} = {source}[at:end]",
            "at = end",
            *([f"if not {target}.isascii(): {target} = decoded({target})"] if name == "string" else []),
        ]
    if name == "long" and logical == "timestamp-millis":
        return [
            "try:",
            f"{_INDENT}ms = first[text[at:at + 2]] | more[text[at + 2:at + 4]] | last[text[at + 4:at + 6]]",
            f"{_INDENT}{target} = from_seconds(ms / 1000, utc)",
            f"{_INDENT}at += 6",
            "except KeyError:",
            f"{_INDENT}ms, at = long(data, at)",
            f"{_INDENT}{target} = time(ms)",
        ]
    if name in ("int", "long") and logical is None:
        return _read_number(target, "long")
    if name == "boolean":
        return [f"{target} = booleans[data[at]]", "at += 1"]
    if name == "enum":
        names.types[kind["name"]] = kind
        return [*_read_number("size", "length"), f"{target} = {tuple(kind['symbols'])!r}[size]"]
    if name == "array":
        item = names.new()
        return _read_blocks(target, "[]", [*_read(kind["items"], item, names), f"{target}.append({item})"], names)
    if name == "map":
        key, item = names.new(), names.new()
        entry = [*_read("string", key, names), *_read(kind["values"], item, names), f"{target}[{key}] = {item}"]
        return _read_blocks(target, "{}", entry, names)
    if name == "record":
        lines, values = [], []
        for has_default, group in groupby(kind["fields"], _has_plain_default):
            fields = [(names.new(), field) for field in group]
            values += [f"{field['name']!r}: {value}" for value, field in fields]
            size = _RUN if has_default else len(fields)
            for start in range(0, len(fields), size):
                lines += _read_fields(fields[start : start + size], names, has_default=has_default)
        names.types[kind["name"]] = kind
        return [*lines, f"{target} = {{{', '.join(values)}}}"]
    raise Unsupported(f"{name} {logical or ''}")


def _has_plain_default(field: Schema) -> bool:
    """Return whether the default of a field has one literal in Python and in JSON."""
    if "default" not in field:
        return False
    kind, default = field["type"], field["default"]
    if isinstance(kind, list):
        return default is None
    if isinstance(kind, dict):
        return kind["type"] in (("enum",) if default else ("array", "map"))
    return kind in ("string", "int", "long", "boolean")


def _read_fields(fields: Sequence[tuple[str, Schema]], names: _Names, *, has_default: bool) -> list[str]:
    """Return the lines that read fields into their variables. Most records leave most fields with a default out, so these are compared first."""
    lines = [line for value, field in fields for line in _read(field["type"], value, names)]
    if not has_default or len(fields) < _SHORTEST_RUN:
        return lines
    # A value that is empty, null, 0 or false takes one byte, which is 0.
    usual = [_constant(field["type"], field["default"]) if field["default"] else "\0" for _, field in fields]
    return [
        f"if data.startswith({''.join(usual).encode('latin-1')!r}, at):",
        f"{_INDENT}at += {len(''.join(usual))}",
        *(f"{_INDENT}{value} = {field['default']!r}" for value, field in fields),
        "else:",
        *(_INDENT + line for line in lines),
    ]


def _read_number(target: str, reader: str) -> list[str]:
    """Return the lines that read a number. A one-byte number of 0 or more is read inline: its sign bit and its continuation bit are 0."""
    return [
        f"{target} = data[at]",
        f"if {target} & 0x81: {target}, at = {reader}(data, at)",
        "else:",
        f"{_INDENT}{target} >>= 1",
        f"{_INDENT}at += 1",
    ]


def _compiled(source: list[str], **names: Any) -> Callable[..., Any]:
    # The source is generated from schemas that are part of this program. Avro limits their names to letters, digits and underscores.
    space: dict[str, Any] = {
        "numbers": _NUMBERS,
        "varint": varint,
        "timestamp": _timestamp,
        "utf8": _utf8,
        "strings": _strings,
        "decoded": _text,
        "long": _long,
        "length": _length,
        "time": _time,
        "first": _FROM_FIRST,
        "more": _FROM_MORE,
        "last": _FROM_LAST,
        "from_seconds": datetime.fromtimestamp,
        "utc": UTC,
        "ODD": ODD,
        **names,
        "booleans": (False, True),
    }
    exec(compile("\n".join(source), "<avro>", "exec"), space)  # noqa: S102 - see above
    function: Callable[..., Any] = space["compiled"]
    return function
