"""The steps of a takeover: compare the topics, fence earlier owners, restore the state, and find the offsets to read from.

The order matters (KIP-98): first `init_transactions` fences the previous owner, then the store is restored from the changelog, and only then
the committed source offsets are read. In any other order a paused previous owner could commit in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.runtime.errors import GroupLeft, StateError, StoreError
from streams.runtime.kafka.client_config import SEVERE, consumer_config, producer_config
from streams.runtime.kafka.cluster import Cluster, Partition, TopicIds
from streams.runtime.kafka.retry import retry
from streams.runtime.kafka.topic_admin import TopicMismatch, partitions_problem
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.processing.transaction import Transaction
from streams.runtime.state.offsets import Source, refuse_unknown
from streams.runtime.state.restore import restore
from streams.runtime.state.store import PartitionStore

log = structlog.get_logger(__name__)

#: Seconds that the broker may take to initialize a transactional id.
FENCING_TIMEOUT_S = 60.0
#: Seconds that one request for committed offsets may take.
OFFSETS_TIMEOUT_S = 30.0
#: Seconds after which an idle task gets a new producer, unless its transactional id expires sooner (seven days is the default of
#: `transactional.id.expiration.ms`). Brokers forget the producers of a partition after a day (`producer.id.expiration.ms`).
IDLE_LIMIT_S = 6 * 3600.0


class Takeover:
    """The steps of the takeovers of one worker.

    Args:
        app_id: the consumer group, and the prefix of every transactional id.
        kafka: librdkafka settings of the cluster.
        cluster: requests to the same cluster.
        partitions: the number of partitions of every topic; 0 accepts any number that all topics of a stage share.

    Attributes:
        is_changelog_accepted: whether a store that does not fit its changelog is discarded. An operator has said so for this start.
        are_offsets_accepted: whether the group's committed offsets hold, whatever the state contains. An operator has set them.
        on_lost: called with stage, topic and number of offsets when Kafka deleted records before they were read.
        ids: the ids of the cluster, its changelogs and its inputs, as of the last `check_topics`.
        idle_limit_s: seconds after which an idle task needs `renew`; 0 before the first `check_topics`.
    """

    def __init__(self, app_id: str, kafka: Mapping[str, Any], cluster: Cluster, partitions: int) -> None:
        self.is_changelog_accepted = self.are_offsets_accepted = False
        self.on_lost: Callable[[str, str, int], None] = lambda stage, topic, offsets: None
        self.ids = TopicIds()
        self.idle_limit_s = 0.0
        self._app_id = app_id
        self._kafka = kafka
        self.cluster = cluster
        self._partitions = partitions
        self._offsets: Any = None

    def check_topics(self, stages: Iterable[Stage[Any]]) -> None:
        """Compare the partitions of all inputs and changelogs, and learn their ids.

        Raises:
            TopicMismatch: partitions were added to a topic. Those that only one topic of a stage has would be read by nobody.
        """
        stages = list(stages)
        counts = self.cluster.partition_counts()
        problems = []
        for stage in stages:
            topics = [topic for topic in (*stage.topics, stage.changelog) if topic in counts]
            expected = self._partitions or min((counts[topic] for topic in topics), default=0)
            problems += [
                partitions_problem(topic, counts[topic], expected) for topic in topics if counts[topic] != expected
            ]
        if problems:
            raise TopicMismatch(problems)
        inputs = {topic for stage in stages for topic in stage.topics if topic in counts}
        self.ids = self.cluster.ids([*sorted(inputs), *(stage.changelog for stage in stages if stage.changelog)])
        if not self.idle_limit_s:
            expiration_s = self.cluster.transactional_id_expiration_s()
            self.idle_limit_s = min(IDLE_LIMIT_S, expiration_s / 3) if expiration_s else IDLE_LIMIT_S

    def fence(self, name: str, partition: int) -> Producer:
        """Return a producer of this task whose transactions exclude every earlier owner."""
        producer = Producer(producer_config(self._kafka, f"{self._app_id}-{name}-{partition}"))
        producer.init_transactions(FENCING_TIMEOUT_S)
        return producer

    def restore(
        self, stage: Stage[Any], stores: Mapping[int, PartitionStore], on_progress: Callable[[int, int], None]
    ) -> int:
        """Restore the stores of `stage`, by partition, and return the number of records. Raises the errors of `restore.restore`."""
        return restore(
            self._kafka,
            stage.changelog,
            stores,
            on_progress,
            cluster=self.cluster,
            identity=self.ids.of(stage.changelog),
            is_accepted=self.is_changelog_accepted,
        )

    def renew(self, task: Task[Any]) -> None:
        """Give an idle task a new producer, whose transactional id has not expired.

        The new producer would also fence another owner. So the task must still be as its last commit left it.

        Raises:
            GroupLeft: another worker has owned the partition meanwhile.
            KafkaException: the cluster did not answer.
        """
        name, partition, topics = task.stage.name, task.partition, task.stage.topics
        task.producer = self.fence(name, partition)
        records = 0
        if task.store is not None:
            records = self.restore(task.stage, {partition: task.store}, lambda done, total: None)
        committed = self.committed([TopicPartition(topic, partition) for topic in topics])
        moved = [tp.topic for tp in committed if tp.offset >= 0 and tp.offset > task.offsets.get(tp.topic, tp.offset)]
        if records or moved:
            raise GroupLeft(
                f"another worker has owned partition {partition} of {name} since this one last used it. Nothing is lost: the supervisor "
                "restarts the worker."
            )
        task.touch()

    def starts(self, sources: Mapping[Partition, Task[Any]]) -> list[TopicPartition]:
        """Return the offsets from which to read `sources`: the committed ones, or those that the state contains.

        Records that were deleted before they were read are counted, once for all owners of their partitions.

        Args:
            sources: topic and partition -> the task that reads it. The stores are restored.

        Raises:
            StoreError: an input was truncated, the offsets have expired, or a changelog was deleted.
            KafkaException: the cluster did not answer.
        """
        if not sources:
            return []
        committed = {
            (tp.topic, tp.partition): tp.offset
            for tp in self.committed([TopicPartition(*source) for source in sources])
            if tp.offset >= 0
        }
        bounds = self.cluster.bounds(sources)
        for task in set(sources.values()):
            task.forget_lost()
            try:
                task.learn_offsets(self.ids.cluster)
                self._check_state(task, committed)
            except StateError:
                if not task.is_closed:  # the worker is stopped, and has closed the store
                    raise
        starts: list[TopicPartition] = []
        losses: dict[Task[Any], dict[str, tuple[int, int]]] = {}
        for (topic, partition), task in sources.items():
            low, high = bounds[topic, partition]
            known, current = task.topic_ids.get(topic), self.ids.topics.get(topic)
            is_recreated = bool(known and current and known != current)
            offsets = committed.get((topic, partition)), task.offsets.get(topic)
            start, lost = self._start(task, Source(topic, partition, *offsets, low, high, is_recreated))
            if current:
                task.topic_ids[topic] = current
            if lost:
                losses.setdefault(task, {})[topic] = start, lost
            elif self.are_offsets_accepted and offsets[1] not in (None, start):
                task.skip_to(topic, start)
            starts.append(TopicPartition(topic, partition, start))
        for task, lost_of_topic in losses.items():
            if not task.is_closed:  # the worker is stopped: the next owner finds the same loss
                self._commit_losses(task, lost_of_topic)
        return starts

    def _commit_losses(self, task: Task[Any], losses: Mapping[str, tuple[int, int]]) -> None:
        """Commit the offsets behind lost records, and count these. From then on no owner of the partition finds the same loss.

        Nothing is written to the changelog: the mailer still has to read its uncommitted end (see `state/uncommitted.py`).

        Args:
            task: the task. It has no batch.
            losses: topic -> the offset from which it is read, and the number of lost offsets.

        Raises:
            KafkaException: the offsets cannot be committed; nothing was counted.
        """
        sources = [TopicPartition(topic, task.partition, start) for topic, (start, _) in losses.items()]
        Transaction(task).commit(sources, self.group_metadata(), f"{task.stage.name}.loss_")
        task.touch()
        for topic, (start, lost) in losses.items():
            self.on_lost(task.stage.name, topic, lost)
            task.skip_to(topic, start)

    def _start(self, task: Task[Any], source: Source) -> tuple[int, int]:
        """Return what `Source.start` returns. Log what differs from the group's offset."""
        start, lost = source.start(is_committed_trusted=self.are_offsets_accepted)
        name, topic, partition = task.stage.name, source.topic, source.partition
        if source.state is not None and start == source.state != source.committed:
            log.warning(
                "continuing at the offset of the state",
                stage=name,
                topic=topic,
                partition=partition,
                offset=start,
                found=source.committed,
            )
        if lost:
            log.error(
                "records were deleted before they were read",
                stage=name,
                topic=topic,
                partition=partition,
                first=start - lost,
                last=start - 1,
            )
        return start, lost

    def start_again(self, task: Task[Any], topic: str, partition: int, position: int) -> int:
        """Return the offset at which a reader continues that has found nothing at `position`.

        Lost records are counted with the next commit of the topic: a batch may be in flight, and a loss that is not committed is found and
        counted by the partition's next owner.

        Raises:
            StoreError: the topic ends before it.
        """
        low, high = self.cluster.bounds([(topic, partition)])[topic, partition]
        start, lost = self._start(task, Source(topic, partition, position, None, low, high))
        if lost:
            task.note_lost(topic, start, partial(self.on_lost, task.stage.name, topic, lost))
        return start

    def committed(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        """Return the committed offsets of `sources`; negative if the group has no offset.

        Raises:
            KafkaException: the cluster did not answer.
        """
        return retry(partial(self._request_committed, sources))

    def _request_committed(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        committed: list[TopicPartition] = self._consumer.committed(sources, timeout=OFFSETS_TIMEOUT_S)
        for tp in committed:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return committed

    @property
    def _consumer(self) -> Any:
        if self._offsets is None:
            self._offsets = Consumer(consumer_config(self._kafka, self._app_id, {"log_level": SEVERE}))
        return self._offsets

    def group_metadata(self) -> Any:
        """Return the metadata of the consumer group, for `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def _check_state(self, task: Task[Any], committed: Mapping[tuple[str, int], int]) -> None:
        """Raise StoreError if a table is empty although its batches were committed, or the other way round."""
        if task.store is None:
            return
        read = [
            (topic, offset)
            for topic in task.stage.topics
            if (offset := committed.get((topic, task.partition))) is not None
        ]
        if read and not task.store.position:
            topic, offset = read[0]
            raise StoreError(
                f"the changelog {task.stage.changelog}[{task.partition}] is empty, but {topic}[{task.partition}] was processed up to "
                f"offset {offset}: the changelog was deleted. Restore the topic. To start over with empty state, use another TAKK_APP_ID."
            )
        if not read and not task.knows_offsets and not self.are_offsets_accepted and not task.store.is_empty:
            raise refuse_unknown(task.stage.name, task.partition, task.stage.topics)
