"""A worker or a mailer as a process: its health server, its start and its samples."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import structlog

from streams.agents.faust_worker import Stoppable, Worker
from streams.agents.instrumentation import Instrumentation
from streams.agents.new_app import Accepted
from streams.agents.startup import Startup, kafka_steps
from streams.observability import metrics
from streams.observability.disk import sample_disk
from streams.observability.health import HealthServer, Status
from streams.observability.lag import LagMonitor
from streams.observability.probes import Probes
from streams.observability.restore_progress import RestoreProgress
from streams.runtime.app import App
from streams.runtime.collector import tune_collector
from streams.runtime.kafka.availability import count_brokers
from streams.runtime.processing.task import Task
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.agents.global_tables.global_table import GlobalTable
    from streams.agents.reload import Reloader
    from streams.agents.renderers import Renderers  # it imports what renders emails, which a worker does not need

log = structlog.get_logger(__name__)

#: Seconds between two samples of lag and ownership.
SAMPLE_INTERVAL_S = 1.0


def run_process(
    app: App,
    settings: Settings,
    instrumentation: Instrumentation,
    accepted: Collection[Accepted],
    *,
    check: Callable[[], None] = lambda: None,
    gauges: Sequence[Callable[[Iterable[Task[Any]]], None]] = (),
    global_tables: Sequence[GlobalTable[Any]] = (),
    renderers: Renderers | None = None,
    reloader: Reloader | None = None,
) -> None:
    """Run a process until SIGTERM. It does not return.

    Args:
        app: its stages.
        settings: the settings.
        instrumentation: of the stages.
        accepted: what an operator has accepted for this start.
        check: is called in a thread once the process runs.
        gauges: measure the tasks of the process once per sample.
        global_tables: are stopped at the end.
        renderers: are ready before the process joins its group, and are stopped at the end.
        reloader: follows the published templates.

    Raises:
        SystemExit: the process cannot start; the message says why.
    """
    metrics.BUILD_INFO.labels(version("takk")).set(1)
    for name in app.task_manager.stages:
        metrics.STAGE_PARTITIONS.labels(name).set(settings.partitions)
    startup = Startup(settings.kafka_bootstrap_servers, partial(count_brokers, settings.kafka()))
    restores, monitor = RestoreProgress(), LagMonitor(app.task_manager, gauges)
    app.task_manager.on_restore = restores.step
    app.task_manager.on_restored = restores.end
    app.task_manager.on_quarantine = lambda stage: metrics.STATE_QUARANTINED.labels(stage).inc()
    app.task_manager.takeover.on_lost = lambda stage, topic, offsets: metrics.RECORDS_LOST.labels(stage, topic).inc(
        offsets
    )
    app.task_manager.standbys.on_error = lambda error: metrics.STANDBY_ERRORS.inc()
    app.task_manager.standbys.on_lag = metrics.STANDBY_LAG.set
    app.task_manager.on_assigned = metrics.REBALANCES.inc

    probes = Probes(
        app.task_manager,
        app.membership,
        is_cluster_down=lambda: app.task_manager.fetcher.is_cluster_down,
        stalled=app.stalled,
        progress=lambda: restores.text,
        startup=lambda: startup.state,
    )

    def is_ready() -> Status:
        ready, text = probes.is_ready()
        return ready, text if reloader is None else f"{text}\n{reloader.state}"

    def refresh() -> None:
        metrics.READY.set(probes.is_ready()[0])
        metrics.KAFKA_UNREACHABLE.set(startup.is_kafka_away or app.task_manager.fetcher.is_cluster_down)
        sample_disk(Path(settings.state_dir))

    health = HealthServer(settings.web_host, settings.web_port, is_ready, is_alive=probes.is_alive, refresh=refresh)

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def monitor_lag() -> None:
        log.info(
            "worker started", app=app.task_manager.app_id, health=health.url, host=socket.gethostname(), pid=os.getpid()
        )
        while True:
            probes.look()
            await monitor.sample()
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def run_check() -> None:
        # It takes seconds of CPU time, by which a worker would return later to its partitions.
        await beside(check)

    @app.faust.task  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def reload_templates() -> None:
        if reloader is not None:
            await reloader.run()

    async def prepare() -> None:
        if renderers is not None:
            await renderers.start()
        await startup.take(kafka_steps(app, settings, instrumentation, "take-over" in accepted))
        if renderers is not None:
            await renderers.until_ready()
        tune_collector()

    helpers: Sequence[Stoppable] = global_tables if renderers is None else (*global_tables, renderers)
    Worker(app.faust, health, prepare, helpers).execute_from_commandline()


async def beside(work: Callable[[], None]) -> None:
    """Run `work` in a thread of its own, for which the process does not wait when it ends.

    Threads of `asyncio.to_thread` are joined at the end: on a busy machine a worker then did not stop within its grace period.

    Raises:
        Exception: that of `work`.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # so that it cannot be cancelled

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - not swallowed: the caller raises it
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=run, name="beside", daemon=True).start()
    await asyncio.wrap_future(done)
