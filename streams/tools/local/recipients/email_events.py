"""The emails that were sent, from `email-events`, and recipients that react to them on Kafka, for a trial without a gateway."""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from streams.runtime.avro.codec import Codec
from streams.tools.local.shop.reactions import reaction
from streams.tools.local.shop.shop import Shop
from streams.wire import topics


@dataclass
class SentEmails:
    """The emails that were sent so far.

    Attributes:
        by_flow: number of emails by flow.
        delays_s: seconds from an order to its confirmation, in the order of sending.
        example: (customer id, send id) of an email to explain at the end: the newest review request, if there is one.
    """

    by_flow: Counter[str] = field(default_factory=Counter)
    delays_s: list[float] = field(default_factory=list)
    example: tuple[str, str] | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """Add the email of an email event with the outcome `sent`."""
        self.by_flow[event["flow"]] += 1
        if event["flow"] == "review" or self.example is None:
            self.example = (event["customer_id"], event["send_id"])
        if event["flow"] == "order-confirmation" and event["order_placed_at"]:
            self.delays_s.append((event["occurred_at"] - event["order_placed_at"]).total_seconds())


class EmailEvents:
    """A thread that reads which emails were sent, and can produce the engagement of their recipients.

    Args:
        kafka: librdkafka settings of the cluster.
        codec: decodes email events and encodes engagement.
        sent: receives every email that was sent.
        shop: decides how a recipient reacts; None: nobody reacts on Kafka.
    """

    def __init__(self, kafka: Mapping[str, str], codec: Codec, sent: SentEmails, shop: Shop | None = None) -> None:
        self._kafka = dict(kafka)
        self._codec = codec
        self._shop = shop
        self._sent = sent
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="email-events")

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading. Reactions that are not due yet are dropped."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = Consumer({**self._kafka, "group.id": "takk-demo-recipients", "isolation.level": "read_committed"})
        producer = Producer({**self._kafka, "partitioner": "murmur2_random", "linger.ms": 5})
        partitions = consumer.list_topics(topics.EVENTS, timeout=30).topics[topics.EVENTS].partitions
        consumer.assign([TopicPartition(topics.EVENTS, number, 0) for number in partitions])
        due: list[tuple[float, int, dict[str, Any]]] = []
        count = 0
        while not self._is_over.is_set():
            for message in consumer.consume(500, 0.05):
                if message.error() is None:
                    for delay_s, record in self._react(self._codec.decode("email_event", message.value())):
                        count += 1  # the heap never compares two records
                        heapq.heappush(due, (time.time() + delay_s, count, record))
            while due and due[0][0] <= time.time():
                record = heapq.heappop(due)[2]
                value = self._codec.encode("engagement", record)
                producer.produce(topics.ENGAGEMENT, value, record["customer_id"].encode())
            producer.poll(0)
        producer.flush(10)
        consumer.close()

    def _react(self, event: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
        if event["outcome"] != "sent":
            return []
        self._sent.add(event)
        if self._shop is None:
            return []
        shop = self._shop
        return reaction(shop.seed, shop.day_s, event["send_id"], event["customer_id"], event["occurred_at"])
