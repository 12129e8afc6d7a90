"""A customer as bytes: one byte of schema version, then msgpack. Bytes of every released version are read for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from streams.core.model.customer import Customer

VERSION = 4
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Customer)
_PREFIX = bytes((VERSION,))

# From version n to n + 1, on the plain msgpack value. Fields that were added at an end have defaults, and nothing is to be done.
_UPCASTS: Mapping[int, Callable[[object], object]] = MappingProxyType(dict.fromkeys((1, 2, 3), lambda value: value))


class UnknownVersion(ValueError):
    """The bytes were written by a newer Takk than this one, or are not a customer."""


def encode_customer(customer: Customer) -> bytes:
    """The bytes that the table and its changelog keep."""
    return _PREFIX + _encoder.encode(customer)


def decode_customer(data: bytes) -> Customer:
    """The customer in `data`, whichever version wrote it.

    Raises:
        UnknownVersion: no way leads from the version of the bytes to the one of this program.
        msgspec.DecodeError: the bytes are damaged.
    """
    if not data:
        raise UnknownVersion("no bytes")
    version = data[0]
    if version == VERSION:
        return _decoder.decode(memoryview(data)[1:])
    if version > VERSION or any(step not in _UPCASTS for step in range(version, VERSION)):
        raise UnknownVersion(f"customer state of version {version}; this program reads up to {VERSION}: upgrade it")
    value: object = msgspec.msgpack.decode(memoryview(data)[1:])
    for step in range(version, VERSION):
        value = _UPCASTS[step](value)
    return msgspec.convert(value, Customer)
