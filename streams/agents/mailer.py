"""The mailer stage: executes commands, sends each email at most once, and records every outcome in the send ledger.

The emails of a batch are sent in slices. The broker acknowledges the entry `in_flight` of each send before its data leaves (see
send_ledger.py). The commit at the end has the outcomes, the reports and the source offsets. After a crash before it the batch is read again.
The marks on this disk then show which sends the server accepted, which had begun, and which cannot have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias
from uuid import uuid4

import structlog

from streams.agents.heartbeats import Heartbeat, heartbeat_key
from streams.agents.instrumentation import Instrumentation
from streams.agents.ledger_retention import LedgerRetention
from streams.agents.mail_reports import count_report, encode_safely
from streams.agents.send_ledger import BatchLedger
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.mail.composing import CRASHED
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
        retention: deletes its old entries of the ledger.
        knows_doubts: whether the ledger has the sends that an earlier owner left in doubt without committing them.
    """

    marks: DeliveryMarks
    heartbeat: Heartbeat
    lease: Lease
    retention: LedgerRetention
    knows_doubts: bool = False


def register(
    app: App,
    instrumentation: Instrumentation,
    mailer: Mailer,
    heartbeat_s: int = 0,
    *,
    lease_s: float = 22.5,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
    address_key: bytes = b"",
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
        address_key: the key of the hashes of addresses; without it the mailer publishes no events of addresses.
        uncommitted: returns the uncommitted end of a changelog.
    """
    decoder, encoder = instrumentation.decoder, instrumentation.encoder

    def open_context(partition: int, store: PartitionStore) -> MailerContext:
        heartbeat = Heartbeat(heartbeat_key(partition, app.partitions), heartbeat_s)
        marks = DeliveryMarks(store, uuid4().hex, boot_id())
        return MailerContext(marks, heartbeat, Lease(lease_s), LedgerRetention(store))

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
            send_id, entry = command.send_id, batch.get(command.send_id.encode())
            crash_state = marks.crash_state(send_id, entry.disk) if entry is not None else "none"
            is_waiting = mailer.unanswered.is_waiting(send_id)
            plan = plan_delivery(entry, command, now, crash_state, is_waiting=is_waiting)
            if plan == "confirm" and crash_state != "accepted" and entry is not None:
                marks.mark_accepted(send_id, entry.queue_id, is_resend=entry.is_resend)
            if plan != "skip" and send_id not in plans:
                plans[send_id] = (command, plan)
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

    def encode_report(batch: Batch[MailerContext], report: Report) -> list[ProducerRecord]:
        """Return the records of a report. A command that ends the processes which render it is a dead letter, too."""
        records = encode_safely(encoder, address_key, report)
        if report.rule == CRASHED:
            found = [record for record in batch.records if record.value() == report.command.raw]
            records += [stage.dead_letter(record, CRASHED, report.text, batch.now_ms) for record in found[:1]]
        return records

    async def deliver(batch: Batch[MailerContext]) -> None:
        context = batch.task.context
        ledger = BatchLedger(
            batch,
            context.marks,
            mailer.window,
            context.lease,
            partial(encode_report, batch),
            count_report,
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
        if context.retention.is_due(batch.now_ms):
            context.retention.read_slice(batch)
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
        is_due=lambda context, now_ms: context.heartbeat.is_due(now_ms) or context.retention.is_due(now_ms),
    )

    def wait_for_answers(context: MailerContext) -> Awaitable[None]:
        return mailer.unanswered.wait(context.marks)

    stage.drain_timeout_s = drain_timeout_s
    stage.drain = wait_for_answers

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
