"""A worker's app. Faust provides agents, tables, assignment and lifecycle; Takk reads, processes and commits the records."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list
from yarl import URL

from streams.runtime.clock import Clock
from streams.runtime.errors import GroupLeft, StateError
from streams.runtime.faust_adapter import tables, transport
from streams.runtime.faust_adapter.assignment import Assignor
from streams.runtime.faust_adapter.group_members import GroupMembers
from streams.runtime.faust_adapter.liveness import STEP_LIMIT_S, Liveness
from streams.runtime.faust_adapter.membership import Membership
from streams.runtime.faust_adapter.name_owner import NameOwner
from streams.runtime.faust_adapter.store import Store
from streams.runtime.kafka.fatal_errors import hint_of, name_of
from streams.runtime.kafka.limits import MAX_RECORD_BYTES
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import S, Stage
from streams.runtime.processing.task_manager import TaskManager
from streams.runtime.state.store import Memory

log = structlog.get_logger(__name__)

#: Exit code after a failed commit or a step of the clock, and when the worker has left its group (sysexits.h EX_TEMPFAIL: try again).
EXIT_FATAL = 75
#: Batches that may wait in an agent's channel: enough that agents never wait for the reader, few enough to bound memory.
MAX_QUEUED_BATCHES = 8
#: Seconds from one heartbeat of the membership to the next, and seconds that a request of Faust may take, with an ordinary session.
HEARTBEAT_S, REQUEST_TIMEOUT_S = 3.0, 90.0
#: The port of a broker whose address has none.
DEFAULT_PORT = 9092
#: Longer than any process runs: a hundred years.
NEVER_S = 3_155_760_000.0


#: Texts of the errors of a full disk. RocksDB's errors have no type of their own.
NO_SPACE = ("No space left on device", "File too large")


def hint_after(error: Exception) -> str:
    """Return what has happened and what to do after a failed commit. The log leaves out texts of libraries' errors, so the hint names a full
    disk, and what the broker has done to the producer."""
    if any(text in str(error) for text in NO_SPACE):
        return "No space left on device: free space on the disk of TAKK_STATE_DIR. Nothing is lost: the supervisor restarts the worker."
    if (hint := hint_of(error)) is not None:
        return hint
    return "nothing is lost: the supervisor restarts the worker. If this repeats, check the broker or the disk named in the error."


def end_process(stage: str, partition: int, error: Exception) -> None:
    """Exit at once after a failed commit: nothing may continue from state that Kafka has not accepted. A restart resumes after the last
    commit."""
    log.critical(
        "commit failed, exiting",
        stage=stage,
        partition=partition,
        error=error,
        code=name_of(error),
        detail="; ".join(getattr(error, "__notes__", ())),
        hint=hint_after(error),
    )
    os._exit(EXIT_FATAL)


def end_process_after_step(step_s: float) -> None:
    """Exit at once after a step of the wall clock: timers would fire at the wrong time, and emails would expire."""
    log.critical(
        "the clock of this machine stepped, exiting",
        seconds=round(step_s, 1),
        hint="nothing is lost: correct the clock, and check what sets it (NTP, chrony, the hypervisor). The supervisor restarts the process, "
        "which compares its clock with the broker's before it works.",
    )
    os._exit(EXIT_FATAL)


def state_error_in(error: Exception) -> StateError | None:
    """Return `error` if it is a StateError, or the first one in a group of errors."""
    if isinstance(error, ExceptionGroup):
        return next((found for part in error.exceptions if (found := state_error_in(part)) is not None), None)
    return error if isinstance(error, StateError) else None


def end_on_state_error(stage: str, error: StateError) -> None:
    """Exit at once after stored state could not be read: a clean stop would wait for the batch that has just failed."""
    log.critical(
        "state cannot be read, exiting",
        stage=stage,
        error=error,
        hint="nothing is lost: the supervisor restarts the worker, which restores damaged state from Kafka. If this repeats, check the disk.",
    )
    os._exit(EXIT_FATAL)


class RestartableWorker(faust.Worker):  # type: ignore[misc]  # Faust has no usable types
    """Faust's worker, which ends at once after a crash."""

    def _crash(self, reason: BaseException) -> None:
        """Log the error and exit. A clean stop would wait for a batch that nobody ends, while other workers wait for its partitions.

        The exit code is `EXIT_FATAL` if a restart repairs the error, otherwise 1.
        """
        log.critical("crashed, exiting", error=reason, exc_info=reason)
        os._exit(EXIT_FATAL if isinstance(reason, (GroupLeft, StateError)) else 1)


class App:
    """One worker process: a Faust app and the tasks under it.

    Args:
        app_id: the consumer group, and the prefix of changelog topics and transactional ids.
        kafka: librdkafka settings of the cluster (at least `bootstrap.servers`).
        brokers: the same cluster as a Faust URL, such as `kafka://host:9092`.
        partitions: the number of partitions of every topic.
        state_dir: the directory of the RocksDB stores.
        instance_id: the name under which a restarted worker rejoins the group (KIP-345), or None.
        memory_mb: the memory of all stores together, in MiB.
        batch_records, batch_bytes: the limits of one batch.
        credentials: Faust's credentials, if the cluster requires them.
        session_timeout_s: seconds without a heartbeat before the worker loses its partitions.
        rebalance_timeout_s: seconds that a rebalance waits for this worker to give back its partitions.
        standby_replicas: the number of other workers that keep a warm replica of each partition (fewer in a smaller group).
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
        rebalance_timeout_s: float = 60.0,
        standby_replicas: int = 1,
    ) -> None:
        self.state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self.task_manager = TaskManager(
            app_id,
            kafka,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            partitions=partitions,
            clock=Clock(end_process_after_step),
        )
        Store.memory = Memory(memory_mb)
        owner = NameOwner(state_dir, instance_id)
        manager = type("TableManager", (tables.TableManager,), {"task_manager": self.task_manager})
        self.faust = faust.App(
            app_id,
            broker=brokers,
            broker_credentials=credentials,
            broker_session_timeout=session_timeout_s,
            # Faust refuses a shorter one than the session.
            broker_request_timeout=max(REQUEST_TIMEOUT_S, session_timeout_s),
            broker_rebalance_timeout=rebalance_timeout_s,
            broker_heartbeat_interval=min(HEARTBEAT_S, session_timeout_s / 3),
            # aiokafka reads no records here (see transport.py). After this time it would consider its consumer hung, and leave the group
            # silently and permanently.
            broker_max_poll_interval=NEVER_S,
            broker_commit_interval=86_400.0,  # Faust commits nothing; this keeps its commit task idle
            store=URL("takk-rocksdb://"),
            datadir=str(state_dir),
            topic_partitions=partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_buffer_maxsize=MAX_QUEUED_BATCHES,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            table_standby_replicas=standby_replicas,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=instance_id,
            TableManager=manager,
            PartitionAssignor=Assignor,
            agent_supervisor="mode.supervisors.CrashingSupervisor",
            web_enabled=False,  # the `/` of Faust's own web server answers OK whatever happens; see observability/health.py
            web_tables_enabled=False,
            key_serializer="raw",
            value_serializer="raw",
        )
        self.faust.flow_control = transport.FlowControl()
        self.group_members = GroupMembers(
            app_id,
            server_list(self.faust.conf.broker, DEFAULT_PORT),
            credentials_to_aiokafka_auth(self.faust.conf.broker_credentials),
            kafka.get("client.id", app_id),
        )
        self.membership = Membership(self.group_members.fetch, app_id, owner, session_timeout_s)
        self.liveness = Liveness()
        parts = {
            "task_manager": self.task_manager,
            "membership": self.membership,
            "group_members": self.group_members,
            "liveness": self.liveness,
        }
        consumer = type("Consumer", (transport.Consumer,), parts)
        transport_class = type("Transport", (transport.Transport,), {"Consumer": consumer})
        self.faust.transport = transport_class(list(self.faust.conf.broker), self.faust, loop=None)
        self.partitions = partitions

    def stalled(self) -> Iterator[tuple[str, float]]:
        """Yield the threads that stand still although they have work, and the seconds for which they do."""
        yield from self.liveness.stalled()
        silence_s = self.task_manager.standbys.silence_s
        if silence_s > STEP_LIMIT_S:
            yield "standby", silence_s

    def stage(self, stage: Stage[S]) -> Callable[[Callable[[AsyncIterator[Batch[S]]], Awaitable[None]]], Any]:
        """Return a decorator that makes an async function over batches a Faust agent on the stage's topics, with the stage's table."""
        self.task_manager.add(stage)
        if stage.on_fatal is Stage.on_fatal:
            stage.on_fatal = end_process
        topic = self.faust.topic(*stage.topics, key_serializer="raw", value_serializer="raw", value_type=None)
        if stage.table:
            table = self.faust.Table(stage.table, key_type=bytes, value_type=bytes, partitions=self.partitions)
            stage.changelog = table.changelog_topic.get_topic_name()
            stage.limits.setdefault(stage.changelog, MAX_RECORD_BYTES)
            self.task_manager.stores[stage.name] = table.data

        def decorate(function: Callable[[AsyncIterator[Batch[S]]], Awaitable[None]]) -> Any:
            async def agent(stream: Any) -> None:
                try:
                    await function(self.task_manager.batches(stream))
                except Exception as error:
                    if self.task_manager.isolation is not None:
                        tasks = [task for task in self.task_manager if task.stage is stage]
                        self.task_manager.isolation.agent_failed(stage.name, stage.is_too_new, error, tasks)
                    if (state_error := state_error_in(error)) is not None:
                        end_on_state_error(stage.name, state_error)
                    raise

            return self.faust.agent(topic, name=stage.name)(agent)

        return decorate
