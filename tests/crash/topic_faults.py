"""Scenarios in which Kafka's topics and offsets fail: hanging transactions, lost offsets, deleted records, recreated topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, OffsetSpec

from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import MAILER, WORKER
from tests.harness.kafka_faults import delete_topic
from tests.harness.stack import PATIENCE_S, PRODUCER

#: Emails to wait for between two steps.
EMAILS_BETWEEN = 100
#: Settings of a broker that deletes offsets a minute after their group is empty, and old records within seconds.
EXPIRING_OFFSETS = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"}
EXPIRING_RECORDS = {"log.retention.check.interval.ms": "1000"}
#: Seconds that the broker may take for that. It looks at its records for the first time after half a minute.
EXPIRY_TIMEOUT_S = 180.0


def hanging_transaction(run: ScenarioRun) -> None:
    """Leave a transaction open on a changelog: a worker that must restore refuses with the remedy, and the other one goes on."""
    stack, victim = run.stack, run.stack.workers[0]
    changelog = _changelog(run)
    foreign = Producer({**stack.settings.kafka(), "transactional.id": "foreign", "transaction.timeout.ms": 600_000})
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.wait_until(lambda: len(stack.assignment(WORKER)) == len(stack.workers), "both workers have partitions")
        partition = min(stack.assignment(WORKER)[0])
        foreign.init_transactions(PATIENCE_S)
        foreign.begin_transaction()
        foreign.produce(changelog, b"1", b"foreign", partition=partition)
        assert foreign.flush(PATIENCE_S) == 0
        run.await_emails(EMAILS_BETWEEN)
        run.kill(victim)
        run.wipe_state(victim)
        run.refused(victim, f"a transaction hangs on the changelog {changelog}[{partition}]")
        foreign.abort_transaction(PATIENCE_S)
        run.restart(victim)
        run.await_emails(2 * EMAILS_BETWEEN)
    assert "kafka-transactions.sh" in victim.log_file.read_text(errors="replace")


def offsets_expired(run: ScenarioRun) -> None:
    """Stop everything until the broker has deleted the offsets of both groups: all continue where their state ends."""
    stack, roles = run.stack, (WORKER, MAILER)
    with run.shop_open():
        run.await_emails(3 * EMAILS_BETWEEN)
    for role in roles:
        run.stop_all(role)
    for group in map(stack.group_of, roles):
        run.wait_until(
            lambda group=group: not _offsets(run, group), f"the offsets of {group} expire", timeout_s=EXPIRY_TIMEOUT_S
        )
    for process in (stack.workers[0], stack.mailers[0]):
        run.wipe_state(process)  # the offsets are in the changelog, too
    with run.shop_open():
        run.note_fault(*stack.processes)
        for process in stack.processes:
            process.start()
        for process in stack.processes:
            process.await_ready()
        run.await_emails(3 * EMAILS_BETWEEN)
    for processes in (stack.workers, stack.mailers):
        # The first one may have all partitions, and new offsets, before the second one joins.
        logs = [process.log_file.read_text(errors="replace") for process in processes]
        assert any("continuing at the offset of the state" in log for log in logs)


def retention_overtook(run: ScenarioRun) -> None:
    """Let the retention of orders pass those that no worker has read: they are counted and logged, and all others are processed."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(EMAILS_BETWEEN)
        run.stop_all(WORKER)
        read = _offsets(run, stack.group_of(WORKER))
        orders = read_all(stack.settings.kafka(), [topics.ORDERS])[topics.ORDERS]
        first_read = [record for record in orders if record.offset() < read[record.partition()]]
        before = _configure(run, {"retention.ms": "1000", "segment.ms": "1000"})
        run.wait_until(
            lambda: all(low > read[n] for n, low in _offsets_at(run, OffsetSpec.earliest()).items()),
            "orders that nobody has read are deleted",
            timeout_s=EXPIRY_TIMEOUT_S,
        )
        _configure(run, before)
        run.note_fault(*stack.workers)
        for process in stack.workers:
            process.start()
        for process in stack.workers:
            process.await_ready()
        run.await_emails(3 * EMAILS_BETWEEN)
        name = f'takk_records_lost_total{{stage="flows",topic="{topics.ORDERS}"}}'
        counted = sum(process.series().get(name, 0) for process in stack.workers)
    stack.complete = lambda records: records[topics.ORDERS].extend(first_read)
    lost = sum(low - read[number] for number, low in _offsets_at(run, OffsetSpec.earliest()).items())
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
    read = _offsets(run, stack.group_of(WORKER))
    before = read_all(stack.settings.kafka(), [topics.ORDERS, topics.CHECKPOINTS])
    delete_topic(stack.admin, topics.ORDERS)
    topics.create_topics(stack.settings)
    with run.shop_open():
        run.note_fault(*stack.workers)
        for process in stack.workers:
            run.refused(process, "deleted and recreated")
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
            run.restart(process, "--accept-changelog")
        run.await_emails(2 * EMAILS_BETWEEN)


def _changelog(run: ScenarioRun) -> str:
    return f"{run.stack.group_of(WORKER)}-customers-changelog"


def _offsets(run: ScenarioRun, group: str) -> dict[int, int]:
    """Return the offset of each partition of the first input that a group reads next; empty if it has none."""
    topic = topics.ORDERS if group == run.stack.group_of(WORKER) else topics.COMMANDS
    answer = run.stack.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
    return {tp.partition: tp.offset for tp in answer.topic_partitions if tp.topic == topic and tp.offset >= 0}


def _offsets_at(run: ScenarioRun, which: OffsetSpec) -> dict[int, int]:
    """Return an offset of each partition of the orders."""
    wanted = {TopicPartition(topics.ORDERS, n): which for n in range(run.stack.settings.partitions)}
    return {tp.partition: future.result().offset for tp, future in run.stack.admin.list_offsets(wanted).items()}


def _configure(run: ScenarioRun, values: Mapping[str, str]) -> dict[str, str]:
    """Set values in the configuration of the orders, and return the former ones."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topics.ORDERS)
    (answer,) = run.stack.admin.describe_configs([resource]).values()
    before = {name: answer.result()[name].value for name in values}
    for name, value in values.items():
        resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
    (changed,) = run.stack.admin.incremental_alter_configs([resource]).values()
    changed.result()
    return before
