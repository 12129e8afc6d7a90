"""The mailer stage on one partition: what it counts, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from streams.agents import mailer
from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.window import Window
from streams.mail.report import Report
from streams.observability import metrics
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, Agent
from tests.harness.effects import SEND
from tests.harness.records import AT_MS

AT = utc_from_ms(AT_MS)


class AcceptingMailer:
    """A mailer whose server accepts every email."""

    def __init__(self) -> None:
        self.before_reports: Callable[[], None] = lambda: None
        self.window = Window(1)

    async def deliver(
        self, planned: Iterable[tuple[Command, Plan]], marks: Any, is_stopping: Callable[[], bool], ledger: Any
    ) -> list[Report]:
        """Return a report per command."""
        self.before_reports()
        return [Report(command=command, outcome="sent", at=AT, rule="accepted") for command, _ in planned]


def sent() -> float:
    """The emails that count as sent so far."""
    return metrics.REGISTRY.get_sample_value("takk_mails_total", {"flow": SEND.flow, "outcome": "sent"}) or 0.0


def test_an_email_counts_once_its_batch_is_committed(tmp_path: Path) -> None:
    """An email of a batch that is revoked before its commit does not count, and the agent goes on. The next owner counts it."""
    work = AcceptingMailer()
    accepting: Any = work
    agent = Agent(tmp_path, lambda app, instrumentation: mailer.register(app, instrumentation, accepting))
    _, key, value, *_ = Encoder(CODEC).effects.encode(SEND, AT)
    before = sent()

    def revoke() -> None:
        agent.task.is_closed = True

    work.before_reports = revoke
    assert agent.run([(topics.COMMANDS, key, value)], at_ms=AT_MS) == []
    assert sent() == before
    assert not agent.task.lock.locked()
    work.before_reports = lambda: None
    agent.task.is_closed = False
    agent.run([(topics.COMMANDS, key, value)], at_ms=AT_MS)
    assert sent() == before + 1
