"""A Faust app on Takk's runtime: Faust's app, agents, tables, assignment, worker and lifecycle; Takk's road of records."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import faust
import structlog
from yarl import URL

from streams.runtime.faust_adapter import tables, transport
from streams.runtime.faust_adapter.store import Store
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.processing.task_manager import TaskManager
from streams.runtime.state.store import Memory

log = structlog.get_logger(__name__)

#: Exit code after a failed commit (sysexits.h EX_TEMPFAIL: try again).
EXIT_FATAL = 75
#: Batches that may wait in an agent's channel: enough that the reader is never waited for, few enough to bound memory.
WAITING_BATCHES = 8


def end_process(task: Task, error: Exception) -> None:
    """End at once after a failed commit: nothing may run on from memory that Kafka has not accepted. A restart begins at the last commit."""
    log.critical(
        "commit failed, ending the process",
        stage=task.stage.name,
        partition=task.partition,
        error=repr(error),
        do="nothing is lost; the supervisor restarts the worker. If it repeats, look at the broker named in the error.",
    )
    os._exit(EXIT_FATAL)


#: Longer than a process lives: a hundred years.
FOR_EVER_S = 3_155_760_000.0


class App:
    """One worker process: a Faust app and the tasks under it.

    Args:
        app_id: the consumer group and the first part of table, changelog and transactional names.
        kafka: librdkafka settings of the cluster (`bootstrap.servers` at least).
        brokers: the same cluster as Faust wants it, e.g. `kafka://host:9092`.
        partitions: number of partitions of every topic.
        state_dir: where RocksDB lives.
        instance_id: the name that a restarted worker comes back with (KIP-345), or None.
        memory_mb: memory for all stores together.
        batch_records, batch_bytes: bounds of one batch.
        credentials: Faust's credentials, when the cluster wants them.
        session_timeout_s: seconds without a heartbeat after which the group gives the partitions away.
        standby_replicas: how many other workers keep a following copy of each partition, as far as there are others.
        web_port: the port of Faust's own web server; None leaves it off (its `/` says OK whatever happens).
    """

    def __init__(
        self,
        app_id: str,
        kafka: Mapping[str, Any],
        *,
        brokers: str,
        partitions: int,
        state_dir: Path,
        instance_id: str | None = None,
        memory_mb: int = 256,
        batch_records: int = 8000,
        batch_bytes: int = 16 << 20,
        credentials: Any = None,
        session_timeout_s: float = 45.0,
        standby_replicas: int = 1,
        web_port: int | None = None,
    ) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.task_manager = TaskManager(app_id, kafka, batch_records=batch_records, batch_bytes=batch_bytes)
        Store.memory = Memory(memory_mb)
        manager = type("TableManager", (tables.TableManager,), {"task_manager": self.task_manager})
        self.faust = faust.App(
            app_id,
            broker=brokers,
            broker_credentials=credentials,
            broker_session_timeout=session_timeout_s,
            broker_heartbeat_interval=3.0,
            # aiokafka reads nothing here (see transport.py) and takes that for a consumer that hangs: after this long it leaves the group,
            # says nothing, and comes back never.
            broker_max_poll_interval=FOR_EVER_S,
            broker_commit_interval=86_400.0,  # nothing is committed by Faust; this keeps its commit task asleep
            store=URL("takk-rocksdb://"),
            datadir=str(state_dir),
            topic_partitions=partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_buffer_maxsize=WAITING_BATCHES,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            table_standby_replicas=standby_replicas,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=instance_id,
            TableManager=manager,
            agent_supervisor="mode.supervisors.CrashingSupervisor",
            web_enabled=web_port is not None,
            web_port=web_port or 6066,
            web_tables_enabled=False,
            key_serializer="raw",
            value_serializer="raw",
        )
        consumer = type("Consumer", (transport.Consumer,), {"task_manager": self.task_manager})
        road = type("Transport", (transport.Transport,), {"Consumer": consumer})
        self.faust.transport = road(list(self.faust.conf.broker), self.faust, loop=None)
        self.partitions = partitions

    def stage(self, stage: Stage) -> Callable[[Callable[[AsyncIterator[Batch]], Awaitable[None]]], Any]:
        """Decorate an async function over units: it becomes a Faust agent on the stage's topics, with the stage's table."""
        self.task_manager.add(stage)
        if stage.on_fatal is Stage.on_fatal:
            stage.on_fatal = end_process
        topic = self.faust.topic(*stage.topics, key_serializer="raw", value_serializer="raw", value_type=None)
        if stage.table:
            table = self.faust.Table(stage.table, key_type=bytes, value_type=bytes, partitions=self.partitions)
            stage.changelog = table.changelog_topic.get_topic_name()
            self.task_manager.stores[stage.name] = table.data

        def decorate(function: Callable[[AsyncIterator[Batch]], Awaitable[None]]) -> Any:
            async def agent(stream: Any) -> None:
                await function(self.task_manager.batches(stream))

            return self.faust.agent(topic, name=stage.name)(agent)

        return decorate
