"""Encode stored values: one byte with the schema's version, then msgpack.

Values of every released version stay readable. A newer version is refused, so that an older program never misreads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec

_Value = TypeVar("_Value")
_NO_UPCASTS: Mapping[int, Callable[[object], object]] = MappingProxyType({})


class UnknownVersion(ValueError):
    """Bytes of a newer version of Takk, or bytes that are not a value of this kind."""


class VersionedCodec(Generic[_Value]):
    """The codec of one kind of value.

    Args:
        kind: the type of the values, a struct or a union of tagged structs.
        name: what an error message calls such a value.
        version: the version that is written, 1 to 255. It is raised when the fields of the structs change, also when a field is added at
            the end with a default: an older program would drop that field when it writes the value again.
        upcasts: for each older version, a function that turns its msgpack value into that of the next version.
    """

    __slots__ = ("_decode", "_encode", "_kind", "_name", "_prefix", "_upcasts", "version")

    def __init__(
        self,
        kind: Any,
        name: str,
        version: int,
        upcasts: Mapping[int, Callable[[object], object]] = _NO_UPCASTS,
    ) -> None:
        self.version = version
        self._kind = kind
        self._name = name
        self._prefix = bytes((version,))
        self._upcasts = upcasts
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: Callable[[memoryview], _Value] = msgspec.msgpack.Decoder(kind).decode

    def encode(self, value: _Value) -> bytes:
        """Return the bytes of `value`, as tables and their changelogs store them."""
        return self._prefix + self._encode(value)

    def decode(self, data: bytes) -> _Value:
        """Return the value in `data`, whichever version wrote it.

        Raises:
            UnknownVersion: the version is newer than this program's, or no upcasts lead from it to the present one.
            msgspec.DecodeError: the bytes are damaged.
        """
        version = data[0] if data else 0
        if version == self.version:
            return self._decode(memoryview(data)[1:])
        if version > self.version or any(step not in self._upcasts for step in range(version, self.version)):
            raise UnknownVersion(
                f"{self._name} of version {version}: this program reads versions up to {self.version} "
                "(hint: it was written by a newer Takk; upgrade this process)"
            )
        value: object = msgspec.msgpack.decode(memoryview(data)[1:])
        for step in range(version, self.version):
            value = self._upcasts[step](value)
        converted: _Value = msgspec.convert(value, self._kind)
        return converted
