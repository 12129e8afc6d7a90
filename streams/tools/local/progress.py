"""The progress of a worker, from the topics alone: the records that it has read, and the orders that have a result.

Flows go on without an end, so a worker never runs out of timers and reports, and its lag is rarely 0. Its journal says what it has read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams.agents.flows import INPUTS
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.client_config import consumer_config
from streams.wire import topics

#: The flow that confirms orders.
CONFIRMATION = "order-confirmation"
#: Decisions that end a send.
FINAL = frozenset(("skip", "exit", "limit", "draft", "unknown"))
#: Outcomes of the mailer that leave an email on its way.
_UNDER_WAY = frozenset(("deferred",))
#: The inputs of the flows agent that end when the shop has closed and the recipients have stopped. Timers and reports go on.
ENDING = tuple(topic for topic in INPUTS if topic not in (topics.DUE, topics.EVENTS))
#: Seconds between two looks at the topics.
POLL_S = 0.25
_MOST_RECORDS, _FEW_RECORDS, _CONSUME_S = 10_000, 500, 0.2
_NAME = CONFIRMATION.encode()


class Progress:
    """The records that were read, and the results so far.

    Attributes:
        settled: the ids of the orders that have a confirmation, or a decision against it.
        inputs: the number of records on `ENDING`.
    """

    def __init__(self) -> None:
        self.inputs = 0
        self.settled: set[str] = set()
        #: The last offset of each partition of `ENDING`, and the last one that the journal has.
        self._written: dict[tuple[str, int], int] = {}
        self._read: dict[tuple[str, int], int] = {}

    def add(self, topic: str, partition: int, offset: int, value: bytes | None, codec: Codec) -> None:
        """Add a record of `ENDING`, the journal, the decisions or the reports."""
        if topic in ENDING:
            self._written[topic, partition] = offset
            self.inputs += 1
        elif topic == topics.CHECKPOINTS and value is not None:
            batch = codec.decode("checkpoint", value)
            for part in batch["slices"]:
                place = (part["topic"], batch["partition"])
                self._read[place] = max(part["last"], self._read.get(place, -1))
        elif value is not None and _NAME in value:  # before it is decoded, because most are about other flows
            self._settle(topic, codec.decode(topics.SCHEMA_OF[topic], value))

    def _settle(self, topic: str, record: Mapping[str, Any]) -> None:
        is_final = record["outcome"] not in _UNDER_WAY if topic == topics.EVENTS else record["outcome"] in FINAL
        if is_final and record["flow"] == CONFIRMATION and record["order_id"]:
            self.settled.add(record["order_id"])

    @property
    def unread(self) -> list[tuple[str, int]]:
        """The partitions with records that the worker has not read."""
        return [place for place, last in self._written.items() if last > self._read.get(place, -1)]


class ProgressReader:
    """Reads the topics from their beginning, each record once.

    Args:
        kafka: librdkafka settings of the cluster.
        codec: decodes the records.

    Attributes:
        progress: what was found so far.
    """

    def __init__(self, kafka: Mapping[str, Any], codec: Codec) -> None:
        self._codec = codec
        self.progress = Progress()
        self._consumer = Consumer(consumer_config(kafka, "takk-demo-progress"))
        self._consumer.assign(
            [
                TopicPartition(name, number, 0)
                for name in (*ENDING, topics.CHECKPOINTS, topics.DECISIONS, topics.EVENTS)
                for number in self._consumer.list_topics(name, timeout=30).topics[name].partitions
            ]
        )

    def wait(self, is_done: Callable[[Progress], bool], timeout_s: float) -> bool:
        """Read until `is_done`, and return whether that was within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._read()
            if is_done(self.progress):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)

    def _read(self) -> None:
        """Read what is there. A small batch is the end of it: the topics may grow all the time."""
        is_more = True
        while is_more:
            records = self._consumer.consume(_MOST_RECORDS, _CONSUME_S)
            is_more = len(records) > _FEW_RECORDS
            self._add(records)

    def _add(self, records: Iterable[Any]) -> None:
        for record in records:
            if record.error() is None:
                place = (record.topic(), record.partition(), record.offset())
                self.progress.add(*place, record.value(), self._codec)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
