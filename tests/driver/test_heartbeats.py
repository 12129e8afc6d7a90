"""Heartbeats through the agents of all stages, without a broker, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from streams.agents import flows, mailer, scheduler
from streams.agents.heartbeats import DELAY, MAX_AGE, Heartbeat, heartbeat_gauges, heartbeat_key
from streams.agents.instrumentation import Instrumentation
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.window import Window
from streams.mail.report import Report
from streams.mail.unanswered import Unanswered
from streams.observability import metrics
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, PARTITION, PARTITIONS, Agent, Output
from tests.harness.effects import SEND
from tests.harness.events import shop_ruleset
from tests.harness.records import AT_MS

INTERVAL_S = 15
DELAY_MS = round(DELAY.total_seconds() * 1000)
HOUR_MS = 3_600_000
ENCODER = Encoder(CODEC)
RULESET = shop_ruleset()


class IdleMailer:
    """A mailer that accepts nothing, as one that is stopping."""

    def __init__(self) -> None:
        self.window = Window(1)
        self.unanswered = Unanswered(self.window, 600.0)

    async def deliver(
        self, planned: Iterable[Any], marks: Any, is_stopping: Callable[[], bool], ledger: Any
    ) -> list[Report]:
        """Return no reports."""
        return []


class Pipeline:
    """The agents that a heartbeat passes."""

    def __init__(self, folder: Path, interval_s: int = INTERVAL_S) -> None:
        work: Any = IdleMailer()
        self.mailer = Agent(folder, lambda app, own: mailer.register(app, own, work, interval_s))
        self.scheduler = Agent(folder, scheduler.register)
        self.flows = Agent(folder, lambda app, own: flows.register(app, own, RULESET))

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat of the partition, as the mailer has it."""
        heartbeat: Heartbeat = self.mailer.task.context.heartbeat
        return heartbeat


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A pipeline that has processed nothing."""
    return Pipeline(tmp_path)


def timers(pipeline: Pipeline, count: int) -> list[Output]:
    """The timers of `count` heartbeats, one per interval from `AT_MS` on."""
    sent = [pipeline.mailer.run(at_ms=AT_MS + number * INTERVAL_S * 1000) for number in range(count)]
    return [output for outputs in sent for output in outputs]


def fired(outputs: Iterable[Output]) -> list[Output]:
    """Timers as they are on `flow-due`."""
    return [(topics.DUE, key, value) for _, key, value in outputs]


def test_a_heartbeat_passes_through_all_stages(pipeline: Pipeline) -> None:
    """Each hop publishes one record with the key of the partition; the scheduler stores the timer; the mailer measures from its due time."""
    due_ms = AT_MS + DELAY_MS
    assert pipeline.mailer.is_due
    sent = pipeline.mailer.run(at_ms=AT_MS)
    assert pipeline.scheduler.run(sent, at_ms=AT_MS + 100) == []
    assert pipeline.scheduler.task.context.pending == 1
    pipeline.scheduler.app.task_manager.now_ms = due_ms
    assert pipeline.scheduler.is_due
    due = pipeline.scheduler.run(at_ms=due_ms)
    assert pipeline.scheduler.task.context.pending == 0
    passed = pipeline.flows.run(due, at_ms=due_ms + 200)
    assert (pipeline.heartbeat.due_at, pipeline.heartbeat.travel_s) == (0, 0)
    assert pipeline.mailer.run(passed, at_ms=due_ms + 300) == []
    assert (pipeline.heartbeat.due_at, pipeline.heartbeat.travel_s) == (due_ms / 1000, 0.3)
    hops = [*sent, *due, *passed]
    assert [topic for topic, _, _ in hops] == [topics.DELAYS, topics.DUE, topics.HEARTBEATS]
    assert {partition_of(key, PARTITIONS) for _, key, _ in hops} == {PARTITION}


def test_a_heartbeat_changes_no_customer(pipeline: Pipeline) -> None:
    """The flows agent stores no customer, logs no decision and writes no dead letter: the heartbeat is its only output."""
    (passed,) = pipeline.flows.run(fired(timers(pipeline, 1)), at_ms=AT_MS + 2_000)
    assert passed[0] == topics.HEARTBEATS
    assert [key for key, _ in pipeline.flows.store.items() if key] == []


def test_older_flows_agents_ignore_the_timer(pipeline: Pipeline) -> None:
    """For the rules a heartbeat is a timer that no instance waits for: no new state, and no effects."""
    ((_, key, value),) = timers(pipeline, 1)
    event = Instrumentation(CODEC).decoder.event(topics.DUE, key, value, AT_MS)
    state = new_customer(event.customer_id)
    after, effects = advance(RULESET, state, event, utc_from_ms(AT_MS))
    assert after is state
    assert effects == []


def test_nothing_piles_up_while_the_scheduler_is_down(pipeline: Pipeline) -> None:
    """After hours the scheduler fires all timers at once and stores none; the flows agent passes on only those of the last hour."""
    count = 3 * HOUR_MS // (INTERVAL_S * 1000)
    now_ms = AT_MS + 3 * HOUR_MS
    due = pipeline.scheduler.run(timers(pipeline, count), at_ms=now_ms)
    assert len(due) == count
    assert pipeline.scheduler.task.context.pending == 0
    passed = pipeline.flows.run(due, at_ms=now_ms)
    young = [value for _, _, value in due if timer_due(value or b"")[1] > now_ms - MAX_AGE.total_seconds() * 1000]
    assert 0 < len(passed) == len(young) < count
    pipeline.mailer.run(passed, at_ms=now_ms)
    assert pipeline.heartbeat.due_at == max(timer_due(value or b"")[1] for value in young) / 1000


def test_an_old_heartbeat_is_dropped_by_the_mailer(pipeline: Pipeline) -> None:
    """A mailer that was down for hours does not report the heartbeat that waited for it."""
    passed = pipeline.flows.run(fired(timers(pipeline, 1)), at_ms=AT_MS + 2_000)
    pipeline.mailer.run(passed, at_ms=AT_MS + DELAY_MS + HOUR_MS)
    assert pipeline.heartbeat.due_at == 0
    pipeline.mailer.run(passed, at_ms=AT_MS + DELAY_MS + HOUR_MS - 1)
    assert pipeline.heartbeat.due_at > 0


def test_an_invalid_heartbeat_is_a_dead_letter(pipeline: Pipeline) -> None:
    """It becomes a dead letter of the mailer, and the next heartbeat counts."""
    (valid,) = pipeline.flows.run(fired(timers(pipeline, 1)), at_ms=AT_MS + 2_000)
    (letter,) = pipeline.mailer.run([(topics.HEARTBEATS, valid[1], b"junk"), valid], at_ms=AT_MS + 2_100)
    assert letter[0] == topics.DEAD_LETTERS
    assert pipeline.heartbeat.due_at > 0


def test_a_heartbeat_counts_after_its_batch(pipeline: Pipeline) -> None:
    """While the mailer stops, and a command in the same batch has no report, the heartbeat has not arrived; the batch is read again."""
    passed = pipeline.flows.run(fired(timers(pipeline, 1)), at_ms=AT_MS + 2_000)
    command = ENCODER.effects.encode(SEND, utc_from_ms(AT_MS))
    pipeline.mailer.run([command[:3], *passed], at_ms=AT_MS + 2_100)
    assert pipeline.heartbeat.due_at == 0
    assert topics.HEARTBEATS not in pipeline.mailer.producer.offsets


def test_one_heartbeat_per_interval(pipeline: Pipeline) -> None:
    """The first is due at once, the next with each interval since, however late one was sent; also after the clock has stepped back."""

    def is_due(seconds: float) -> bool:
        pipeline.mailer.app.task_manager.now_ms = AT_MS + round(seconds * 1000)
        return pipeline.mailer.is_due

    pipeline.mailer.run(at_ms=AT_MS)
    assert not is_due(INTERVAL_S - 0.001)
    assert is_due(INTERVAL_S + 5)
    pipeline.mailer.run(at_ms=AT_MS + (INTERVAL_S + 5) * 1000)
    assert not is_due(2 * INTERVAL_S - 0.001)
    assert is_due(2 * INTERVAL_S)
    assert is_due(-10 * HOUR_MS)


def test_heartbeats_can_be_turned_off(tmp_path: Path) -> None:
    """With an interval of 0 the mailer sends no heartbeat, and has no gauges."""
    pipeline = Pipeline(tmp_path, interval_s=0)
    assert pipeline.mailer.run(at_ms=AT_MS) == []
    heartbeat_gauges()([pipeline.mailer.task])
    assert gauges() == (None, None)


def gauges() -> tuple[float | None, float | None]:
    """The gauges of the partition's heartbeat: time and travel time."""
    names = ("takk_heartbeat_timestamp_seconds", "takk_heartbeat_seconds")
    timestamp, seconds = (metrics.REGISTRY.get_sample_value(name, {"partition": str(PARTITION)}) for name in names)
    return timestamp, seconds


def test_gauges_follow_the_owner(pipeline: Pipeline) -> None:
    """They are 0 before the first heartbeat, and a mailer that no longer owns the partition removes them."""
    set_gauges = heartbeat_gauges()
    set_gauges([pipeline.mailer.task, pipeline.flows.task])
    assert gauges() == (0, 0)
    passed = pipeline.flows.run(fired(timers(pipeline, 1)), at_ms=AT_MS + 2_000)
    pipeline.mailer.run(passed, at_ms=AT_MS + DELAY_MS + 2_000)
    set_gauges([pipeline.mailer.task])
    assert gauges() == ((AT_MS + DELAY_MS) / 1000, 2)
    set_gauges([])
    assert gauges() == (None, None)


@pytest.mark.parametrize("partitions", [1, 4, 50])
def test_every_partition_has_a_key(partitions: int) -> None:
    """The partitioner assigns the key of each partition to it."""
    keys = [heartbeat_key(partition, partitions) for partition in range(partitions)]
    assert [partition_of(key.encode(), partitions) for key in keys] == list(range(partitions))
