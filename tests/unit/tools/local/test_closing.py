"""The end of a demo: when every order has a result, when the worker has read everything, and in which order the processes stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.tools.local import closing
from streams.tools.local.closing import close, without_lag
from streams.tools.local.progress import CONFIRMATION, Progress, ProgressReader
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from tests.harness import records

CODEC = open_codec()


def progress_of(*entries: tuple[str, bytes | None]) -> Progress:
    """Return the progress after records on partition 0, each at the next offset of its topic."""
    progress, offsets = Progress(), dict.fromkeys(topics.SCHEMA_OF, 0)
    for topic, value in entries:
        progress.add(topic, 0, offsets[topic], value, CODEC)
        offsets[topic] += 1
    return progress


def report(order_id: str, outcome: str, flow: str = CONFIRMATION) -> tuple[str, bytes]:
    """Return a report of the mailer."""
    return topics.EVENTS, CODEC.encode(
        "email_event", records.email_event(order_id=order_id, outcome=outcome, flow=flow)
    )


def decided(order_id: str, outcome: str) -> tuple[str, bytes]:
    """Return a decision about a confirmation."""
    decision = {
        "decision_id": "d1",
        "customer_id": "c1",
        "flow": CONFIRMATION,
        "flow_version": 1,
        "instance_id": "i1",
        "step": "1",
        "outcome": outcome,
        "rule": "rule",
        "detail": "",
        "order_id": order_id,
        "decided_at": records.AT,
    }
    return topics.DECISIONS, CODEC.encode("flow_decision", decision)


def journal(topic: str, last: int) -> tuple[str, bytes | None]:
    """Return an entry of the journal of a batch that read a topic up to `last`."""
    _, _, value, _ = Encoder(CODEC).journal.checkpoint("flows", 0, records.AT, [Slice(topic, 0, last)], last + 1)
    return topics.CHECKPOINTS, value


def test_an_order_is_settled_by_its_confirmation_or_a_decision_against_it() -> None:
    """An email that was sent or given up settles it, and so does a final decision. A command, a deferral and other flows do not."""
    progress = progress_of(
        report("sent", "sent"),
        report("expired", "expired"),
        report("deferred", "deferred"),
        report("other", "sent", flow="thank-you"),
        decided("skipped", "skip"),
        decided("commanded", "send"),
    )
    assert progress.settled == {"sent", "expired", "skipped"}


def test_the_journal_says_what_is_unread() -> None:
    """A record of the shop or of a recipient is unread until a batch has it. Timers and reports do not count."""
    written = [(topics.ORDERS, b"a"), (topics.ORDERS, b"b"), (topics.ENGAGEMENT, b"c"), (topics.DUE, b"d")]
    assert progress_of(*written).inputs == 3
    assert progress_of(*written, journal(topics.ORDERS, 0)).unread == [(topics.ORDERS, 0), (topics.ENGAGEMENT, 0)]
    assert progress_of(*written, journal(topics.ORDERS, 1), journal(topics.ENGAGEMENT, 0)).unread == []


@pytest.mark.parametrize(("lags", "is_idle"), [([5.0, 0.0, 3.0, 0.0, 0.0], True), ([1.0] * 10, False)])
def test_a_process_is_idle_without_lag_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch, lags: list[float], is_idle: bool
) -> None:
    """One measurement may miss records between two stages. The wait ends at its timeout."""
    clock = iter(range(100))
    monkeypatch.setattr(closing.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(closing.time, "monotonic", lambda: next(clock))
    measured = iter(lags)
    assert without_lag(lambda: next(measured), timeout_s=8) is is_idle


class GrowingTopics:
    """A consumer of topics that grow all the time."""

    def __init__(self) -> None:
        self.batches = 0

    def consume(self, count: int, timeout_s: float) -> list[Any]:
        self.batches += 1
        order = SimpleNamespace(
            topic=lambda: topics.ORDERS,
            partition=lambda: 0,
            offset=lambda: 1,
            value=lambda: b"order",
            error=lambda: None,
        )
        return [order] * (2_000 if self.batches == 1 else 20)


def test_topics_that_grow_do_not_hold_up_the_look() -> None:
    """The result is checked after each small batch, although the next one is there already."""
    reader = ProgressReader.__new__(ProgressReader)
    reader.progress, reader._codec, reader._consumer = Progress(), CODEC, GrowingTopics()
    assert reader.wait(lambda progress: progress.inputs >= 2_020, timeout_s=60)
    assert reader.progress.inputs == 2_020


class Fake:
    """A reader of the topics, the recipients and a process, which log what is asked of them."""

    def __init__(self, name: str, log: list[str], **answers: Any) -> None:
        self.name, self.log, self.answers = name, log, answers

    def wait(self, is_done: Any, timeout_s: float) -> bool:
        self.log.append("look")
        return bool(is_done(self.answers["progress"]))

    def stop(self) -> int:
        self.log.append(f"stop {self.name}")
        return 0

    def series(self) -> dict[str, float]:
        return self.answers["series"]

    def metrics(self) -> dict[str, float]:
        self.log.append("mailer")
        return {"takk_lag_records": 0.0}


def test_the_worker_stops_after_the_orders_and_before_the_mailer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers that fire keep the stages of flows busy, which does not keep the worker running; what is late is named."""
    monkeypatch.setattr(closing.time, "sleep", lambda seconds: None)
    busy = {'takk_lag_records{partition="0",stage="flows"}': 9.0, 'takk_lag_records{partition="0",stage="pools"}': 0.0}
    log: list[str] = []
    progress = progress_of(report("o1", "sent"), (topics.ORDERS, b"unread"))
    reader = Fake("reader", log, progress=progress)
    worker, mailer, readers = Fake("worker", log, series=busy), Fake("mailer", log), Fake("readers", log)
    assert close(reader, {"o1"}, readers, worker, mailer).late == ["records"]  # type: ignore[arg-type]  # fakes
    assert log == ["look", "stop readers", "look", "stop worker", "mailer", "mailer"]
