"""The mapping file: which column of a file becomes which field of a record. Without one, columns have the names of the fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from msgspec import Struct

from streams.core.values.local_time import zone
from streams.core.values.text import nearest
from streams.tools.operations.importing.rows import ImportFailed

#: The keys of a field that is more than the name of a column.
KEYS = ("column", "value", "default", "values", "format", "zone", "decimal")


class Source(Struct, frozen=True, kw_only=True):
    """Where the value of a field comes from.

    Attributes:
        column: the column; "" if `value` is the same for all rows.
        value: that value.
        default: the value where the cell is empty.
        values: the value for each text of the column; a text that is missing here is an error.
        format: how a time is written, in the codes of `strftime`; "" for ISO 8601 or seconds since 1970.
        zone: the time zone of times without one, UTC by default.
        decimal: the decimal mark of an amount in major units, such as 129.50; "" if the column has minor units.
    """

    column: str = ""
    value: Any = None
    default: Any = None
    values: Mapping[str, Any] | None = None
    format: str = ""
    zone: str = ""
    decimal: str = ""


class ImportMapping(Struct, frozen=True, kw_only=True):
    """The sources of the fields, and those of the lines of an order, if each line has a row of its own."""

    fields: Mapping[str, Source] = MappingProxyType({})
    lines: Mapping[str, Source] = MappingProxyType({})


def read_mapping(
    path: Path, fields: Collection[str], line_fields: Collection[str], maps: Collection[str] = ()
) -> ImportMapping:
    """Return the mapping in a YAML file.

    Args:
        path: the file.
        fields: the fields that a row may have.
        line_fields: the fields that a line may have; empty if such records have no lines.
        maps: the fields that are open maps, so that a file may name their values: `attributes.size: Size`.

    Raises:
        ImportFailed: the file cannot be read, or is not a valid mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImportFailed(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}:" if place is not None else ""
        raise ImportFailed(f"{path}:{line} invalid YAML: {getattr(error, 'problem', error)}") from error
    parts = _mapping(path, "the file", content, ("fields", "lines"))
    return ImportMapping(
        fields=_sources(path, "fields", parts.get("fields") or {}, fields, maps),
        lines=_sources(path, "lines", parts.get("lines") or {}, line_fields),
    )


def _mapping(
    path: Path, where: str, content: Any, known: Collection[str], maps: Collection[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise ImportFailed(f"{path}: {where} is not a mapping (hint: write key: value; keys: {', '.join(known)})")
    for key in content:
        first, _, rest = str(key).partition(".")
        if key not in known and not (first in maps and rest):
            raise ImportFailed(f"{path}: unknown key {key!r} in {where} ({nearest(str(key), known)})")
    return content


def _sources(
    path: Path, where: str, content: Any, known: Collection[str], maps: Collection[str] = ()
) -> Mapping[str, Source]:
    return {
        name: _source(path, f"{where}.{name}", value)
        for name, value in _mapping(path, where, content, known, maps).items()
    }


def _source(path: Path, where: str, content: Any) -> Source:
    if not isinstance(content, dict):
        if content is None or isinstance(content, (list, bool)):
            raise ImportFailed(f"{path}: {where} names no column (hint: `{where.rpartition('.')[2]}: Column`)")
        return Source(column=str(content))
    values = _mapping(path, where, content, KEYS)
    if ("column" in values) == ("value" in values):
        raise ImportFailed(f"{path}: {where} needs either `column` or `value`")
    choices = values.get("values")
    if choices is not None and not isinstance(choices, dict):
        raise ImportFailed(f"{path}: {where}.values is not a mapping (hint: write text in the file: value)")
    zone_name = str(values.get("zone", ""))
    if zone_name and zone(zone_name) is None:
        raise ImportFailed(
            f"{path}: {where}.zone: unknown time zone {zone_name!r} (hint: for example Europe/Copenhagen)"
        )
    mark = values.get("decimal", "")
    if mark not in ("", ".", ",", True, False):
        raise ImportFailed(f'{path}: {where}.decimal: unknown mark {mark!r} (hint: "." or ",")')
    return Source(
        column=str(values.get("column", "")),
        value=values.get("value"),
        default=values.get("default"),
        values={str(key): value for key, value in choices.items()} if choices is not None else None,
        format=str(values.get("format", "")),
        zone=zone_name,
        decimal="." if mark is True else mark or "",
    )
