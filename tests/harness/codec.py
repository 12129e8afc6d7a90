"""The codec of the schemas of this version, without a registry: one for all tests of a process, because opening it takes 20 ms."""

from __future__ import annotations

from streams.wire.codec import open_codec

CODEC = open_codec()
