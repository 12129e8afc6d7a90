"""The example consumer of `attributed-engagement`: it reads what Takk writes, and repeated records count once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from deploy.neighbours.revenue import Revenue, Schemas, consume
from streams.wire.topics import ATTRIBUTED, SCHEMA_OF
from tests.harness.codec import CODEC
from tests.harness.records import attributed_order

SCHEMA = SCHEMA_OF[ATTRIBUTED]


class Message:
    """A message of a consumer."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._value = CODEC.encode(SCHEMA, record)

    def value(self) -> bytes:
        """Return the bytes."""
        return self._value

    def error(self) -> None:
        """Return no error."""


class Topic:
    """A consumer of a partition, whose process may end between the batch and the commit of its offsets."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self._messages = [Message(record) for record in records]
        self._position = self.committed = 0
        self.ends_before_commit = False

    def consume(self, most: int, seconds: float) -> list[Message]:
        """Return the next messages."""
        batch = self._messages[self._position : self._position + min(most, 7)]
        self._position += len(batch)
        return batch

    def commit(self, asynchronous: bool) -> None:
        """Commit the position, or end."""
        if self.ends_before_commit:
            raise KeyboardInterrupt
        self.committed = self._position

    def restart(self) -> None:
        """Read again from the committed position."""
        self._position = self.committed


def test_totals(tmp_path: Path) -> None:
    """The revenue of each flow and currency is summed up, and other engagement does not count."""
    revenue = Revenue(str(tmp_path / "r"))
    records = [
        attributed_order(1),
        attributed_order(2, currency="SEK"),
        attributed_order(3, "welcome"),
        attributed_order(4),
        attributed_order(5, kind="clicked", revenue_minor=None),
    ]
    records.append(attributed_order(6, kind="ordered_held_out"))
    consume(Topic(records), Schemas(SCHEMA), revenue)
    assert revenue.totals() == [
        ("review", "DKK", 2, 20_000),
        ("review", "SEK", 1, 10_000),
        ("welcome", "DKK", 1, 10_000),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_repeats_and_restarts(tmp_path: Path, seed: int) -> None:
    """Records that were written twice, and batches that come again after a restart, count once."""
    chance = random.Random(seed)
    written = [attributed_order(number % 30) for number in range(60)]
    chance.shuffle(written)
    topic, schemas = Topic(written), Schemas(SCHEMA)
    while topic.committed < len(written):
        topic.ends_before_commit = chance.random() < 0.4
        topic.restart()
        revenue = Revenue(str(tmp_path / "r"))
        try:
            while consume(topic, schemas, revenue):
                topic.ends_before_commit = chance.random() < 0.4
        except KeyboardInterrupt:
            continue
    assert Revenue(str(tmp_path / "r")).totals() == [("review", "DKK", 30, 300_000)]


def test_records_of_earlier_schemas() -> None:
    """The consumer knows the schema of the records that Takk writes now, and says when it does not know one."""
    schemas = Schemas(SCHEMA)
    record = attributed_order(1)
    data = CODEC.encode(SCHEMA, record)
    assert schemas.decode(data) == CODEC.decode(SCHEMA, data)
    with pytest.raises(ValueError, match="unknown schema"):
        schemas.decode(b"\xc3\x01" + b"x" * 8)
