"""Any record on any topic: its stage lives, and the record is processed, a dead letter or republished, exactly one of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from streams.agents import catalogue, code_pools, flows, mailer, popularity, scheduler, suppressions
from streams.agents.global_tables.product_versions import ProductVersions
from streams.agents.zeros import DEAD_LETTER_REASONS
from streams.core.sending.address_limits import rules_of
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES
from streams.runtime.kafka.producer_record import size_of
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from tests.harness.accepting_mailer import AcceptingMailer
from tests.harness.agents import CODEC, PARTITIONS, Agent
from tests.harness.events import shop_ruleset
from tests.harness.examples import examples
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT_MS
from tests.harness.stage_records import (
    POOL,
    STAGES,
    batches,
    decoded,
)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agent]:
    """One agent of each stage; its state is that of all records so far."""
    folder: Path = tmp_path_factory.mktemp("state")
    work: Any = AcceptingMailer()
    ruleset = shop_ruleset()
    versions = ProductVersions(Decoder(CODEC), PARTITIONS, {})

    async def fetch() -> ProductVersions:
        return versions

    return {
        "catalogue": Agent(folder, lambda app, own: catalogue.register(app, own, ["replaced"], 500, fetch)),
        "flows": Agent(folder, lambda app, own: flows.register(app, own, ruleset)),
        "scheduler": Agent(folder, scheduler.register),
        "popularity": Agent(folder, popularity.register),
        "pools": Agent(folder, lambda app, own: code_pools.register(app, own, [POOL])),
        "mailer": Agent(folder, lambda app, own: mailer.register(app, own, work)),
        "suppressions": Agent(folder, lambda app, own: suppressions.register(app, own, rules_of(ruleset))),
    }


def check(agent: Agent, batch: list[Record]) -> None:
    """Process a batch, and check what became of each record."""
    before = len(agent.producer.committed)
    agent.process(batch, at_ms=AT_MS)
    written = agent.producer.committed[before:]
    limits = agent.app.of.limits
    for topic, key, value in written:
        assert size_of(key, value, None) <= limits.get(topic, DEFAULT_TOPIC_BYTES), topic
    letters: dict[tuple[str, int], Any] = {}
    for topic, _, value in written:
        if topic == topics.DEAD_LETTERS:
            letter = CODEC.decode("dead_letter", value or b"")
            assert (letter["topic"], letter["offset"]) not in letters
            letters[letter["topic"], letter["offset"]] = letter
    again = [output for output in written if output[0] in agent.app.of.topics]
    misrouted: list[Any] = []
    rightly_keyed: list[Any] = []
    for record in batch:
        letter = letters.pop((record.topic(), record.offset()), None)
        if letter is not None:
            assert letter["reason"] in DEAD_LETTER_REASONS
            assert letter["reason"] != "failed", record
            assert (record.value() or b"").startswith(letter["value"] or b"")
            continue
        event = decoded(record)  # raises if the record is not valid
        owner = {"flows": "customer_id", "pools": "pool", "suppressions": "address", "catalogue": "sku"}.get(
            agent.app.of.name
        )
        if owner is None:
            continue
        output = (record.topic(), getattr(event, owner).encode(), record.value())
        (rightly_keyed if record.key() == output[1] else misrouted).append(output)
    assert not letters
    for output in misrouted:
        again.remove(output)
    # A record under its right key is republished if it is on a wrong partition.
    assert not Counter(again) - Counter(rightly_keyed)


@pytest.mark.parametrize("stage", STAGES)
def test_any_record_is_processed_a_dead_letter_or_republished(agents: dict[str, Agent], stage: str) -> None:
    """Each of thousands of records has exactly one outcome, no outcome is `failed`, and no output exceeds its topic."""

    @settings(max_examples=examples(150), suppress_health_check=list(HealthCheck))
    @given(batches(STAGES[stage]))
    def hold(batch: list[Record]) -> None:
        check(agents[stage], batch)

    hold()
