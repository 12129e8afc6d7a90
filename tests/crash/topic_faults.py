"""Scenarios in which Kafka's topics and offsets fail: hanging transactions, lost offsets, deleted records, recreated topics."""

from __future__ import annotations

from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import MAILER, WORKER
from tests.harness.kafka_faults import delete_records, delete_topic
from tests.harness.stack import PATIENCE_S, PRODUCER

#: Emails to wait for between two steps.
EMAILS_BETWEEN = 100


def hanging_transaction(run: ScenarioRun) -> None:
    """Leave a transaction open on a changelog: a worker that must restore refuses with the remedy, and the other one goes on."""
    stack, victim = run.stack, run.stack.workers[0]
    changelog = _changelog(run)
    foreign = Producer({**stack.settings.kafka(), "transactional.id": "foreign", "transaction.timeout.ms": 600_000})
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        partition = min(stack.assignment(WORKER)[0])
        foreign.init_transactions(PATIENCE_S)
        foreign.begin_transaction()
        foreign.produce(changelog, b"1", b"foreign", partition=partition)
        assert foreign.flush(PATIENCE_S) == 0
        run.await_emails(EMAILS_BETWEEN)
        run.kill(victim)
        run.wipe_state(victim)
        for _ in range(2):
            run.refused(victim, f"a transaction hangs on the changelog {changelog}[{partition}]")
        foreign.abort_transaction(PATIENCE_S)
        run.restart(victim)
        run.await_emails(2 * EMAILS_BETWEEN)
    assert "kafka-transactions.sh" in victim.log_file.read_text(errors="replace")


def offsets_expired(run: ScenarioRun) -> None:
    """Delete the offsets of the workers, then of the mailers, while none runs: they continue where their state ends."""
    stack = run.stack
    with run.shop_open():
        for role, processes in ((WORKER, stack.workers), (MAILER, stack.mailers)):
            run.await_emails(EMAILS_BETWEEN)
            run.stop_all(role)
            group = stack.group_of(role)
            stack.admin.delete_consumer_groups([group])[group].result()
            run.log(f"the offsets of {group} are deleted")
            run.wipe_state(processes[0])  # the offsets are in the changelog, too
            for process in processes:
                process.start()
            for process in processes:
                process.await_ready()
            run.await_emails(EMAILS_BETWEEN)
            logs = [process.log_file.read_text(errors="replace") for process in processes]
            assert all("continuing at the offset of the state" in log for log in logs)


def retention_overtook(run: ScenarioRun) -> None:
    """Delete orders that no worker has read: they are counted and logged, and everything behind them is processed."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.stop_all(WORKER)
        read = _committed(run)
        orders = read_all(stack.settings.kafka(), [topics.ORDERS])[topics.ORDERS]
        first_read = [record for record in orders if record.offset() < read[record.partition()]]
        run.wait_until(lambda: all(end > read[n] + 10 for n, end in _ends(run).items()), "orders that nobody has read")
        ends = _ends(run)
        delete_records(stack.admin, topics.ORDERS, ends)
        for process in stack.workers:
            process.start()
        for process in stack.workers:
            process.await_ready()
        run.await_emails(EMAILS_BETWEEN)
        name = f'takk_records_lost_total{{stage="flows",topic="{topics.ORDERS}"}}'
        counted = sum(process.series().get(name, 0) for process in stack.workers)
    stack.complete = lambda records: records[topics.ORDERS].extend(first_read)
    lost = sum(ends[number] - read[number] for number in ends)
    run.log(f"{lost} orders were deleted before they were read")
    if counted != lost:
        run.row.problems.append(f"{lost} records were deleted before they were read, {counted:.0f} are counted")


def input_truncated(run: ScenarioRun) -> None:
    """Recreate the topic of orders: the workers refuse to start, until an operator sets the offsets and accepts them."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
    stack.wait_until_idle()
    run.stop_all(WORKER)
    read = _committed(run)
    before = read_all(stack.settings.kafka(), [topics.ORDERS, topics.CHECKPOINTS])
    delete_topic(stack.admin, topics.ORDERS)
    topics.create_topics(stack.settings)
    with run.shop_open():
        run.note_fault(*stack.workers)
        for process in stack.workers:
            run.refused(process, "the topic was truncated, or deleted and recreated")
        run.wait_until(lambda: not stack.members(WORKER), "the group is empty")
        beginning = [TopicPartition(topics.ORDERS, number, 0) for number in read]
        group = stack.group_of(WORKER)
        offsets = ConsumerGroupTopicPartitions(group, beginning)
        stack.admin.alter_consumer_group_offsets([offsets])[group].result()
        for process in stack.workers:
            process.start("--accept-offsets")
        for process in stack.workers:
            process.await_ready()
        run.await_emails(EMAILS_BETWEEN)
    stack.complete = lambda records: _append(run, records, before, read)


class _Shifted:
    """A record of a recreated topic, with an offset behind the records of the earlier topic."""

    def __init__(self, record: Any, by: int) -> None:
        self._record = record
        self._by = by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)

    def offset(self) -> int:
        """Return the offset."""
        return int(self._record.offset()) + self._by


class _Entry(_Shifted):
    """An entry of the journal, with another value."""

    def __init__(self, record: Any, value: bytes) -> None:
        super().__init__(record, 0)
        self._value = value

    def value(self) -> bytes:
        """Return the value."""
        return self._value


def _append(
    run: ScenarioRun, records: dict[str, list[Any]], before: dict[str, list[Any]], read: dict[int, int]
) -> None:
    """Put the orders of the earlier topic before those of the recreated one, whose offsets grow by those of the earlier one."""
    codec = run.stack.codec
    known = {(entry.partition(), entry.offset()) for entry in before[topics.CHECKPOINTS]}
    records[topics.ORDERS] = before[topics.ORDERS] + [
        _Shifted(record, read[record.partition()]) for record in records[topics.ORDERS]
    ]
    for place, entry in enumerate(records[topics.CHECKPOINTS]):
        if (entry.partition(), entry.offset()) in known:
            continue
        batch = codec.decode("checkpoint", entry.value())
        for part in batch["slices"]:
            if part["topic"] == topics.ORDERS:
                part["first"] += read[batch["partition"]]
                part["last"] += read[batch["partition"]]
        records[topics.CHECKPOINTS][place] = _Entry(entry, codec.encode("checkpoint", batch))


def changelog_recreated(run: ScenarioRun) -> None:
    """Replace a changelog by a longer copy: workers refuse it, until an operator accepts it. Then they restore their state from it."""
    stack, changelog = run.stack, _changelog(run)
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.stop_all(WORKER)
        records = read_all(stack.settings.kafka(), [changelog])[changelog]
        delete_topic(stack.admin, changelog)
        topics.create_topics(stack.settings, [changelog])
        producer = Producer({**stack.settings.kafka(), **PRODUCER})
        for record in [*records, *records]:  # longer than the position on disk
            producer.produce(
                changelog, record.value(), record.key(), partition=record.partition(), headers=record.headers() or []
            )
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0
        for process in stack.workers:
            run.refused(process, "belongs to another changelog")
        for process in stack.workers:
            process.start("--accept-changelog")
        for process in stack.workers:
            process.await_ready()
        run.await_emails(2 * EMAILS_BETWEEN)


def _changelog(run: ScenarioRun) -> str:
    return f"{run.stack.group_of(WORKER)}-customers-changelog"


def _committed(run: ScenarioRun) -> dict[int, int]:
    """Return the offset of each partition of the orders that the workers read next."""
    group = run.stack.group_of(WORKER)
    request = ConsumerGroupTopicPartitions(
        group, [TopicPartition(topics.ORDERS, n) for n in range(run.stack.settings.partitions)]
    )
    answer = run.stack.admin.list_consumer_group_offsets([request])[group].result()
    return {tp.partition: max(tp.offset, 0) for tp in answer.topic_partitions}


def _ends(run: ScenarioRun) -> dict[int, int]:
    """Return the offset after the last record of each partition of the orders."""
    latest = {TopicPartition(topics.ORDERS, n): OffsetSpec.latest() for n in range(run.stack.settings.partitions)}
    return {tp.partition: future.result().offset for tp, future in run.stack.admin.list_offsets(latest).items()}
