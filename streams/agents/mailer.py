"""The mailer agent: commands in, mails out, each at most once; the ledger says what became of every send.

A batch takes two transactions. The first writes `in flight` for every send and is acknowledged by Kafka before any data leaves;
the second writes what the server said, the reports, and the source offsets. Died in between, the batch is read again and the
ledger tells a send that may have left (its data had begun, noted on this disk) from one that cannot have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from streams import topics
from streams.agents.support import Support
from streams.mail.ledger import decode_entry, encode_entry
from streams.mail.mailer import Mailer
from streams.runtime.app import App
from streams.runtime.checkpoint import Unit
from streams.runtime.stage import Stage

#: Sends of one transaction: few enough that their result is known within a second or two, enough to fill the connections.
SLICE = 200


def define(app: App, support: Support, mailer: Mailer) -> Any:
    """Add the mailer agent to `app`; partitions are worked side by side, one batch at a time each."""
    busy: set[asyncio.Task[None]] = set()
    stage = Stage(
        name="mailer",
        topics=(topics.COMMANDS,),
        table="sends",
        encode=encode_entry,
        decode=decode_entry,
        dead_letter=support.dead_letter,
    )

    async def deliver(unit: Unit) -> None:
        commands = list(unit.taken(lambda record: support.wire.command(record.value())))
        now = datetime.fromtimestamp(unit.now_ms / 1000, UTC)
    return stage
