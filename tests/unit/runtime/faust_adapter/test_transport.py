"""The transport: batches travel as Faust messages."""

from __future__ import annotations

from faust.types import TP

from streams.runtime.faust_adapter.transport import as_faust_message
from tests.harness.kafka_fakes import TOPIC, Record, stage, task


def test_a_message_carries_a_batch() -> None:
    """The message has the task, its records and the generation as its value, and belongs to the topic of the records."""
    one = task(None, stage(topics=("first", TOPIC)))
    records = [Record(5), Record(6)]
    message = as_faust_message(one, records, 3, 7)
    assert message.value == (one, records, 3)
    assert (message.tp, message.topic, message.generation_id) == (TP(TOPIC, 0), TOPIC, 7)


def test_an_empty_batch_belongs_to_the_first_topic() -> None:
    """A batch of timers has no records, and is delivered on the first topic of its stage."""
    one = task(None, stage(topics=("first", TOPIC)))
    assert as_faust_message(one, [], 3, 7).tp == TP("first", 0)
