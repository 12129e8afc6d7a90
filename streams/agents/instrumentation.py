"""What every agent of Takk needs around the runtime: the wire, dead letters, the journal, and the metrics of a stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import structlog

from streams.core.model.effects import Attribute, Effect, LogDecision
from streams.core.model.events import Event, MailBounced
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder

log = structlog.get_logger(__name__)


class Instrumentation:
    """Shared by the agents of one process."""

    def __init__(self, codec: Codec) -> None:
        self.decoder = Decoder(codec)
        self.encoder = Encoder(codec)

    def observed(self, stage: Stage) -> Stage:
        """The stage, with its failures logged and its batches counted."""
        name = stage.name
        seconds, sizes = metrics.BATCH_SECONDS.labels(name), metrics.BATCH_RECORDS.labels(name)
        commits = metrics.COMMIT_SECONDS.labels(name)

        def on_done(batch: Batch) -> None:
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
                "a record failed and goes to dead-letters",
                stage=name,
                topic=record.topic(),
                partition=record.partition(),
                offset=record.offset(),
                error=type(error).__name__,
                exc_info=error,
            )

        stage.on_done = on_done
        stage.on_failure = on_failure
        stage.on_moved = lambda record: metrics.REPUBLISHED.labels(name).inc()
        return stage

    def dead_letter(self, stage: str) -> Callable[[Any, str, str, int], ProducerRecord]:
        """What makes the dead letters of `stage`."""

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

    def journal(self, agent: str) -> Callable[[int, int, dict[str, tuple[int, int]], int], ProducerRecord]:
        """What makes one record per committed batch of `agent`: enough to replay its decisions exactly."""

        def make(partition: int, now_ms: int, offsets: dict[str, tuple[int, int]], records: int) -> ProducerRecord:
            slices = [(topic, first, last) for topic, (first, last) in offsets.items()]
            return self.encoder.journal.checkpoint(agent, partition, utc_from_ms(now_ms), slices, records)

        return make

    def fired(self, batch: Batch, due_ms: int) -> None:
        """Count a timer that fired."""
        metrics.TIMERS_FIRED.inc()
        metrics.TIMER_LATENESS.observe(max(0, batch.now_ms - due_ms) / 1000)


def count_effects(event: Event, effects: Iterable[Effect]) -> None:
    """Count what the core made of `event`."""
    for effect in effects:
        if isinstance(effect, LogDecision):
            _decisions(effect.flow, effect.outcome, effect.rule).inc()
        elif isinstance(effect, Attribute):
            _attributed(effect, is_hard=isinstance(event, MailBounced) and event.hard)


@cache  # as bounded as the labels are; `labels` itself costs as much as a decision's encoding
def _decisions(flow: str, outcome: str, rule: str) -> Any:
    return metrics.DECISIONS.labels(flow, outcome, rule)


def _attributed(effect: Attribute, *, is_hard: bool) -> None:
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
