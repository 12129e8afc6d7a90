"""The suppressions agent: it publishes what mailers must know of an address, only when that changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.agents import suppressions
from streams.core.model.address_state import Suppression
from streams.core.model.effects import AddressEventKind, NoteAddress
from streams.core.rules.sending_rules import Cap
from streams.core.sending.address_limits import AddressRules
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, PARTITION, PARTITIONS, Agent, Output
from tests.harness.records import AT, AT_MS
from tests.harness.stage_records import ADDRESS

RULES = AddressRules((Cap(most=2, per=timedelta(days=1)),))
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """The agent on one partition."""
    return Agent(tmp_path, lambda app, own: suppressions.register(app, own, RULES))


def record(kind: AddressEventKind, send_id: str | None = None, address: str = ADDRESS) -> Output:
    """Return an event of an address, as a record."""
    event = NoteAddress(
        event_id="e", address=address, kind=kind, occurred_at=AT, scope="marketing", send_id=send_id, purpose="review"
    )
    return ENCODER.addresses.event(event, AT)[:3]


def published(outputs: list[Output]) -> list[tuple[str, Suppression]]:
    """Return the suppressions among the outputs."""
    return [DECODER.suppression(value) for topic, _, value in outputs if topic == topics.SUPPRESSIONS]


def test_a_refusal_is_published_once(agent: Agent) -> None:
    """A refusal is published under the key of the address. The same event again, and emails that fill no cap, publish nothing."""
    (output,) = agent.run([record("complained"), record("complained")], at_ms=AT_MS)
    assert (output[0], output[1]) == (topics.SUPPRESSIONS, ADDRESS.encode())
    ((address, suppression),) = published([output])
    assert (address, {rule for _, rule in suppression.suppressed}) == (ADDRESS, {"complained"})
    assert agent.run([record("complained"), record("sent", "s1")], at_ms=AT_MS) == []


def test_a_full_cap_is_published(agent: Agent) -> None:
    """The state outlives a batch: the second email fills the cap until a day after the first."""
    assert agent.run([record("sent", "s1")], at_ms=AT_MS) == []
    ((_, suppression),) = published(agent.run([record("sent", "s2")], at_ms=AT_MS + 1000))
    assert dict(suppression.capped)["review"] == AT + timedelta(days=1)


def test_an_event_under_another_key_returns_to_its_topic(agent: Agent) -> None:
    """It is republished under its address, and an event of another partition too."""
    _, key, value = record("complained")
    assert agent.run([(topics.ADDRESS_EVENTS, b"c1", value)], at_ms=AT_MS) == [(topics.ADDRESS_EVENTS, key, value)]
    other = next(f"{n:032x}" for n in range(99) if partition_of(f"{n:032x}".encode(), PARTITIONS) != PARTITION)
    elsewhere = record("complained", address=other)
    assert agent.run([elsewhere], at_ms=AT_MS) == [elsewhere]
