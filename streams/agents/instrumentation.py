"""Instrumentation of the agents: decoder, encoder, dead letters, the journal, and the metrics of a stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import structlog

from streams.core.model.effects import Attribute, Effect, LogDecision
from streams.core.model.events import Event, MailBounced
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.stage import FinishedBatch, S, Stage, no_context
from streams.runtime.state.store import PartitionStore
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice

log = structlog.get_logger(__name__)


class Instrumentation:
    """Decoder, encoder and stages for the agents of one process.

    Args:
        codec: encodes and decodes records.
    """

    def __init__(self, codec: Codec) -> None:
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
        is_too_new: type[Exception] | tuple[type[Exception], ...] = (),
        open: Callable[[int, PartitionStore], S] = no_context,
        is_due: Callable[[S, int], bool] | None = None,
        has_journal: bool = False,
    ) -> Stage[S]:
        """Return a stage whose failures are logged, whose batches are counted, and which writes dead letters.

        Args:
            has_journal: whether it also writes a journal, from which its decisions can be replayed.
            name, topics, table, encode, decode, is_too_new, open, is_due: as in `Stage`.
        """
        seconds, sizes = metrics.BATCH_SECONDS.labels(name), metrics.BATCH_RECORDS.labels(name)
        commits = metrics.COMMIT_SECONDS.labels(name)

        def on_done(batch: FinishedBatch) -> None:
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
            dead_letter=self._dead_letter(name),
            journal=self._journal(name) if has_journal else None,
            on_done=on_done,
            on_failure=on_failure,
            on_misrouted=lambda record: metrics.REPUBLISHED.labels(name).inc(),
        )

    def _dead_letter(self, stage: str) -> Callable[[Any, str, str, int], ProducerRecord]:
        """Return the function that makes the dead letters of `stage`, and counts them."""

        def make(record: Any, reason: str, detail: str, now_ms: int) -> ProducerRecord:
            metrics.DEAD_LETTERS.labels(stage, reason).inc()
            return self.encoder.journal.dead_letter(
                record.topic(),
                record.partition(),
                record.offset(),
                record.key(),
                record.value(),
                reason,
                detail,
                utc_from_ms(now_ms),
                stage=stage,
                headers=record.headers(),
            )

        return make

    def _journal(self, stage: str) -> Callable[[int, int, Mapping[str, tuple[int, int]], int], ProducerRecord]:
        """Return the function that makes one record per committed batch of `stage`: enough to replay its decisions exactly."""

        def make(partition: int, now_ms: int, offsets: Mapping[str, tuple[int, int]], records: int) -> ProducerRecord:
            slices = [Slice(topic, first, last) for topic, (first, last) in offsets.items()]
            return self.encoder.journal.checkpoint(stage, partition, utc_from_ms(now_ms), slices, records)

        return make


def count_effects(event: Event, effects: Iterable[Effect]) -> None:
    """Count the decisions and attributions that `event` led to."""
    for effect in effects:
        if isinstance(effect, LogDecision):
            _decision_counter(effect.flow, effect.outcome, effect.rule).inc()
        elif isinstance(effect, Attribute):
            _count_attribution(effect, is_hard=isinstance(event, MailBounced) and event.hard)


@cache  # bounded like the labels; `labels` alone costs as much as encoding a decision
def _decision_counter(flow: str, outcome: str, rule: str) -> Any:
    return metrics.DECISIONS.labels(flow, outcome, rule)


def _count_attribution(effect: Attribute, *, is_hard: bool) -> None:
    flow = effect.flow
    if effect.kind == "opened":
        metrics.OPENS.labels(flow, effect.agent).inc()
    elif effect.kind == "clicked":
        metrics.CLICKS.labels(flow, effect.agent).inc()
    elif effect.kind == "unsubscribed":
        metrics.UNSUBSCRIBES.labels(flow).inc()
    elif effect.kind == "bounced":
        metrics.BOUNCES.labels(flow, "hard" if is_hard else "soft").inc()
    elif effect.kind == "complained":
        metrics.COMPLAINTS.labels(flow).inc()
    elif effect.kind == "ordered":
        metrics.ATTRIBUTED_ORDERS.labels(flow).inc()
        metrics.ATTRIBUTED_REVENUE.labels(flow, effect.currency or "").inc(effect.revenue_minor or 0)
