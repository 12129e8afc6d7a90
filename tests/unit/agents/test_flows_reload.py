"""A reload of a worker's flows: each batch is decided by one ruleset, whose hash is in its journal entry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents import flows
from streams.agents.current_ruleset import CurrentRuleset
from streams.core.rules.content_hash import content_hash
from streams.runtime.kafka.partitioner import partition_of
from streams.tools.local.oracle import Replay
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, PARTITION, PARTITIONS, Agent, Output
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.kafka_fakes import CHANGELOG, Record
from tests.harness.records import AT_MS, order

BODY = "trigger: {{on: order.placed}}\nsteps: [{{send: {{message: {0}}}}}, {{wait: 1d}}, {{send: {{message: c}}}}]"
RULESETS = [
    ruleset_of(flow_text(BODY.format("a"))),
    ruleset_of(flow_text(BODY.format("b")).replace("version: 1", "version: 2"), flow_text(BODY.format("a"))),
    ruleset_of(flow_text(BODY.format("c"), name="g")),
]
CUSTOMERS = [name for number in range(40) if partition_of((name := f"c{number}").encode(), PARTITIONS) == PARTITION][:3]


def order_of(customer: str, number: int) -> Output:
    """The record of an order."""
    value = order(customer_id=customer, order_id=f"o{number}", order_number=str(number))
    return topics.ORDERS, customer.encode(), CODEC.encode("order", value)


def entries(agent: Agent) -> list[str]:
    """Return the hashes of the journal."""
    committed = [value for topic, _, value in agent.producer.committed if topic == topics.CHECKPOINTS]
    return [CODEC.decode("checkpoint", value or b"")["flows"] for value in committed]


def test_a_batch_has_the_hash_of_its_flows(tmp_path: Path) -> None:
    """A partition switches with its next batch, and the journal shows where."""
    current = CurrentRuleset(RULESETS[0])
    agent = Agent(tmp_path, lambda app, own: flows.register(app, own, current))
    for number in range(4):
        current.ruleset = RULESETS[number // 2]
        agent.run([order_of(CUSTOMERS[0], number)], at_ms=AT_MS)
    assert entries(agent) == [content_hash(RULESETS[number // 2]) for number in range(4)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(RULESETS), st.lists(st.sampled_from(CUSTOMERS), min_size=1, max_size=4)), max_size=8
    )
)
def test_a_replay_equals_the_run(steps: Sequence[tuple[object, list[str]]]) -> None:
    """Whenever the flows are switched, a replay of the journal by the hashes in it gives the same outputs, byte by byte."""
    current = CurrentRuleset(RULESETS[0])
    with TemporaryDirectory() as folder:
        agent = Agent(Path(folder), lambda app, own: flows.register(app, own, current))
        batches: list[list[Record]] = []
        outputs: list[list[Output]] = []
        number = 0
        for ruleset, customers in steps:
            current.ruleset = ruleset  # type: ignore[assignment]  # one of RULESETS
            records = []
            for customer in customers:
                number += 1
                topic, key, order_value = order_of(customer, number)
                records.append(Record(number, key, order_value, topic, AT_MS))
            batches.append(records)
            outputs.append(agent.process(list(records), at_ms=AT_MS + number))
        hashes = entries(agent)
        agent.store.close()
    handlers = {
        content_hash(each): flows.make_handler(Decoder(CODEC), Encoder(CODEC), each, PARTITIONS) for each in RULESETS
    }
    replay, number = Replay(PARTITION), 0
    for records, version, expected in zip(batches, hashes, outputs, strict=True):
        number += len(records)
        replay.now_ms = AT_MS + number
        found: list[Output] = []
        for record in records:
            key, after, written = handlers[version](record, replay)
            if key is not None:
                replay.states[key] = after
            found += [(topic, out_key, value) for topic, out_key, value, _ in written]
        assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert CHANGELOG not in {topic for batch in outputs for topic, _, _ in batch}
