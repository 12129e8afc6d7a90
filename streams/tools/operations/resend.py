"""`takk resend`: sends emails again, each as a new command with a send id of its own.

Only transactional emails are sent again. A flow decides about all others, by the consent and the caps of that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from streams.core.model.effects import LogDecision
from streams.core.rules.consent_policy import is_transactional
from streams.core.values.ids import repeated_send_id, split_send_id
from streams.runtime.kafka.client_config import producer_config
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S, read_to_the_end
from streams.settings import Settings
from streams.tools.operations.erasures import read_erasures
from streams.wire import topics
from streams.wire.codec import codec_of
from streams.wire.encode.encoder import Encoder

#: Outcomes after which an email did not arrive, as far as Takk knows.
NOT_ARRIVED = ("refused", "expired", "unknown")
#: Milliseconds that the broker keeps the transaction of one resend open: it may have many emails.
_TRANSACTION_MS = 600_000


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which emails to send again. An email must meet all conditions that are given.

    Attributes:
        send_ids, order_ids: the emails, or the orders that they are about; empty for all.
        since, until: when the email was decided, UTC; None for no bound.
        outcomes: the newest outcome; empty for all, those without any included.
    """

    send_ids: frozenset[str] = frozenset()
    order_ids: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    outcomes: frozenset[str] = frozenset()

    def includes(self, command: Mapping[str, Any]) -> bool:
        """Return whether a command is selected, apart from its outcome."""
        return (
            (not self.send_ids or command["send_id"] in self.send_ids)
            and (not self.order_ids or command["order_id"] in self.order_ids)
            and (self.since is None or command["commanded_at"] >= self.since)
            and (self.until is None or command["commanded_at"] < self.until)
        )


@dataclass
class Found:
    """The emails that a selection includes.

    Attributes:
        commands: the newest command of each, by send id.
        times: how often each email was sent again before, by the first send id.
        others: the number of selected emails that are not transactional.
        erased: the number of emails that were decided before their customer was erased.
    """

    commands: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    others: int = 0
    erased: int = 0


def find(
    records: Iterable[tuple[str, dict[str, Any]]],
    selection: Selection,
    erased_at: Mapping[str, datetime] = MappingProxyType({}),
) -> Found:
    """Return the emails that `selection` includes.

    An email and its repetitions are one email with the outcome of the newest, unless they are selected by their send ids: to select the
    same time twice must not send an email twice.

    Args:
        records: (topic, record) of commands and email events, each topic's in the order of its partitions.
        selection: the conditions.
        erased_at: when customers were erased, UTC. Their emails from before are left out.
    """
    found, others = Found(), set()
    outcomes: dict[str, str] = {}
    for topic, record in records:
        send_id = record["send_id"]
        if topic == topics.EVENTS:
            outcomes[send_id] = record["outcome"]
            continue
        first, times = split_send_id(send_id)
        if times:
            found.times[first] = max(found.times.get(first, 0), times)
        if not selection.includes(record):
            continue
        if is_transactional(record["purpose"]):
            found.commands[send_id] = record
        else:
            others.add(send_id)
    gone = {
        key
        for key, command in found.commands.items()
        if (at := erased_at.get(command["customer_id"])) is not None and command["commanded_at"] <= at
    }
    found.commands = {key: command for key, command in found.commands.items() if key not in gone}
    found.erased = len(gone)
    if not selection.send_ids:
        newest = {split_send_id(key)[0]: key for key in sorted(found.commands, key=lambda key: split_send_id(key)[1])}
        found.commands = {key: command for key, command in found.commands.items() if key in newest.values()}
    if selection.outcomes:
        found.commands = {
            key: command
            for key, command in found.commands.items()
            if outcomes.get(_newest_id(found, key)) in selection.outcomes
        }
        others = {key for key in others if outcomes.get(key) in selection.outcomes}
    found.others = len(others)
    return found


def _newest_id(found: Found, send_id: str) -> str:
    """Return the send id of the newest repetition of an email."""
    first = split_send_id(send_id)[0]
    return repeated_send_id(first, found.times[first]) if first in found.times else first


def repeat(found: Found, encoder: Encoder, now: datetime) -> Iterator[ProducerRecord]:
    """Yield the records that send the emails again: for each a command with the same content, and the decision.

    Each has as much time until it expires as it had at first.

    Args:
        found: the emails.
        encoder: encodes the records.
        now: the present, UTC.
    """
    times = dict(found.times)
    for send_id, command in found.commands.items():
        first = split_send_id(send_id)[0]
        times[first] = times.get(first, 0) + 1
        new_id = repeated_send_id(first, times[first])
        again = {
            **command,
            "send_id": new_id,
            "attempt": 1,
            "commanded_at": now,
            "not_after": now + (command["not_after"] - command["commanded_at"]),
        }
        yield encoder.effects.command(again, now)
        decision = LogDecision(
            decision_id=f"{new_id}.resent",
            customer_id=command["customer_id"],
            flow=command["flow"],
            flow_version=command["flow_version"],
            instance_id=command["instance_id"],
            step=command["step"],
            outcome="send",
            rule="resent",
            detail=f"repeats {send_id}",
            send_id=new_id,
            order_id=command["order_id"],
            decided_at=now,
        )
        yield encoder.effects.encode(decision, now)


def read_found(
    settings: Settings, selection: Selection, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Found:
    """Return the emails that `selection` includes, read from the commands that Kafka still has (30 days).

    Raises:
        KafkaException: the cluster is not reachable, or a topic is missing.
        TimeoutError: the broker does not answer.
    """
    codec = codec_of(settings)
    messages = read_to_the_end(
        settings.kafka(),
        (topics.COMMANDS, topics.EVENTS),
        group_id=settings.reader_group_id,
        since_ms=None if selection.since is None else int(selection.since.timestamp() * 1000),
        on_progress=on_progress,
    )
    records = ((m.topic(), codec.decode(topics.SCHEMA_OF[m.topic()], m.value())) for m in messages)
    return find(records, selection, read_erasures(settings, on_progress))


def send_again(settings: Settings, found: Found, now: datetime, *, producer: Any = None) -> int:
    """Publish the records of all emails in one transaction, and return the number of emails. A failure publishes none of them.

    Args:
        settings: the connection to the cluster.
        found: the emails.
        now: the present, UTC.
        producer: a transactional producer; None creates one.

    Raises:
        KafkaException: the cluster does not accept the records.
    """
    if producer is None:
        config = producer_config(settings.kafka(), f"{settings.app_id}-resend-{uuid4().hex}")
        producer = Producer({**config, "transaction.timeout.ms": _TRANSACTION_MS})
    producer.init_transactions(READ_TIMEOUT_S)
    producer.begin_transaction()
    for topic, key, value, headers in repeat(found, Encoder(codec_of(settings)), now):
        while True:
            try:
                producer.produce(topic, value, key, headers=headers)
                break
            except BufferError:  # the producer's queue is full
                producer.poll(1.0)
    producer.commit_transaction(READ_TIMEOUT_S)
    return len(found.commands)
