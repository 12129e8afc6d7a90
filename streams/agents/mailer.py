"""The mailer agent: commands in, mails out, each at most once; the ledger says what became of every send.

A batch takes two transactions. The first writes `in flight` for every send and is acknowledged by Kafka before any data leaves;
the second writes what the server said, the reports, and the source offsets. Died in between, the batch is read again, and notes on
this disk tell a send whose data had begun from one that cannot have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from streams import topics
from streams.agents.support import Support, utc
from streams.mail.command import Command
from streams.mail.ledger import Entry, Plan, State, decide, decode_entry, encode_entry
from streams.mail.mailer import Mailer, Outcome
from streams.runtime import failpoints
from streams.runtime.app import App
from streams.runtime.checkpoint import Lane, Unit
from streams.runtime.stage import Stage

#: Since when this disk has noted every send whose data began, in milliseconds since 1970.
SINCE = b"since_ms"
STATES: dict[Outcome, State] = {
    "sent": "sent", "refused": "refused", "deferred": "retry", "expired": "expired", "unknown": "unknown"
}  # fmt: skip


def define(app: App, support: Support, mailer: Mailer) -> Any:
    """Add the mailer agent to `app`; partitions are worked side by side, each one batch at a time."""

    def open_notes(lane: Lane) -> None:
        if lane.store is not None and lane.store.noted(SINCE) is None:
            lane.store.note(SINCE, b"%d" % app.lanes.clock())

    def may_have_left(unit: Unit, entry: Entry | None, key: bytes) -> bool:
        store = unit.lane.store
        if entry is None or store is None:
            return False
        noted_since = int(store.noted(SINCE) or 0)
        return entry.at.timestamp() * 1000 < noted_since or store.noted(key) is not None

    def planned(unit: Unit) -> list[tuple[Command, Plan]]:
        now, plans = utc(unit.now_ms), {}
        for command in unit.taken(lambda record: support.wire.command(record.value())):
            key = command.send_id.encode()
            entry = unit.get(key)
            plan = decide(entry, command, now, may_have_left(unit, entry, key))
            if plan != "nothing" and command.send_id not in plans:
                plans[command.send_id] = (command, plan)
        return list(plans.values())

    async def deliver(unit: Unit) -> None:
        plans = planned(unit)
        now = utc(unit.now_ms)
        for command, _ in plans:
            unit.put(command.send_id.encode(), Entry("in_flight", command.attempt, now))
        failpoints.reach("mailer.planned")
        await unit.checkpoint()
        failpoints.reach("mailer.marked")
        note = unit.lane.store.note if unit.lane.store is not None else None
        reports = await mailer.deliver(
            plans,
            lambda send_id: note(send_id.encode(), b"1") if note else None,
            lambda: not app.lanes.is_ready,
        )
        for report in reports:
            key = report.command.send_id.encode()
            unit.put(key, Entry(STATES[report.outcome], report.command.attempt, report.at, report.queue_id))
            for output in support.reported(report):
                unit.send(*output)
        failpoints.reach("mailer.reported")
        if len(reports) == len(plans):
            await unit.commit()
            await unit.done()
        else:
            await unit.checkpoint()
            unit.abandon()
        for report in reports:
            if note:
                note(report.command.send_id.encode(), None)

    stage = Stage(
        name="mailer",
        topics=(topics.COMMANDS,),
        table="sends",
        encode=encode_entry,
        decode=decode_entry,
        open=open_notes,
        dead_letter=support.dead_letter("mailer"),
    )

    @app.stage(support.observed(stage))
    async def mail(units: AsyncIterator[Unit]) -> None:
        async with asyncio.TaskGroup() as deliveries:
            async for unit in units:
                deliveries.create_task(deliver(unit))

    return mail
