"""The mailer stage on one partition: what it counts, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streams.agents import mailer
from streams.mail.report import Report
from streams.observability import metrics
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.accepting_mailer import AT, AcceptingMailer
from tests.harness.agents import CODEC, Agent
from tests.harness.effects import SEND
from tests.harness.records import AT_MS


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


def test_a_command_that_ends_its_renderers_is_a_dead_letter(tmp_path: Path) -> None:
    """A refused email with the rule `crashed` has its report and one dead letter with its record. The emails beside it have none."""

    class Crashing(AcceptingMailer):
        async def deliver(self, *args: Any) -> list[Report]:
            reports = await super().deliver(*args)
            return [replace(reports[0], outcome="refused", rule="crashed", text="ended twice"), *reports[1:]]

    work: Any = Crashing()
    agent = Agent(tmp_path, lambda app, instrumentation: mailer.register(app, instrumentation, work))
    records = [
        (topics.COMMANDS, key, value)
        for each in ("a", "b")
        for _, key, value, *_ in [Encoder(CODEC).effects.encode(replace(SEND, send_id=each), AT)]
    ]
    outputs = agent.run(records, at_ms=AT_MS)
    letters = [CODEC.decode("dead_letter", value) for topic, _, value in outputs if topic == topics.DEAD_LETTERS]
    assert [(letter["reason"], letter["value"], letter["stage"]) for letter in letters] == [
        ("crashed", records[0][2], "mailer")
    ]
    events = [CODEC.decode("email_event", value) for topic, _, value in outputs if topic == topics.EVENTS]
    assert [(event["send_id"], event["outcome"]) for event in events] == [("a", "refused"), ("b", "sent")]
