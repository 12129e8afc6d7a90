"""The source offsets that belong to a state: how far the records are read whose effects it contains.

Kafka deletes the offsets of a group that is idle for some days. The state is kept, so it remembers them too: each commit puts them into a
header of its last changelog record, and into the store. The header is on no record of its own that has a value, because workers of older
versions would take that for an entry of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from streams.runtime.errors import StoreError
from streams.runtime.kafka.producer_record import headers_of

#: The header of a changelog record, and the key in the store.
HEADER, META = "takk-offsets", b"offsets"


class _Stored(msgspec.Struct, omit_defaults=True):
    cluster: str
    offsets: dict[str, int]
    ids: dict[str, str] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Stored).decode


def encode_offsets(cluster: str, offsets: Mapping[str, int], ids: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return the bytes of a header. Offsets mean nothing on another cluster or in a recreated topic, so the ids of both are part of them.

    Args:
        cluster: the id of the cluster.
        offsets: topic -> the offset of the next record to read.
        ids: topic -> its id, if it is known.
    """
    return _encode(_Stored(cluster, dict(offsets), {topic: ids[topic] for topic in offsets if topic in ids}))


def decode_offsets(raw: bytes | None, cluster: str) -> dict[str, int] | None:
    """Return the offsets in a header; None without a header, or if it is of another cluster.

    Raises:
        msgspec.DecodeError: the bytes are damaged.
    """
    if raw is None:
        return None
    stored = _decode(raw)
    return stored.offsets if stored.cluster == cluster else None


def decode_ids(raw: bytes | None) -> dict[str, str]:
    """Return the ids of the topics in a header. Versions before this one stored none.

    Raises:
        msgspec.DecodeError: the bytes are damaged.
    """
    return {} if raw is None else _decode(raw).ids


def offsets_of(message: Any) -> bytes | None:
    """Return the header of a changelog record, or None."""
    for name, value in headers_of(message) or ():
        if name == HEADER:
            return value
    return None


@dataclass(frozen=True)
class Source:
    """One partition of an input topic at a takeover.

    Attributes:
        topic, partition: which one.
        committed: the group's committed offset, or None.
        state: the offset that the state contains, or None.
        low, high: the first offset, and the offset after the last record.
        is_recreated: whether the topic has another id than the one that the state contains records of.
    """

    topic: str
    partition: int
    committed: int | None
    state: int | None
    low: int
    high: int
    is_recreated: bool = False

    def start(self, *, is_committed_trusted: bool = False) -> tuple[int, int]:
        """Return the offset from which to read, and the number of offsets that were deleted before they were read.

        The state wins over a committed offset that is missing or lower: the records in between have had their effect.

        Args:
            is_committed_trusted: take the committed offset, whatever the state contains. An operator has set it.

        Raises:
            StoreError: the topic ends before that offset, or is another one.
        """
        known = [offset for offset in (self.committed, self.state) if offset is not None]
        if is_committed_trusted:
            known = [] if self.committed is None else [self.committed]
        if not known:
            return self.low, 0
        start = max(known)
        if start > self.high:
            raise self._refusal(
                f"ends at offset {self.high}, but was read up to offset {start}: the topic was truncated, or deleted and recreated"
            )
        if self.is_recreated and not is_committed_trusted:
            raise self._refusal(f"was read up to offset {start}, and was deleted and recreated since")
        return max(start, self.low), max(0, self.low - start)

    def _refusal(self, reason: str) -> StoreError:
        return StoreError(
            f"{self.topic}[{self.partition}] {reason}. New records would be skipped. Restore the topic. To read on from another offset, "
            "stop all processes of the group, set the group's offset with `kafka-consumer-groups --reset-offsets`, and start each once with "
            "--accept-offsets."
        )


def refuse_unknown(stage: str, partition: int, topics: tuple[str, ...]) -> StoreError:
    """Return the error of a state without any offset: records would be read again whose effects it contains."""
    return StoreError(
        f"stage {stage} has state for partition {partition}, but the group has no committed offset for {', '.join(topics)}: the offsets "
        "have expired or were deleted. Reading from the start would repeat what was done. Stop all processes of the group, set the "
        "group's offsets with `kafka-consumer-groups --reset-offsets`, for example by the time of the last commit, and start each once with "
        "--accept-offsets. With --accept-offsets and no committed offset, everything is read again."
    )
