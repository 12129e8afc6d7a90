"""The gateway process: settings to a running server, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog
import uvloop
from aiohttp import web

from streams.agents.clock_check import check_clock
from streams.agents.installation import check_installation
from streams.agents.instrumentation import Instrumentation
from streams.agents.startup import Startup, create_topics, register_schemas
from streams.agents.state_folder import open_state_folder
from streams.agents.zeros import zero_gateway
from streams.endpoints import networks_of
from streams.gateway.api.keys import KeyFileInvalid, read_keys
from streams.gateway.api.kinds import ENDPOINTS
from streams.gateway.connections import GatewayRunner
from streams.gateway.context import Gateway
from streams.gateway.customer_pages import CustomerPageTable
from streams.gateway.encoding import RecordEncoder
from streams.gateway.page_templates import PageTemplates
from streams.gateway.pages.base.uploads import NoBucketClient, open_store
from streams.gateway.producers import open_producer
from streams.gateway.products import ProductTable
from streams.gateway.publishing import SpoolingPublisher
from streams.gateway.server import make_app, route_names
from streams.gateway.spool import Spool
from streams.mail.tokens import LinkKeys
from streams.observability import metrics
from streams.observability.disk import sample_disk
from streams.observability.health import HealthServer, Status
from streams.runtime.collector import tune_collector
from streams.runtime.errors import NameInUse
from streams.runtime.kafka.availability import count_brokers
from streams.runtime.state.store import Memory
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import codec_of

log = structlog.get_logger(__name__)

#: The name of a gateway without TAKK_GROUP_INSTANCE_ID.
DEFAULT_NAME = "gateway"
#: Seconds that requests may still take when the process stops. A request waits for the broker, and then for the spool.
STOP_TIMEOUT_S = 10.0
#: Seconds that a connection may be idle, or take to send the headers of a request.
KEEPALIVE_S = 75.0
#: Seconds between two attempts to get the spool that another process has.
LOCK_PAUSE_S = 1.0
#: Seconds between two looks whether the gateway may listen.
LISTEN_PAUSE_S = 0.05


def run_gateway(settings: Settings, is_taken_over: bool = False) -> None:
    """Run a gateway until SIGTERM.

    Args:
        settings: the settings.
        is_taken_over: whether this installation replaces another one.

    Raises:
        SystemExit: a setting or a topic is invalid, or a port is in use; the message says which.
    """
    if settings.mail_secret is None:
        sys.exit("cannot start: set TAKK_MAIL_SECRET (or TAKK_MAIL_SECRET_FILE); it opens the links in emails")
    if settings.gateway_api_keys_file is not None:
        try:
            read_keys(settings.gateway_api_keys_file)
        except KeyFileInvalid as error:
            sys.exit(f"cannot start: {error}")
    folder = open_state_folder(settings, "gateway")
    try:
        open_store(settings)
    except (NoBucketClient, ValueError) as error:
        sys.exit(f"cannot start: {error}")
    instrumentation = Instrumentation(codec_of(settings, registers_later=True))
    templates = PageTemplates(settings, instrumentation)
    metrics.BUILD_INFO.labels(version("takk")).set(1)
    zero_gateway(route_names(), ENDPOINTS)
    process = _Process(
        settings, folder / (settings.group_instance_id or DEFAULT_NAME), is_taken_over, instrumentation, templates
    )
    if problem := uvloop.run(process.run()):
        sys.exit(problem)


class _Process:
    """One run of a gateway.

    Args:
        settings: the settings.
        folder: its state.
        is_taken_over: whether this installation replaces another one.
        instrumentation: encodes and decodes the records.
        templates: the templates of the pages.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        is_taken_over: bool,
        instrumentation: Instrumentation,
        templates: PageTemplates,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._is_taken_over = is_taken_over
        self._codec = instrumentation.codec
        self._instrumentation = instrumentation
        self._templates = templates
        self._startup = Startup(settings.kafka_bootstrap_servers, partial(count_brokers, settings.kafka()))
        self._stop = asyncio.Event()
        self._problem: str | int | None = None
        self._spool: Spool | None = None
        self._publisher: SpoolingPublisher | None = None
        self._pages: CustomerPageTable | None = None
        self._is_listening = False

    async def run(self) -> str | int | None:
        """Serve until a signal. Return why the process could not start, or None."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = self._settings
        health = HealthServer(settings.web_host, settings.web_port, self._status, refresh=self._refresh)
        try:
            await health.start()
        except OSError as error:
            return f"cannot start: {error.strerror}"
        try:
            await self._serve(health)
        finally:
            await health.stop()
        return self._problem

    async def _serve(self, health: HealthServer) -> None:
        settings = self._settings
        try:
            spool = self._spool = await self._open_spool()
        except OSError as error:
            self._problem = f"cannot start: cannot use the spool in {self._folder}: {error.strerror}"
            return
        if spool is None:
            return
        instrumentation = self._instrumentation
        memory = Memory(settings.memory_mb)
        folder = self._folder / topics.CUSTOMER_PAGES
        pages = self._pages = CustomerPageTable(
            folder, settings.partitions, instrumentation.decoder, memory, instrumentation.load_schemas
        )
        products = ProductTable(settings.kafka(), instrumentation.decoder, instrumentation.load_schemas)
        publisher = self._publisher = SpoolingPublisher(partial(open_producer, settings.kafka()), spool)
        publisher.start()
        gateway = Gateway(
            settings,
            LinkKeys(settings.shop_id, *settings.link_secrets()),
            publisher,
            RecordEncoder(self._codec),
            pages,
            products,
            lambda: datetime.now(UTC),
        )
        app = make_app(gateway, trusted=networks_of(settings.gateway_trusted_proxies))
        runner = GatewayRunner(
            app,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=STOP_TIMEOUT_S,
        )
        await runner.setup()
        starting = asyncio.create_task(self._start(publisher, pages, products), name="takk-gateway-start")
        try:
            await self._ready_to_listen(publisher)
            await web.TCPSite(runner, settings.gateway_host, settings.gateway_port).start()
            self._is_listening = True
            tune_collector()
            host, port = runner.addresses[0][:2]
            log.info(
                "gateway started",
                at=f"http://{host}:{port}",
                health=health.url,
                host=socket.gethostname(),
                pid=os.getpid(),
            )
            await self._stop.wait()
        except OSError as error:
            place = f"{settings.gateway_host}:{settings.gateway_port}"
            self._problem = f"cannot start: cannot listen on {place} ({error.strerror}): set TAKK_GATEWAY_PORT"
        finally:
            self._stop.set()
            log.info("gateway stopping", records=spool.records)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await runner.cleanup()
            await publisher.stop()
            self._pages = None
            await products.stop()
            await self._templates.stop()
            await asyncio.to_thread(pages.stop)
            spool.close()
            log.info("gateway stopped", records=spool.records)

    async def _open_spool(self) -> Spool | None:
        """Return the spool once no other process has it; None if the process is stopped before."""
        is_logged = False
        while not self._stop.is_set():
            try:
                return await asyncio.to_thread(Spool, self._folder / "spool", self._settings.gateway_spool_mb << 20)
            except NameInUse as error:
                if not is_logged:
                    log.warning(
                        "waiting for the spool", error=error, hint="give each gateway its own TAKK_GROUP_INSTANCE_ID"
                    )
                    is_logged = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOCK_PAUSE_S)
        return None

    async def _ready_to_listen(self, publisher: SpoolingPublisher) -> None:
        """Wait until records go to Kafka, or Kafka is away.

        Otherwise a customer's next request, which another gateway answers, could be on Kafka before the one in this spool.
        """
        while not self._stop.is_set():
            if not publisher.is_spooling or publisher.is_away or self._startup.is_kafka_away:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LISTEN_PAUSE_S)

    async def _start(self, publisher: SpoolingPublisher, pages: CustomerPageTable, products: ProductTable) -> None:
        """Take the steps that need Kafka. Until then the spool takes the records."""
        try:
            await self._startup.take(self._steps())
        except SystemExit as stop:
            self._problem = stop.code
            self._stop.set()
            return
        publisher.connect()
        pages.start(self._settings.kafka(), f"{self._settings.app_id}-customer-pages")
        products.start()
        self._templates.start()

    def _steps(self) -> Iterator[Callable[[], None]]:
        settings = self._settings
        yield partial(check_installation, settings, self._is_taken_over)
        yield partial(create_topics, settings)
        yield partial(register_schemas, self._codec, settings.registry_address)
        yield partial(check_clock, settings.kafka(), self._instrumentation.encoder)

    def _status(self) -> Status:
        is_ready, text = self._is_ready()
        return is_ready, f"{text}\n{self._templates.state}"

    def _is_ready(self) -> Status:
        publisher = self._publisher
        if self._stop.is_set():
            return False, "stopping"
        if publisher is None:
            return False, "waiting for the spool"
        if not self._codec.is_registered or (self._startup.state and not self._startup.is_kafka_away):
            return False, self._startup.state
        if not self._is_listening:
            return False, "publishing the spool"
        if not publisher.takes_records:
            return False, "neither Kafka nor the spool takes records"
        if publisher.is_spooling:
            return True, "ready; Kafka does not answer, records go to the spool"
        if self._pages is not None and not self._pages.is_ready:
            return False, "reading the customer pages"
        return True, "ready"

    def _refresh(self) -> None:
        metrics.READY.set(self._is_ready()[0])
        metrics.KAFKA_UNREACHABLE.set(
            self._startup.is_kafka_away or (self._publisher is not None and self._publisher.is_away)
        )
        sample_disk(Path(self._settings.state_dir))
        if self._pages is not None:
            metrics.GATEWAY_PAGES.set(self._pages.estimate())
        spool = self._spool
        if spool is not None and self._publisher is not None:
            metrics.GATEWAY_SPOOLING.set(self._publisher.is_spooling)
            metrics.GATEWAY_SPOOL_BYTES.set(spool.size_bytes)
            metrics.GATEWAY_SPOOL_RECORDS.set(spool.records)
            metrics.GATEWAY_SPOOL_OLDEST.set(spool.oldest_at or 0)
            metrics.GATEWAY_SPOOL_DAMAGED.set(spool.damaged)
            metrics.GATEWAY_SPOOL_LIMIT.set(self._settings.gateway_spool_mb << 20)
