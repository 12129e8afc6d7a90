"""Runs in a process of an earlier program: decides again about the records that its worker has read.

`EarlierDecisions` starts it. It imports the earlier program's modules by the names that they had then, so it must not import this program's.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any


class _Record:
    """A record, with the methods of librdkafka's messages that the earlier program calls."""

    def __init__(self, topic: str, key: bytes | None, value: bytes | None, at_ms: int) -> None:
        self._parts = (topic, key, value, at_ms)

    def topic(self) -> str:
        """Return its topic."""
        return self._parts[0]

    def key(self) -> bytes | None:
        """Return its key."""
        return self._parts[1]

    def value(self) -> bytes | None:
        """Return its value."""
        return self._parts[2]

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of its time, and its time in ms since 1970 UTC."""
        return 1, self._parts[3]


class _Batch:
    """The part of a batch that a decision needs: its partition, its time, and the stored states."""

    def __init__(self, states: Mapping[bytes, Any], partition: int, now_ms: int) -> None:
        self.get = states.get
        self.partition = partition
        self.now_ms = now_ms


def main() -> None:
    """Answer each question on standard input on standard output, until the input ends."""
    flows, codec = import_module("streams.agents.flows"), import_module("streams.core.customer_codec")
    wire, checkpoint = import_module("streams.wire"), import_module("streams.runtime.checkpoint")
    settings = import_module("streams.settings").load_settings()
    world = import_module("streams.flow_files").load_world(settings.templates_dir, **settings.world())
    decide = flows.decider(
        wire.Wire(wire.open_codec(schemas=settings.schemas_dir)), world, int(os.environ["PARTITIONS"])
    )
    while True:
        try:
            partition, now_ms, state, record = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        states = {} if state is None else {record[1]: codec.decode_customer(state)}
        try:
            key, after, outputs = decide(_Record(*record), _Batch(states, partition, now_ms))
        except (checkpoint.Broken, checkpoint.Moved):
            answer = None  # a dead letter, or a record that was published again under its customer
        else:
            answer = (key, None if key is None else codec.encode_customer(after), [tuple(each) for each in outputs])
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
