"""The mailer agent: commands in, mails out, each at most once; the ledger says what became of every send.

A batch takes two transactions. The first writes `in flight` for every send and is acknowledged by Kafka before any data leaves;
the second writes what the server said, the reports, and the source offsets. Died in between, the batch is read again, and the notes on
this disk tell a send that the server took, and one whose data had begun, from one that cannot have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from streams.agents.instrumentation import Instrumentation
from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.mail.delivery.ledger import Entry, Plan, State, decide, decode_entry, encode_entry
from streams.mail.delivery.local_notes import Notes
from streams.mail.mailer import Mailer, Outcome
from streams.runtime import failpoints
from streams.runtime.app import App
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.wire import topics

STATES: dict[Outcome, State] = {
    "sent": "sent", "refused": "refused", "deferred": "retry", "expired": "expired", "suppressed": "suppressed", "unknown": "unknown"
}  # fmt: skip


def register(app: App, instrumentation: Instrumentation, mailer: Mailer) -> Any:
    """Add the mailer agent to `app`; partitions are worked side by side, each one batch at a time."""

    def open_notes(task: Task) -> None:
        if task.store is not None:
            task.memory["notes"] = Notes(task.store, uuid4().hex)

    def planned(batch: Batch, notes: Notes) -> list[tuple[Command, Plan]]:
        now, plans = utc_from_ms(batch.now_ms), {}
        for command in batch.taken(lambda record: instrumentation.decoder.command(record.value())):
            entry = batch.get(command.send_id.encode())
            trace = notes.trace(command.send_id, entry.disk) if entry is not None else "none"
            plan = decide(entry, command, now, trace)
            if plan != "nothing" and command.send_id not in plans:
                plans[command.send_id] = (command, plan)
        return list(plans.values())

    async def deliver(batch: Batch) -> None:
        notes: Notes = batch.task.memory["notes"]
        plans = planned(batch, notes)
        for command, plan in plans:
            if plan in ("send_again", "give_up"):
                notes.begin(command.send_id)  # the doubt outlives this life too: another disk's notes are not ours
            if plan != "settle":
                in_flight = Entry("in_flight", command.attempt, utc_from_ms(batch.now_ms), disk=notes.disk)
                batch.put(command.send_id.encode(), in_flight)
        failpoints.reach("mailer.planned")
        await batch.checkpoint()
        failpoints.reach("mailer.marked")
        reports = await mailer.deliver(plans, notes, lambda: not app.task_manager.is_ready)
        for report in reports:
            key = report.command.send_id.encode()
            batch.put(key, Entry(STATES[report.outcome], report.command.attempt, report.at, report.queue_id))
            for output in instrumentation.reported(report):
                batch.send(*output)
        failpoints.reach("mailer.reported")
        if len(reports) == len(plans):
            await batch.commit()
            await batch.done()
        else:
            await batch.checkpoint()
            batch.abandon()
        for report in reports:
            notes.forget(report.command.send_id)

    stage = Stage(
        name="mailer",
        topics=(topics.COMMANDS,),
        table="sends",
        encode=encode_entry,
        decode=decode_entry,
        open=open_notes,
        dead_letter=instrumentation.dead_letter("mailer"),
    )

    @app.stage(instrumentation.observed(stage))
    async def mail(batches: AsyncIterator[Batch]) -> None:
        async with asyncio.TaskGroup() as deliveries:
            async for batch in batches:
                deliveries.create_task(deliver(batch))

    return mail
