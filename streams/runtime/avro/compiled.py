"""Avro schemas turned into Python functions, for the records that every order makes.

fastavro walks the schema for every record, from a dict and into a dict. What is known when the schema is loaded need not be looked at
again for each record: here a schema becomes the source of one function, which is compiled once.

Two things make these functions fast. A record is put together (and taken apart) as *one text of bytes*: a `str` whose characters are the
bytes 0 to 255, which is what Python calls latin-1. Slicing and joining such texts is the cheapest thing Python does with data, and an
ASCII field is its own encoding. And numbers come from tables instead of loops.

They handle what is ordinary and nothing else. Whatever is odd (a damaged record, a length that fills more bytes than it needs, a value
of another type than the schema says) makes them raise one of `ODD`, and the caller does it again with fastavro, which decides and words
what is wrong. So the bytes, the records and the errors are fastavro's; tests/property/test_avro.py holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Schema: TypeAlias = Any
Writer: TypeAlias = Callable[..., bytes]
Reader: TypeAlias = Callable[[bytes, int], dict[str, Any]]

#: What the compiled functions raise for whatever they leave to fastavro.
ODD = (ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INDENT = "    "
_MAX_LONG = 1 << 63
#: Numbers from 0 to here are taken from a table; also the longest text that is (in bytes).
_TABLE = 8192
#: Milliseconds up to which a double holds a time in seconds exactly enough for its millisecond (the year 2100).
_LATEST_MS = 4_102_444_800_000


class Unsupported(ValueError):
    """The schema has something that is not compiled; fastavro handles it."""


# -- numbers -----------------------------------------------------------------------------------------------------------------


def varint(number: int) -> str:
    """A long as Avro writes it: zigzag, seven bits a byte, the lowest first. Raises OverflowError beyond 64 bits."""
    if not -_MAX_LONG <= number < _MAX_LONG:
        raise OverflowError(f"{number.bit_length()} bits")
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = ""
    while rest > 0x7F:
        out += chr(rest & 0x7F | 0x80)
        rest >>= 7
    return out + chr(rest)


_NUMBERS = [varint(number) for number in range(_TABLE)]
# Fourteen bits that are followed by more, and the last fourteen: a time between 1974 and 2039 is three of these.
_MORE = [chr(bits & 0x7F | 0x80) + chr(bits >> 7 | 0x80) for bits in range(1 << 14)]
_LAST = [chr(bits) if bits < 0x80 else chr(bits & 0x7F | 0x80) + chr(bits >> 7) for bits in range(1 << 14)]
# The same the other way round; the lowest bit is the sign, so only what is even can begin a time after 1970.
_FROM_FIRST = {text: bits >> 1 for bits, text in enumerate(_MORE) if not bits & 1}
_FROM_MORE = {text: bits << 13 for bits, text in enumerate(_MORE)}
_FROM_LAST = {text: bits << 27 for bits, text in enumerate(_LAST) if len(text) == 2}


# The last time written and its text: a batch has one clock, which is in most of its records.
_last_moment: tuple[datetime, str] = (_EPOCH, "\0")


def _moment(at: datetime) -> str:
    """A timestamp-millis. Raises TypeError for a time without a zone."""
    global _last_moment
    known, text = _last_moment
    if known is not at:
        text = _text_of_moment(at)
        _last_moment = (at, text)
    return text


def _text_of_moment(at: datetime) -> str:
    bits = (at - _EPOCH) // _MILLISECOND << 1
    if 0 < bits >> 28 < 1 << 14:
        return _MORE[bits & 0x3FFF] + _MORE[bits >> 14 & 0x3FFF] + _LAST[bits >> 28]
    return varint(bits >> 1)


def _utf8(text: str) -> str:
    return text.encode().decode("latin-1")


def _strings(values: Sequence[str]) -> str:
    if type(values) is not tuple and type(values) is not list:
        raise TypeError("no array")
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
    """The long at `at` and where it ends. Raises ValueError if it fills more than nine bytes, IndexError if it does not end."""
    byte = data[at]
    bits, shift = byte & 0x7F, 7
    while byte > 0x7F:
        at += 1
        byte = data[at]
        bits |= (byte & 0x7F) << shift
        shift += 7
    if shift > 63:
        raise ValueError("a number of more than nine bytes")
    return (-1 - (bits >> 1) if bits & 1 else bits >> 1), at + 1


def _length(data: bytes, at: int) -> tuple[int, int]:
    length, at = _long(data, at)
    if length < 0:
        raise ValueError("a negative length")
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
) -> Writer:
    """A function `write(source, *given) -> bytes` for records of `schema`.

    Args:
        schema: a record, parsed.
        header: what stands before the data.
        fields: the fields that are attributes of `source`.
        fixed: fields with a value that is the same in every record.
        given: the fields that are arguments, in their order. Fields that are in none of the three have their default.
        encoded: those of the arguments that are texts and come as bytes, in UTF-8.
        otherwise: what the function calls, with its own arguments, when it meets something odd; None: it raises one of `ODD`.

    Raises:
        Unsupported: the schema has a type that is not compiled, or a field without value and default.
    """
    lines: list[str] = []
    pieces: list[str] = []
    constant = header.decode("latin-1")
    for number, field in enumerate(schema["fields"]):
        name = field["name"]
        if name in fields or name in given:
            value = f"v{number}"
            lines.append(f"{value} = {f'source.{name}' if name in fields else f'given_{name}'}")
            if constant:
                pieces.append(repr(constant))
                constant = ""
            pieces += _write("bytes" if name in encoded else field["type"], value, lines)
        elif name in fixed or "default" in field:
            constant += _constant(field["type"], fixed[name] if name in fixed else field["default"])
        else:
            raise Unsupported(f"{name} has no value")
    if constant:
        pieces.append(repr(constant))
    arguments = ", ".join(["source", *(f"given_{name}" for name in given)])
    lines.append(f'return "".join(({", ".join(pieces)},)).encode("latin-1")')
    if otherwise is not None:
        lines = ["try:", *(_INDENT + line for line in lines), "except ODD:", f"{_INDENT}return otherwise({arguments})"]
    return _compiled([f"def compiled({arguments}):", *(_INDENT + line for line in lines)], otherwise=otherwise)


def _constant(kind: Schema, value: Any) -> str:
    """A value's text of bytes, by a function that writes just this one."""
    lines: list[str] = []
    pieces = _write(kind, "source", lines)
    source = [
        "def compiled(source):",
        *(_INDENT + line for line in lines),
        f'{_INDENT}return "".join(({", ".join(pieces)},))',
    ]
    try:
        text: str = _compiled(source)(value)
    except ODD as error:
        raise Unsupported(f"a value that is written by fastavro alone: {error}") from error
    return text


def _write(kind: Schema, value: str, lines: list[str]) -> list[str]:
    """The expressions that give the text of `value`; what has to be done before is added to `lines`."""
    name, logical = (kind["type"], kind.get("logicalType")) if isinstance(kind, dict) else (kind, None)
    if isinstance(kind, list):
        if len(kind) != 2 or kind[0] != "null":
            raise Unsupported("a union that is not null or something")
        inner: list[str] = []
        pieces = _write(kind[1], value, inner)
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
        return [f"moment({value})"]
    if name in ("int", "long") and logical is None:
        return [f"numbers[{value}] if 0 <= {value} < {_TABLE} else varint({value})"]
    if name == "boolean":
        return [f"'\\1' if {value} else '\\0'"]
    if name == "enum":
        return [f"{ ({symbol: varint(place) for place, symbol in enumerate(kind['symbols'])})!r}[{value}]"]
    if name == "array" and kind["items"] == "string":
        return [f"strings({value})"]
    raise Unsupported(f"{name} {logical or ''}")


# -- reading -----------------------------------------------------------------------------------------------------------------


def compile_reader(schema: Schema) -> Reader:
    """A function `read(data, at) -> record` for data of `schema` that begins at `at` and fills the rest of `data`.

    Args:
        schema: a record, parsed; the writer's and the reader's at once.

    Raises:
        Unsupported: the schema has a type that is not compiled.
    """
    lines = ["def compiled(data, at):", f'{_INDENT}text = data.decode("latin-1")']
    names = _Names()
    lines += [_INDENT + line for line in _read(schema, "record", names)]
    # Every read moves `at` whether the bytes are there or not: data that ends too early is seen here at the latest.
    lines.append(f"{_INDENT}if at != len(data): raise ValueError('the data does not end here')")
    lines.append(f"{_INDENT}return record")
    return _compiled(lines)


class _Names:
    """Names of local variables that were not used before."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _read(kind: Schema, target: str, names: _Names) -> list[str]:
    """The lines that read a value of `kind` at `at` into the variable `target` and move `at` behind it."""
    name, logical = (kind["type"], kind.get("logicalType")) if isinstance(kind, dict) else (kind, None)
    if isinstance(kind, list):
        if len(kind) != 2 or kind[0] != "null":
            raise Unsupported("a union that is not null or something")
        return [
            "branch = data[at]",
            "at += 1",
            f"if not branch: {target} = None",
            "elif branch == 2:",
            *(_INDENT + line for line in _read(kind[1], target, names)),
            "else: raise ValueError('no branch of the union')",
        ]
    if name in ("string", "bytes"):
        found = "text" if name == "string" else "data"
        return [
            *_read_number("size", "length"),
            "end = at + size",
            f"{target} = {found}[at:end]",
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
        return [*_read_number("size", "length"), f"{target} = {tuple(kind['symbols'])!r}[size]"]
    if name == "array":
        item, count = names.new(), names.new()
        return [
            f"{target} = []",
            *_read_number(count, "length"),
            f"while {count}:",
            f"{_INDENT}for _ in range({count}):",
            *(_INDENT * 2 + line for line in _read(kind["items"], item, names)),
            f"{_INDENT * 2}{target}.append({item})",
            *(_INDENT + line for line in _read_number(count, "length")),
        ]
    if name == "record":
        lines, values = [], []
        for field in kind["fields"]:
            value = names.new()
            lines += _read(field["type"], value, names)
            values.append(f"{field['name']!r}: {value}")
        return [*lines, f"{target} = {{{', '.join(values)}}}"]
    raise Unsupported(f"{name} {logical or ''}")


def _read_number(target: str, reader: str) -> list[str]:
    """A number in one byte, not negative, is read on the spot: its last bit (the sign) and its first (there is more) are 0."""
    return [
        f"{target} = data[at]",
        f"if {target} & 0x81: {target}, at = {reader}(data, at)",
        "else:",
        f"{_INDENT}{target} >>= 1",
        f"{_INDENT}at += 1",
    ]


def _compiled(source: list[str], **names: Any) -> Callable[..., Any]:
    # The source is made of the schemas that this program brings along, whose names Avro limits to letters, digits and underscores.
    space: dict[str, Any] = {
        "numbers": _NUMBERS,
        "varint": varint,
        "moment": _moment,
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
