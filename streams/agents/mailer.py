"""The mailer stage: executes commands, sends each email at most once, and records every outcome in the send ledger.

The emails of a batch are sent in slices. The broker acknowledges the entry `in_flight` of each send before its data leaves (see
send_ledger.py). The commit at the end has the outcomes, the reports and the source offsets. After a crash before it the batch is read again.
The marks on this disk then show which sends the server accepted, which had begun, and which cannot have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeAlias
from uuid import uuid4

import structlog
from msgspec.structs import replace

from streams.agents.heartbeats import Heartbeat, heartbeat_key
from streams.agents.instrumentation import Instrumentation
from streams.agents.send_ledger import BatchLedger
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan, decode_entry, encode_entry, in_doubt, plan_delivery
from streams.mail.delivery.marks import DeliveryMarks, boot_id
from streams.mail.delivery.window import Lease
from streams.mail.mailer import Mailer
from streams.mail.report import Report
from streams.observability import metrics
from streams.runtime import failpoints
from streams.runtime.app import App
from streams.runtime.errors import PartitionRevoked
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord, headers_of
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import DRAIN_TIMEOUT_S
from streams.runtime.processing.task import Task
from streams.runtime.state.store import PartitionStore
from streams.wire import topics
from streams.wire.encode.reports import ReportEncoder

log = structlog.get_logger(__name__)

#: Returns the uncommitted end of a changelog, given its topic and the partition.
Uncommitted: TypeAlias = Callable[[str, int], Mapping[bytes, bytes | None]]


def _nothing_uncommitted(topic: str, partition: int) -> Mapping[bytes, bytes | None]:
    return {}


@dataclass
class MailerContext:
    """The objects that the mailer keeps per partition.

    Attributes:
        marks: the marks of its sends.
        heartbeat: its heartbeat.
        lease: until when its emails may begin.
        knows_doubts: whether the ledger has the sends that an earlier owner left in doubt without committing them.
    """

    marks: DeliveryMarks
    heartbeat: Heartbeat
    lease: Lease
    knows_doubts: bool = False


def register(
    app: App,
    instrumentation: Instrumentation,
    mailer: Mailer,
    heartbeat_s: int = 0,
    *,
    lease_s: float = 22.5,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
    uncommitted: Uncommitted = _nothing_uncommitted,
) -> Any:
    """Add the mailer stage to `app`. Partitions are processed concurrently, each one batch at a time.

    Args:
        app: the mailer process.
        instrumentation: decoder, encoder and metrics.
        mailer: renders and sends emails.
        heartbeat_s: seconds from one heartbeat of a partition to the next; 0 for none.
        lease_s: seconds after the last acknowledgement of the broker in which emails may begin: half of the session timeout.
        drain_timeout_s: seconds to wait for what is on the wire, before a partition is given back.
        uncommitted: returns the uncommitted end of a changelog.
    """
    decoder, encoder = instrumentation.decoder, instrumentation.encoder

    def open_context(partition: int, store: PartitionStore) -> MailerContext:
        heartbeat = Heartbeat(heartbeat_key(partition, app.partitions), heartbeat_s)
        return MailerContext(DeliveryMarks(store, uuid4().hex, boot_id()), heartbeat, Lease(lease_s))

    def parse(record: Any) -> Command | datetime:
        if record.topic() == topics.HEARTBEATS:
            return decoder.heartbeat(record.value())
        return decoder.command(record.value(), headers_of(record))

    def read_batch(
        batch: Batch[MailerContext], marks: DeliveryMarks
    ) -> tuple[list[tuple[Command, Plan]], datetime | None]:
        """Return the commands to execute with their plans, and the due time of the newest heartbeat, if any."""
        now, plans, heartbeat = utc_from_ms(batch.now_ms), {}, None
        with batch.only_with_commit():
            parsed = list(batch.decode(parse))
        for command in parsed:
            if isinstance(command, datetime):
                heartbeat = command
                continue
            entry = batch.get(command.send_id.encode())
            crash_state = marks.crash_state(command.send_id, entry.disk) if entry is not None else "none"
            plan = plan_delivery(entry, command, now, crash_state)
            if plan == "confirm" and crash_state != "accepted" and entry is not None:
                marks.mark_accepted(command.send_id, entry.queue_id, is_resend=entry.is_resend)
            if plan != "skip" and command.send_id not in plans:
                plans[command.send_id] = (command, plan)
        return list(plans.values()), heartbeat

    async def learn_doubts(batch: Batch[MailerContext]) -> None:
        """Commit the sends that an earlier owner left in doubt, before anything else is written to the changelog."""
        found = await asyncio.to_thread(uncommitted, stage.changelog, batch.partition)
        doubts = {key: in_doubt(decode_entry(raw)) for key, raw in found.items() if raw}
        for key, entry in doubts.items():
            if entry is not None:
                batch.put(key, entry)
        if any(doubts.values()):
            await batch.checkpoint()
        batch.task.context.knows_doubts = True

    async def deliver(batch: Batch[MailerContext]) -> None:
        context = batch.task.context
        ledger = BatchLedger(
            batch, context.marks, mailer.window, context.lease, partial(encode_safely, encoder.reports), count_report
        )
        try:
            await deliver_with(batch, ledger)
        except PartitionRevoked as revoked:
            log.info("a batch was given up, the partition's next owner continues", reason=str(revoked))
            await batch.abandon()
        finally:
            ledger.abandon()

    async def deliver_with(batch: Batch[MailerContext], ledger: BatchLedger) -> None:
        context, heartbeat = batch.task.context, batch.task.context.heartbeat
        if not context.knows_doubts:
            await learn_doubts(batch)
        plans, arrived = read_batch(batch, context.marks)
        if heartbeat.is_due(batch.now_ms):
            batch.send(*heartbeat.send(encoder.heartbeats, utc_from_ms(batch.now_ms)))
            if plans:
                # To wait for the withdrawals and the mail server may take longer than a transaction may be open.
                await batch.checkpoint()
        reports = await mailer.deliver(plans, context.marks, lambda: not app.task_manager.is_ready, ledger)
        is_complete = ledger.conclude(reports) and len(reports) == len(plans)
        failpoints.reach("mailer.reported")
        if is_complete:
            await batch.commit()
            await batch.done()
            if arrived is not None:
                heartbeat.receive(arrived, utc_from_ms(app.task_manager.clock()))
        else:
            await batch.checkpoint()
            await batch.abandon()
        ledger.close()

    stage = instrumentation.stage(
        "mailer",
        (topics.COMMANDS, topics.HEARTBEATS),
        table="sends",
        encode=encode_entry,
        decode=decode_entry,
        is_too_new=UnknownVersion,
        open=open_context,
        is_due=(lambda context, now_ms: context.heartbeat.is_due(now_ms)) if heartbeat_s else None,
    )

    stage.drain_timeout_s = drain_timeout_s

    @app.stage(stage)
    async def mail(batches: AsyncIterator[Batch[MailerContext]]) -> None:
        async with asyncio.TaskGroup() as deliveries:
            async for batch in batches:
                deliveries.create_task(deliver(batch))

    return mail


def late_withdrawals(tasks: Iterable[Task[MailerContext]], partitions: int) -> Callable[[bytes, str], None]:
    """Return the function that counts a withdrawal of an email that the mail server has already accepted.

    Each mailer reads all withdrawals; the owner of the email's partition counts it. The mark of the email is newer than its entry in the
    ledger, which is written with the batch.

    Args:
        tasks: the tasks that the mailer owns at each call.
        partitions: the number of partitions of every topic.
    """

    def on_withdrawn(key: bytes, send_id: str) -> None:
        partition = partition_of(key, partitions)
        for task in tasks:
            if (
                task.partition == partition
                and task.store is not None
                and _is_accepted(task.store, task.context.marks, send_id)
            ):
                metrics.WITHDRAWALS.labels("too_late").inc()

    return on_withdrawn


def _is_accepted(store: PartitionStore, marks: DeliveryMarks, send_id: str) -> bool:
    if marks.crash_state(send_id, marks.disk) == "accepted":
        return True
    raw = store.get(send_id.encode())
    try:
        return raw is not None and decode_entry(raw).state == "sent"
    except UnknownVersion:
        return (
            False  # A newer mailer wrote the entry. Only a metric needs it here, and the withdrawal must take effect.
        )


def encode_report(encoder: ReportEncoder, report: Report) -> Iterator[ProducerRecord]:
    """Return the records of a report: the outcome, and a retry timer, a bounce or a decision if it has one."""
    command, at = report.command, report.at
    reason = report.text or report.rule
    yield encoder.email_event(
        command,
        report.outcome,
        at,
        queue_id=report.queue_id,
        status_code=report.code,
        reason=reason,
        retry_at=report.retry_at,
    )
    if report.retry_at is not None:
        yield encoder.retry_timer(command, report.retry_at, at)
    if report.is_bounce:
        yield encoder.bounce(command, report.is_hard, reason, at)
    if report.outcome not in ("sent", "deferred"):
        yield encoder.mail_decision(command, "skip", report.rule, reason, at)


def encode_safely(encoder: ReportEncoder, report: Report) -> list[ProducerRecord]:
    """Return the records of a report. A report that cannot be encoded loses its details: it must not stop the reports of others."""
    for changes in ({}, {"text": "", "code": None, "queue_id": None}):
        try:
            return list(encode_report(encoder, replace(report, **changes)))
        except Exception as error:
            log.exception(
                "a report cannot be encoded",
                send_id=report.command.send_id,
                rule=report.rule,
                error=type(error).__name__,
            )
    return []


def count_report(report: Report) -> None:
    """Count the outcome of a command, and how late the email was if the mail server accepted it. A test counts nowhere."""
    command, flow = report.command, report.command.flow
    if command.is_test:
        return
    for counter in _outcome_counters(flow, command.message, report.outcome, report.rule):
        counter.inc()
    if report.outcome == "sent":
        _handover(flow).observe(_seconds(command.due_at or command.commanded_at, report.at))
        placed_at = command.order_placed_at if command.purpose == "order" else None
        if placed_at is not None:
            _order_to_email(flow).observe(_seconds(placed_at, report.at))
    if report.rule == "withdrawn":
        metrics.WITHDRAWALS.labels("in_time").inc()
    if report.is_resend or report.outcome == "unknown":
        metrics.SENDS_UNKNOWN.labels(flow, "sent_again" if report.is_resend else "given_up").inc()


@cache  # bounded like the labels; `labels` is slower
def _outcome_counters(flow: str, message: str, outcome: str, rule: str) -> tuple[Any, ...]:
    return (
        metrics.MAILS.labels(flow, outcome),
        metrics.MESSAGES.labels(flow, message, outcome),
        metrics.MAIL_RULES.labels(flow, outcome, rule),
    )


_handover = cache(metrics.HANDOVER.labels)
_order_to_email = cache(metrics.ORDER_TO_EMAIL.labels)


def _seconds(start: datetime, end: datetime) -> float:
    """Return the seconds from `start` to `end`, at least 0: the two clocks may differ."""
    return max(0.0, (end - start).total_seconds())
