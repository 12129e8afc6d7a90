"""Encode the state of a customer. Bytes of every released version stay readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from streams.core.model.customer import Customer
from streams.core.model.versioned_codec import VersionedCodec

VERSION = 11
# Versions 2 to 11 only added fields with defaults at the end of a struct, so there is nothing to convert.
_UPCASTS: Mapping[int, Callable[[object], object]] = MappingProxyType(
    dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), lambda value: value)
)
_CODEC: VersionedCodec[Customer] = VersionedCodec(Customer, "customer state", VERSION, _UPCASTS)

encode_customer = _CODEC.encode
decode_customer = _CODEC.decode
