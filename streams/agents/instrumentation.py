"""Instrumentation of the agents: decoder, encoder, dead letters, the journal, and the metrics of a stage."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from babel.numbers import list_currencies

from streams.agents.zeros import zero_stage
from streams.core.model.customer import Customer
from streams.core.model.effects import Attribute, Effect, LogDecision
from streams.core.model.events import Event, MailBounced
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.errors import RegistryUnavailable
from streams.runtime.kafka.producer_record import ProducerRecord, headers_of
from streams.runtime.processing.stage import FinishedBatch, S, Stage, no_context
from streams.runtime.state.store import PartitionStore
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from streams.wire.topics import HANDOVERS, RECORD_LIMITS, SCHEMA_OF

log = structlog.get_logger(__name__)

#: Seconds until the schema registry is asked again while it does not answer.
REGISTRY_PAUSE_S = 2.0
#: The values of the label `currency`. An order may have any three letters, and label values must be few.
CURRENCIES = frozenset(list_currencies())


class Instrumentation:
    """Decoder, encoder and stages for the agents of one process.

    Args:
        codec: encodes and decodes records.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.decoder = Decoder(codec)
        self.encoder = Encoder(codec)

    def stage(
        self,
        name: str,
        topics: tuple[str, ...],
        *,
        table: str,
        encode: Callable[[Any], bytes],
        decode: Callable[[bytes], Any],
        is_too_new: type[Exception] | tuple[type[Exception], ...] = UnknownVersion,
        open: Callable[[int, PartitionStore], S] = no_context,
        is_due: Callable[[S, int], bool] | None = None,
        has_journal: bool = False,
        flows: Callable[[int], str] = lambda partition: "",
    ) -> Stage[S]:
        """Return a stage whose failures are logged, whose batches are counted, and which writes dead letters.

        Args:
            has_journal: whether it also writes a journal, from which its decisions can be replayed.
            flows: returns the hash of the flows that decide about the present batch of a partition, for the journal.
            name, topics, table, encode, decode, is_too_new, open, is_due: as in `Stage`.
        """
        zero_stage(name, topics)
        seconds, sizes = metrics.BATCH_SECONDS.labels(name), metrics.BATCH_RECORDS.labels(name)
        commits = metrics.COMMIT_SECONDS.labels(name)
        #: Partition -> the counters of its batch's rejected records. A batch that is not committed is read again, so they count afterwards.
        rejected: defaultdict[int, Counter[Any]] = defaultdict(Counter)

        def dead_letter(record: Any, reason: str, detail: str, now_ms: int) -> ProducerRecord:
            rejected[record.partition()][metrics.DEAD_LETTERS.labels(name, reason)] += 1
            return self._dead_letter(name, record, reason, detail, now_ms)

        def on_misrouted(record: Any) -> None:
            rejected[record.partition()][metrics.REPUBLISHED.labels(name)] += 1

        def on_done(batch: FinishedBatch) -> None:
            counters: Counter[Any] = rejected.pop(batch.partition, Counter())
            if batch.committed is None or batch.committed.cancelled() or batch.committed.exception() is not None:
                return
            metrics.LAST_PROGRESS.labels(name, batch.partition).set_to_current_time()
            seconds.observe(batch.computed - batch.started)
            commits.observe(time.perf_counter() - batch.computed)
            if batch.records:
                sizes.observe(len(batch.records))
                for topic, count in batch.read.items():
                    metrics.RECORDS_IN.labels(name, topic).inc(count)
            for topic, count in batch.sent.items():
                metrics.RECORDS_OUT.labels(name, topic).inc(count)
            for counter, count in counters.items():
                counter.inc(count)

        def on_failure(record: Any, error: Exception) -> None:
            log.error(
                "processing failed, record written to dead-letters",
                stage=name,
                topic=record.topic(),
                partition=record.partition(),
                offset=record.offset(),
                error=type(error).__name__,
                exc_info=error,
            )

        return Stage(
            name=name,
            topics=topics,
            table=table,
            encode=encode,
            decode=decode,
            is_too_new=is_too_new,
            open=open,
            is_due=is_due,
            dead_letter=dead_letter,
            journal=self._journal(name, flows) if has_journal else None,
            on_done=on_done,
            on_failure=on_failure,
            prepare=self._prepare if self.codec.has_registry else None,
            on_misrouted=on_misrouted,
            limits=dict(RECORD_LIMITS),
        )

    def _prepare(self, records: Sequence[Any]) -> Awaitable[None] | None:
        """Return an awaitable that asks the schema registry for the writer schemas of records, or None if all are known."""
        since = time.monotonic()
        names = self._missing(records)
        return load_schemas(self.codec, names, since) if names else None

    def _missing(self, records: Iterable[Any]) -> set[str]:
        return self.codec.missing(pair for record in records for pair in self._encoded(record))

    def _encoded(self, record: Any) -> Iterator[tuple[str, bytes | None]]:
        """Yield the schema and the value of a record, and those of the record that a hand-over contains."""
        schema, value = SCHEMA_OF[record.topic()], record.value()
        yield schema, value
        if record.topic() == HANDOVERS and value is not None and not self.codec.missing([(schema, value)]):
            with contextlib.suppress(DecodeFailed):  # the handler makes it a dead letter
                content = self.codec.decode(schema, value)
                if content["topic"] in SCHEMA_OF:
                    yield SCHEMA_OF[content["topic"]], content["value"]

    def load_schemas(self, records: Iterable[Any], stop: threading.Event) -> None:
        """Load the writer schemas of records in this thread. Wait while the registry does not answer, until `stop` is set."""
        since = time.monotonic()
        if self.codec.has_registry and (names := self._missing(records)):
            while not stop.is_set() and not _load(self.codec, names, since):
                metrics.REGISTRY_UNAVAILABLE.set(1)
                stop.wait(REGISTRY_PAUSE_S)
            metrics.REGISTRY_UNAVAILABLE.set(0)

    def _dead_letter(self, stage: str, record: Any, reason: str, detail: str, now_ms: int) -> ProducerRecord:
        """Return the dead letter of a record. It cannot fail."""
        journal = self.encoder.journal
        topic, partition, offset, at = record.topic(), record.partition(), record.offset(), utc_from_ms(now_ms)
        for is_with_headers in (True, False):
            try:
                headers = headers_of(record) if is_with_headers else None
                return journal.dead_letter(
                    topic,
                    partition,
                    offset,
                    record.key(),
                    record.value(),
                    reason,
                    detail,
                    at,
                    stage=stage,
                    headers=headers,
                )
            except Exception as error:  # noqa: BLE001 - not swallowed: the letter says what it lacks, and the log why
                log.error(
                    "a dead letter cannot contain its record",
                    stage=stage,
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    error=type(error).__name__,
                )
        return journal.dead_letter_without_content(topic, partition, offset, reason, detail, at, stage=stage)

    def _journal(
        self, stage: str, flows: Callable[[int], str]
    ) -> Callable[[int, int, Mapping[str, tuple[int, int]], int], ProducerRecord]:
        """Return the function that makes one record per committed batch of `stage`: enough to replay its decisions exactly."""

        def make(partition: int, now_ms: int, offsets: Mapping[str, tuple[int, int]], records: int) -> ProducerRecord:
            slices = [Slice(topic, first, last) for topic, (first, last) in offsets.items()]
            return self.encoder.journal.checkpoint(
                stage, partition, utc_from_ms(now_ms), slices, records, flows=flows(partition)
            )

        return make


async def load_schemas(codec: Codec, names: Collection[str], since: float) -> None:
    """Load writer schemas from the registry. Wait while it does not answer: the records may be valid.

    Args:
        codec: the codec.
        names: the names of the schemas.
        since: when the records had been read, in seconds of `time.monotonic`.
    """
    try:
        while not await asyncio.to_thread(_load, codec, names, since):
            metrics.REGISTRY_UNAVAILABLE.set(1)
            await asyncio.sleep(REGISTRY_PAUSE_S)
    finally:
        metrics.REGISTRY_UNAVAILABLE.set(0)  # also if the partition was revoked: others that wait set it again


def _load(codec: Codec, names: Collection[str], since: float) -> bool:
    """Return whether the registry answered."""
    try:
        codec.load(names, since)
    except RegistryUnavailable as error:
        log.warning("schema registry unavailable, waiting", error=error, names=sorted(names), pause_s=REGISTRY_PAUSE_S)
        return False
    return True


def count_effects(event: Event, effects: Iterable[Effect], before: Customer, after: Customer) -> None:
    """Count the decisions and attributions that `event` led to.

    Args:
        event: the event.
        effects: what the core asked for because of it.
        before, after: the customer before and after the event.
    """
    tests = {order.order_id for order in after.orders if order.is_test}
    for effect in effects:
        if tests and isinstance(effect, LogDecision | Attribute) and effect.order_id in tests:
            continue  # a test counts nowhere
        if isinstance(effect, LogDecision):
            _decision_counter(effect.flow, effect.outcome, effect.rule).inc()
        elif isinstance(effect, Attribute):
            _count_attribution(effect, is_hard=isinstance(event, MailBounced) and event.hard)
            if effect.kind in ("opened", "clicked") and _is_first(effect, before, after):
                metrics.ENGAGED_EMAILS.labels(effect.flow, effect.message, effect.kind, effect.agent).inc()


@cache  # bounded like the labels; `labels` alone costs as much as encoding a decision
def _decision_counter(flow: str, outcome: str, rule: str) -> Any:
    return metrics.DECISIONS.labels(flow, outcome, rule)


@cache
def _engagement_counter(flow: str, message: str, kind: str, agent: str) -> Any:
    return metrics.ENGAGEMENT.labels(flow, message, kind, agent)


def _is_first(effect: Attribute, before: Customer, after: Customer) -> bool:
    """Return whether this engagement is the first of its kind with its email. The state ignores machines, so they are never first."""
    return _engaged_at(before, effect) is None and _engaged_at(after, effect) is not None


def _engaged_at(customer: Customer, effect: Attribute) -> datetime | None:
    for sent in customer.sends:
        if sent.send_id == effect.send_id:
            return sent.opened_at if effect.kind == "opened" else sent.clicked_at
    return None


def _count_attribution(effect: Attribute, *, is_hard: bool) -> None:
    flow, message, kind = effect.flow, effect.message, effect.kind
    _engagement_counter(flow, message, kind, effect.agent if kind in ("opened", "clicked") else "unknown").inc()
    if kind == "opened":
        metrics.OPENS.labels(flow, effect.agent).inc()
    elif kind == "clicked":
        metrics.CLICKS.labels(flow, effect.agent).inc()
    elif kind == "unsubscribed":
        metrics.UNSUBSCRIBES.labels(flow).inc()
    elif kind == "bounced":
        metrics.BOUNCES.labels(flow, "hard" if is_hard else "soft").inc()
    elif kind == "complained":
        metrics.COMPLAINTS.labels(flow).inc()
    elif kind == "ordered":
        currency = effect.currency if effect.currency in CURRENCIES else "other"
        revenue = effect.revenue_minor or 0
        metrics.ATTRIBUTED_ORDERS.labels(flow).inc()
        metrics.ATTRIBUTED_REVENUE.labels(flow, currency).inc(revenue)
        metrics.ATTRIBUTED_MESSAGE_REVENUE.labels(flow, message, currency).inc(revenue)
