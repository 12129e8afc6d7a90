"""The oracle: computes again from the input what should have come out, record by record, and compares.

It trusts nothing that a worker kept in memory or on disk. It reads the committed records of all topics, replays the flows agent's
journal (`flow-checkpoints`: which offsets each committed batch read, and its clock) through the core, and compares bytes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.agents.flows import INPUTS, make_handler
from streams.core.model.customer_codec import encode_customer
from streams.core.model.ruleset import Ruleset
from streams.core.offers.popularity import Counts, Tally, sales_of
from streams.runtime.avro.codec import Codec
from streams.runtime.errors import InvalidRecord, Misrouted
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.products import counts_key

#: Outcomes after which a send owes the inbox nothing: the mailer said so, with a reason. So does a decision to skip it.
ENDED = ("refused", "expired", "suppressed", "unknown")


#: What the flows agent writes.
EFFECTS = (
    topics.COMMANDS, topics.DELAYS, topics.DECISIONS, topics.ATTRIBUTED, topics.REWARDS, topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.SIGNALS,
    topics.WITHDRAWALS, topics.SALES,
)  # fmt: skip


@dataclass
class Verdict:
    """What was found. `problems` has a line for each kind of difference, with a few examples by id."""

    sends: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    states: dict[bytes, bytes] = field(default_factory=dict)

    def differ(self, what: str, found: Iterable[Any]) -> None:
        """Note a difference, if there is one."""
        examples = list(found)
        if examples:
            self.problems.append(f"{what}: {len(examples)}, e.g. {examples[:3]}")


def read_all(kafka: Mapping[str, Any], names: Iterable[str]) -> dict[str, list[Any]]:
    """All committed records of `names`, in the order of their offsets within each partition."""
    consumer = Consumer(
        {
            **kafka,
            "group.id": "takk-oracle",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        found: dict[str, list[Any]] = {name: [] for name in names}
        parts = [
            TopicPartition(name, number, 0)
            for name in found
            for number in consumer.list_topics(name, timeout=30).topics[name].partitions
        ]
        consumer.assign(parts)
        open_parts = {(p.topic, p.partition) for p in parts}
        while open_parts:
            for message in consumer.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    found[message.topic()].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_parts.discard((message.topic(), message.partition()))
                else:
                    raise KafkaException(error)
        return found
    finally:
        consumer.close()


class _Replay:
    """One partition's state during the replay."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.now_ms = 0
        self.states: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        return self.states.get(key)


def judge(
    records: Mapping[str, list[Any]],
    ruleset: Ruleset,
    codec: Codec,
    inbox: Counter[str],
    partitions: int,
    until_ms: int,
    comparable: Callable[[str, bytes], bytes] = lambda topic, value: value,
) -> Verdict:
    """Compare everything with a recomputation from the input.

    Args:
        records: what `read_all` found in every topic.
        world: the world that the worker decided by.
        codec: of the topics' schemas.
        inbox: how often each send id arrived.
        partitions: of every topic.
        until_ms: timers due before this must have fired.
        comparable: the part of a value on a topic that must be equal, where two versions of the program wrote it.
    """
    verdict = Verdict()
    expected = _replay(records, ruleset, codec, partitions, verdict)
    for topic in EFFECTS:
        _compare(topic, expected[topic], records[topic], codec, verdict, comparable)
    _timers(records, until_ms, verdict)
    _mails(records, codec, inbox, verdict)
    _counts(records, Decoder(codec), verdict)
    _codes(records, codec, verdict)
    return verdict


def _replay(
    records: Mapping[str, list[Any]], ruleset: Ruleset, codec: Codec, partitions: int, verdict: Verdict
) -> dict[str, Counter[tuple[bytes, bytes]]]:
    by_place = {(t, r.partition(), r.offset()): r for t in INPUTS for r in records[t]}
    offsets: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in sorted(by_place):
        offsets.setdefault((topic, partition), []).append(offset)
    read: Counter[tuple[str, int, int]] = Counter()
    expected: dict[str, Counter[tuple[bytes, bytes]]] = {t: Counter() for t in topics.SCHEMA_OF}
    decide = make_handler(Decoder(codec), Encoder(codec), ruleset, partitions)
    replays = [_Replay(p) for p in range(partitions)]
    for entry in records[topics.CHECKPOINTS]:
        batch = codec.decode("checkpoint", entry.value())
        replay = replays[batch["partition"]]
        replay.now_ms = round(batch["now"].timestamp() * 1000)
        for part in batch["slices"]:
            topic, number = part["topic"], batch["partition"]
            for offset in offsets.get((topic, number), ()):
                if part["first"] <= offset <= part["last"]:
                    read[(topic, number, offset)] += 1
                    with contextlib.suppress(InvalidRecord, Misrouted):
                        key, after, outputs = decide(by_place[(topic, number, offset)], replay)
                        if key is not None:
                            replay.states[key] = after
                        for name, out_key, value, _ in outputs:
                            expected[name][(out_key, value or b"")] += 1
    verdict.differ("input records never read", [place for place in by_place if place not in read])
    verdict.differ("input records read twice", [place for place, times in read.items() if times > 1])
    for replay in replays:
        verdict.states.update({key: encode_customer(state) for key, state in replay.states.items()})
    for _, value in expected[topics.COMMANDS]:
        verdict.sends.add(codec.decode("email_command", value)["send_id"])
    return expected


def _compare(
    topic: str,
    expected: Counter[tuple[bytes, bytes]],
    found: list[Any],
    codec: Codec,
    verdict: Verdict,
    comparable: Callable[[str, bytes], bytes],
) -> None:
    wanted: Counter[tuple[bytes, bytes]] = Counter()
    for (key, value), times in expected.items():
        wanted[(key, comparable(topic, value))] += times
    own: Counter[tuple[bytes, bytes]] = Counter()
    for record in found:
        if topic == topics.DELAYS and codec.decode("timer", record.value())["kind"] == "retry":
            continue  # the mailer's
        if topic == topics.DECISIONS and _is_mailers(codec.decode("flow_decision", record.value())):
            continue
        own[(record.key(), comparable(topic, record.value()))] += 1
    verdict.differ(f"{topic}: missing", list((wanted - own).elements()))
    verdict.differ(f"{topic}: more than there should be", list((own - wanted).elements()))


def _counts(records: Mapping[str, list[Any]], decoder: Decoder, verdict: Verdict) -> None:
    """The newest counts of each product and partition are those that its sales make, each counted once."""
    tallies: dict[bytes, Tally] = {}
    for record in records[topics.SALES]:
        for sale in sales_of(decoder.sales(record.value())):
            key = counts_key(sale.sku, record.partition()).encode()
            tallies.setdefault(key, Tally(Counts(sale.sku, record.partition()))).add(sale)
    expected = {key: tally.counts() for key, tally in tallies.items()}
    found = {record.key(): decoder.counts(record.value()) for record in records[topics.POPULARITY]}
    verdict.differ(
        "counts of products that are wrong", [k for k in expected | found if expected.get(k) != found.get(k)]
    )


def _codes(records: Mapping[str, list[Any]], codec: Codec, verdict: Verdict) -> None:
    """Each grant is of a claim that was made and of a code that the pool has, and each claim got one code.

    Each code was given once: what a withdrawn claim got does not count, for it goes back.
    """
    read = {
        t: [codec.decode(topics.SCHEMA_OF[t], r.value()) for r in records[t]]
        for t in (topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.GRANTS)
    }
    claims = {(one["pool"], one["reward_id"]) for one in read[topics.CLAIMS]}
    withdrawn = {(one["pool"], one["reward_id"]) for one in read[topics.CLAIM_WITHDRAWALS]}
    verdict.differ("claims withdrawn that were not made", withdrawn - claims)
    grants = [(one["pool"], one["reward_id"], one["code"]) for one in read[topics.GRANTS]]
    stock = set()
    for record in records[topics.CODES] if grants else ():
        with contextlib.suppress(InvalidRecord):  # what is no code went to the dead letters
            code = Decoder(codec).code(record.value())
            stock.add((code.pool, code.code))
    verdict.differ("codes granted for no claim", [one[:2] for one in grants if one[:2] not in claims])
    # By the reward, never by the code: a verdict is printed.
    verdict.differ("codes granted that no pool has", [one[:2] for one in grants if (one[0], one[2]) not in stock])
    kept = [one for one in grants if one[:2] not in withdrawn]
    times = Counter((pool, code) for pool, _, code in kept)
    verdict.differ("codes given twice", [one[:2] for one in kept if times[(one[0], one[2])] > 1])
    got = Counter(one[:2] for one in grants)
    verdict.differ("claims that got two codes", [claim for claim, count in got.items() if count > 1])


def _is_mailers(decision: Mapping[str, Any]) -> bool:
    return bool(decision["send_id"]) and str(decision["decision_id"]).startswith(f"{decision['send_id']}.")


def _timers(records: Mapping[str, list[Any]], until_ms: int, verdict: Verdict) -> None:
    stored = Counter(timer_due(r.value()) for r in records[topics.DELAYS])
    fired = Counter(timer_due(r.value()) for r in records[topics.DUE])
    # A plan that is changed and changed back orders the same timer again: that is one timer, and fires once.
    verdict.differ("timers that should have fired", [t for t in stored.keys() - fired.keys() if t[1] < until_ms])
    verdict.differ("timers fired that were not stored, or twice", list((fired - stored).elements()))


def _mails(records: Mapping[str, list[Any]], codec: Codec, inbox: Counter[str], verdict: Verdict) -> None:
    ended: set[str] = set()
    for record in records[topics.EVENTS]:
        event = codec.decode("email_event", record.value())
        if event["outcome"] in ENDED:
            ended.add(event["send_id"])
        if event["outcome"] == "unknown":
            verdict.unknown.append(event["send_id"])
    for record in records[topics.DECISIONS]:  # put off by the server, and too late when its turn came again
        decision = codec.decode("flow_decision", record.value())
        if decision["outcome"] == "skip" and decision["send_id"] is not None:
            ended.add(decision["send_id"])
    verdict.lost = sorted(send for send in verdict.sends if not inbox[send] and send not in ended)
    verdict.duplicates = sorted(send for send, times in inbox.items() if times > 1 or send not in verdict.sends)
