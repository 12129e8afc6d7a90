"""Finding the dead letters of a customer, counting letters, and replaying them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.agents import flows
from streams.settings import PROJECT_ROOT, load_settings
from streams.tools.operations.dead_letters import DeadLetter, NotReplayable, count, decode, is_of, replay
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import FakeProducer
from tests.harness.records import AT


@dataclass
class Message:
    """A record of the topic dead-letters."""

    letter: Any

    def key(self) -> bytes | None:
        key: bytes | None = self.letter.key
        return key

    def value(self) -> bytes | None:
        value: bytes | None = self.letter.value
        return value


def message(
    offset: int, key: bytes | None, value: bytes | None, topic: str = topics.ORDERS, at: datetime = AT
) -> Message:
    """A dead letter as it is on its topic."""
    made = Encoder(CODEC).journal.dead_letter(topic, 0, offset, key, value, "bad_currency", "why", at, stage="flows")
    return Message(made)


def test_the_letters_of_a_customer() -> None:
    """By key, whatever the record is; and by content, if the record has another key or none. A record that only mentions the id is not."""
    order, other = (CODEC.encode("order", records.order(customer_id=name, currency="kr")) for name in ("c1", "c2"))
    mention = CODEC.encode("order", records.order(customer_id="c2", order_id="c1"))
    messages = [
        message(0, b"c1", order),
        message(1, b"c1", b"junk"),
        message(2, b"c1", None),
        message(3, b"c2", other),
        message(4, b"c9", order),
        message(5, None, order),
        message(6, b"c2", mention),
        message(7, b"c10", b"junk c1"),
        message(8, b"c1", order, "an-old-topic"),
    ]
    found = [number for number, one in enumerate(messages) if is_of(CODEC, one, "c1")]
    assert found == [0, 1, 2, 4, 5, 8]


def test_letters_are_counted() -> None:
    """By topic, partition, stage and reason, the largest group first, with the number of keys and the first and last time."""
    letters = [
        decode(CODEC, message(n, key, b"?", topic, AT + timedelta(minutes=n)).value() or b"")
        for n, (key, topic) in enumerate([(b"a", "shipments"), (b"b", "orders"), (None, "orders"), (b"b", "orders")])
    ]
    assert [str(group) for group in count(letters)] == [
        "orders/0  flows  bad_currency  3 letters of 2 keys  2026-03-27 12:31:00 to 2026-03-27 12:33:00",
        "shipments/0  flows  bad_currency  1 letter of 1 key  2026-03-27 12:30:00 to 2026-03-27 12:30:00",
    ]
    assert count([]) == []


def letter(**changes: Any) -> DeadLetter:
    """Return a complete dead letter with `changes` to its fields."""
    fields: dict[str, Any] = {
        "topic": "orders", "partition": 3, "offset": 42, "key": b"k", "value": b"v", "headers": (), "reason": "not_avro", "detail": "",
        "stage": "flows", "failed_at": datetime(2026, 3, 2, tzinfo=UTC),
    }  # fmt: skip
    return DeadLetter(**(fields | changes))


def test_only_a_complete_record_can_be_replayed() -> None:
    """A letter says why its record cannot be replayed, and where the record is; nothing is published. Headers are not needed."""
    assert letter().obstacle is None
    assert letter(value=None, key=None).obstacle is None
    assert letter(has_all_headers=False).obstacle is None
    place = "The record is at offset 42 of orders[3] until it expires there"
    cut = letter(value=b"v" * 65_536, value_bytes=9_000_000)
    assert cut.obstacle == f"the dead letter has only 65,536 of 9,000,000 bytes of its value. {place}"
    assert letter(key_bytes=2000).obstacle == f"the dead letter has only 1 of 2,000 bytes of its key. {place}"
    assert letter(value=None, value_bytes=-1).obstacle == f"the dead letter has no value. {place}"
    producer = FakeProducer()
    with pytest.raises(NotReplayable, match=re.escape(str(cut.obstacle))):
        replay(load_settings(), [letter(), cut], producer=producer)
    assert producer.calls == []


@pytest.mark.parametrize(
    "topic",
    [
        "customers-of-another-team",
        "dead-letters",
        "rewards",
        "flow-decisions",
        "__consumer_offsets",
        "",
        "orders\n",
        "Orders",
    ],
)
def test_letters_go_back_to_topics_that_a_stage_reads_only(topic: str) -> None:
    """A letter that names another topic is refused, and nothing is published, not even the letters beside it."""
    producer = FakeProducer()
    with pytest.raises(NotReplayable, match="Nothing was published"):
        replay(load_settings(), [letter(), letter(topic=topic)], producer=producer)
    assert producer.calls == []
    assert "no stage reads" in str(letter(topic=topic).obstacle)


def test_inputs_are_those_of_the_stages() -> None:
    """The topics that letters can be replayed to are the topics that the agents read."""
    found: set[str] = set()
    for path in (PROJECT_ROOT / "streams" / "agents").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "instrumentation.stage":
                read = eval(ast.unparse(node.args[1]), {"topics": topics, "INPUTS": flows.INPUTS})
                found |= set(read)
    assert found == topics.STAGE_INPUTS
