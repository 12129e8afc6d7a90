"""The handler of the flows agent: the due time of the emails that it commands, and what it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.agents.flows import make_handler
from streams.observability import metrics
from streams.runtime.errors import InvalidRecord
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode import envelope
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.events import shop_ruleset
from tests.harness.kafka_fakes import Record

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
HOUR_MS = 3_600_000


class Partition:
    """The only partition of the flows agent: its customers, the time of its batches, and all outputs so far."""

    partition = 0

    def __init__(self) -> None:
        self.now_ms = records.AT_MS
        self.outputs: list[ProducerRecord] = []
        self._states: dict[bytes, Any] = {}
        self._handle = make_handler(DECODER, ENCODER, shop_ruleset(), partitions=1)

    def get(self, key: bytes) -> Any:
        """The customer's state, or None."""
        return self._states.get(key)

    def read(self, topic: str, value: bytes, written_ms: int) -> None:
        """Handle one record in a batch of its own."""
        key, after, outputs = self._handle(Record(0, records.KEY, value, topic, written_ms), self)
        if key is not None:
            self._states[key] = after
        self.outputs += outputs

    def of(self, topic: str) -> list[ProducerRecord]:
        """The outputs of one topic."""
        return [output for output in self.outputs if output.topic == topic]

    def due_times(self) -> dict[str, Any]:
        """Message -> the due time in the headers of its command, as its reader finds it."""
        commands = [DECODER.command(output.value, output.headers) for output in self.of(topics.COMMANDS)]
        return {command.message: command.due_at for command in commands}


@pytest.fixture
def partition() -> Partition:
    """A partition that has read an order two seconds after it was written."""
    partition = Partition()
    partition.now_ms += 2_000
    partition.read(topics.ORDERS, CODEC.encode("order", records.order()), records.AT_MS)
    return partition


def test_an_email_is_due_when_the_record_that_leads_to_it_is_written(partition: Partition) -> None:
    """The due time of a confirmation is the timestamp of its order, not the time at which the order is processed."""
    assert partition.due_times() == {"confirmation": records.AT}


def test_an_email_after_a_wait_is_due_with_its_timer(partition: Partition) -> None:
    """The due time is that of the timer, although the scheduler fires it later and it is processed even later."""
    (timer,) = partition.of(topics.DELAYS)
    due_ms = timer_due(timer.value or b"")[1]
    partition.now_ms = due_ms + 2 * HOUR_MS
    partition.read(topics.DUE, timer.value or b"", due_ms + HOUR_MS)
    due_at = partition.due_times()["first-time"]
    assert (due_at - records.AT) / timedelta(milliseconds=1) == due_ms - records.AT_MS


def test_only_commands_have_a_due_time(partition: Partition) -> None:
    """The other effects of the same record have no such header."""
    others = [output for output in partition.outputs if output.topic != topics.COMMANDS]
    assert others
    assert not [output for output in others if topics.DUE_AT_HEADER in dict(output.headers)]


def test_a_retry_has_no_due_time(partition: Partition) -> None:
    """The due time of the first attempt is not repeated, so a retry counts from when the email was decided."""
    (first,) = partition.of(topics.COMMANDS)
    command = DECODER.command(first.value, first.headers)
    timer = ENCODER.reports.retry_timer(command, records.AT)
    partition.read(topics.DUE, timer.value or b"", records.AT_MS)
    _, again = partition.of(topics.COMMANDS)
    retry = DECODER.command(again.value, again.headers)
    assert (retry.attempt, retry.due_at, retry.commanded_at) == (2, None, command.commanded_at)


def test_a_record_whose_effects_cannot_be_encoded_is_not_counted(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes a dead letter, so none of its decisions took effect."""
    labels = {"flow": "order-confirmation", "outcome": "send", "rule": "transactional"}
    before = metrics.REGISTRY.get_sample_value("takk_decisions_total", labels)
    monkeypatch.setattr(envelope, "MAX_RECORD", 10)
    with pytest.raises(InvalidRecord):
        partition.read(topics.ORDERS, CODEC.encode("order", records.order(order_id="1002")), records.AT_MS)
    assert metrics.REGISTRY.get_sample_value("takk_decisions_total", labels) == before
