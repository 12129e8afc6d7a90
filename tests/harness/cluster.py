"""The flows agent on the partitions of a cluster in memory, with a journal and a scheduler, so that the oracle can judge it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from streams.agents.flows import INPUTS, make_handler
from streams.core.model.customer import Customer
from streams.core.rules.ruleset import Ruleset
from streams.core.values.local_time import utc_from_ms
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.oracle import Verdict, judge
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import Record

PARTITIONS = 2
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def named(prefix: str, partition: int) -> str:
    """Return a customer id on a partition."""
    names = (f"{prefix}-{number}" for number in range(100))
    return next(name for name in names if partition_of(name.encode(), PARTITIONS) == partition)


class Part:
    """The state of one partition of the flows agent."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.now_ms = records.AT_MS
        self.states: dict[bytes, Any] = {}
        self.read: Counter[str] = Counter()

    def get(self, key: bytes) -> Any:
        """The customer's state, or None."""
        return self.states.get(key)


class Cluster:
    """All topics, the flows agent on two partitions with a journal, and a scheduler.

    Args:
        ruleset: the flows.
        choose: returns which of so many batches is next. By default the first one: partitions and topics in their order.
    """

    def __init__(self, ruleset: Ruleset, choose: Callable[[int], int] = lambda count: 0) -> None:
        self.now_ms = records.AT_MS
        self.records: dict[str, list[Any]] = {name: [] for name in topics.SCHEMA_OF}
        self.ruleset = ruleset
        self.parts = [Part(number) for number in range(PARTITIONS)]
        self._choose = choose
        self._handle = make_handler(DECODER, ENCODER, self.ruleset, PARTITIONS)
        #: (topic, partition) -> its records.
        self._log: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
        self._fired: set[tuple[str, int]] = set()

    def put(self, topic: str, key: str, value: bytes | None, headers: Any = None) -> None:
        """Append a record to a topic."""
        partition = partition_of(key.encode(), PARTITIONS)
        log = self._log[topic, partition]
        log.append(Record(len(log), key.encode(), value, topic, self.now_ms, headers, partition))
        self.records[topic].append(log[-1])

    def write(self, topic: str, values: dict[str, Any]) -> None:
        """Write a record of a shop."""
        self.put(topic, values["customer_id"], CODEC.encode(topics.SCHEMA_OF[topic], values))

    def produce(self, topic: str, values: dict[str, Any]) -> None:
        """Write a record of a shop, and process everything that follows."""
        self.write(topic, values)
        self.run()

    def run(self, most: int | None = None) -> None:
        """Process records, each in a batch of its own, until none is left, or `most` of them."""
        while most is None or most > 0:
            waiting = [
                (part, topic)
                for part in self.parts
                for topic in INPUTS
                if len(self._log[topic, part.partition]) > part.read[topic]
            ]
            if not waiting:
                return
            part, topic = waiting[self._choose(len(waiting))]
            self._process(part, self._log[topic, part.partition][part.read[topic]])
            most = None if most is None else most - 1

    def _process(self, part: Part, record: Any) -> None:
        part.read[record.topic()] += 1
        part.now_ms = self.now_ms
        try:
            key, after, outputs = self._handle(record, part)
        except Misrouted as error:
            raise AssertionError("a record moved from key to key") from error
        if key is not None and after is None:
            part.states.pop(key, None)
        elif key is not None:
            part.states[key] = after
        for topic, out_key, value, headers in outputs:
            self.put(topic, out_key.decode(), value, headers)
        place = [Slice(record.topic(), record.offset(), record.offset())]
        entry = ENCODER.journal.checkpoint("flows", part.partition, utc_from_ms(self.now_ms), place, 1)
        self.records[topics.CHECKPOINTS].append(Record(0, b"", entry.value, topics.CHECKPOINTS, self.now_ms))

    def advance(self, length_ms: int, most: int | None = None) -> None:
        """Move the clock, and fire the timers that are due. After each, process all records, or `most` of them."""
        until = self.now_ms + length_ms
        while due := self._due(until):
            at, key, value = due[0]
            self._fired.add(timer_due(value))
            self.now_ms = max(self.now_ms, at)
            self.put(topics.DUE, key.decode(), value)
            self.run(most)
        self.now_ms = until

    def _due(self, until_ms: int) -> list[tuple[int, bytes, bytes]]:
        return sorted(
            (at, record.key(), record.value())
            for record in self.records[topics.DELAYS]
            if record.value() is not None
            and (at := timer_due(record.value())[1]) <= until_ms
            and timer_due(record.value()) not in self._fired
        )

    def state(self, customer_id: str) -> Customer | None:
        """The state of a customer."""
        key = customer_id.encode()
        state: Customer | None = self.parts[partition_of(key, PARTITIONS)].states.get(key)
        return state

    def decoded(self, topic: str) -> list[dict[str, Any]]:
        """The records of a topic."""
        return [CODEC.decode(topics.SCHEMA_OF[topic], record.value()) for record in self.records[topic]]

    def messages(self) -> list[str]:
        """The messages of all commands."""
        return [command["message"] for command in self.decoded(topics.COMMANDS)]

    def verdict(self) -> Verdict:
        """The verdict of the oracle. Each command has arrived once."""
        inbox = Counter(command["send_id"] for command in self.decoded(topics.COMMANDS))
        return judge(self.records, self.ruleset, CODEC, inbox, PARTITIONS, self.now_ms)

    def order(self, customer_id: str, order_id: str = "o1", **changes: Any) -> None:
        """Place an order now."""
        now = utc_from_ms(self.now_ms)
        values = {"customer_id": customer_id, "order_id": order_id, "placed_at": now, "occurred_at": now, **changes}
        self.produce(topics.ORDERS, records.order(**values))

    def parcel(self, customer_id: str, status: str, order_id: str = "o1") -> None:
        """Report a parcel now."""
        now = utc_from_ms(self.now_ms)
        values = {"customer_id": customer_id, "status": status, "order_id": order_id, "occurred_at": now}
        self.produce(topics.SHIPMENTS, records.shipment(**values, window_from=None, window_to=None))

    def merge(self, customer_id: str, into: str, **changes: Any) -> None:
        """Merge a customer now."""
        values = {"customer_id": customer_id, "merged_into": into, "occurred_at": utc_from_ms(self.now_ms), **changes}
        self.produce(topics.CUSTOMERS, records.profile(**values))

    def retry(self, raw_command: bytes, after: timedelta) -> None:
        """Write the timer of another attempt of an email."""
        command = DECODER.command(raw_command, [])
        now = utc_from_ms(self.now_ms)
        self.put(topics.DELAYS, command.customer_id, ENCODER.reports.retry_timer(command, now + after, now).value)
