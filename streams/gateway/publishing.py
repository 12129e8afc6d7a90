"""Publishing with the broker's acknowledgement, or through the spool while Kafka is away.

Two states. *Direct*: a request waits for the acknowledgements of its records. If the oldest waits too long, or the producer fails, all requests
that wait go to the spool in their order, and the producer is given up with what it holds. *Spooling*: every request goes to the spool, behind
the older ones, and is answered after fsync, while the recovery publishes the segments from the oldest on with a new producer. When it
reaches the end it holds new requests back for a moment, publishes the last segment, and returns to direct.

A producer that was given up is never waited for. Its records may still arrive: doubles, in front of the same records in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaException

from streams.gateway.producers import (
    DELIVERY_TIMEOUT_S,
    PERMANENT,
    POLL_S,
    PendingRequest,
    RecordRefused,
    Replay,
    check_size,
    end_later,
)
from streams.gateway.spool import Segment, Spool
from streams.gateway.spool_writer import SpoolWriter
from streams.observability import metrics
from streams.runtime import failpoints
from streams.runtime.kafka.producer_record import ProducerRecord

log = structlog.get_logger(__name__)

#: Seconds that the oldest request waits for the broker before all go to the spool.
ACK_TIMEOUT_S = 3.0
#: Seconds between two attempts of a recovery.
PAUSE_S = 1.0
#: Seconds that a probe waits for the broker before a recovery begins.
PROBE_TIMEOUT_S = 2.0
#: A spool of at most this size is the last part of a recovery, while which new requests wait.
LAST_BYTES = 1 << 20


class SpoolingPublisher:
    """A publisher with a spool. Use it in one event loop, from `start` to `stop`.

    Args:
        open_producer: returns a new idempotent producer.
        spool: the spool.
        ack_timeout_s: seconds that a request waits for the broker before it goes to the spool.
        delivery_timeout_s: seconds after which an attempt of a recovery ends.
        pause_s: seconds between two attempts of a recovery.

    Attributes:
        is_spooling: whether new requests go to the spool.
        is_away: whether the last request to the broker had no answer.
    """

    def __init__(
        self,
        open_producer: Callable[[], Any],
        spool: Spool,
        *,
        ack_timeout_s: float = ACK_TIMEOUT_S,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._open = open_producer
        self._spool = spool
        self._ack_timeout_s = ack_timeout_s
        self._delivery_timeout_s = delivery_timeout_s
        self._pause_s = pause_s
        self.is_spooling = True
        self.is_away = False
        self._producer: Any = None
        #: Requests that wait for the broker, oldest first. Those that were answered leave when they are at the front.
        self._pending: deque[PendingRequest] = deque()
        self._is_polling = False
        self._writer = SpoolWriter(spool)
        self._writing: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Take records, into the spool at first. `connect` begins to publish."""
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.create_task(self._writer.run(), name="takk-spool-writer")

    def connect(self) -> None:
        """Publish what the spool has, and from then on directly. Call it once the topics exist."""
        self._recovery = asyncio.create_task(self._recover(), name="takk-spool-recovery")

    async def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Publish `records` in order, and return when they are acknowledged or in the spool.

        Raises:
            Unavailable: Kafka does not answer, and the spool is full or its disk fails.
            RecordRefused: a record is too large, or the broker refuses it for good.
        """
        check_size(records)
        if not records:
            return
        failpoints.reach("gateway.received")
        request = PendingRequest(records, self._loop.create_future(), self._loop.time())
        self._take(request)
        await request.future
        failpoints.reach("gateway.safe")

    def _take(self, request: PendingRequest) -> None:
        if self.is_spooling:
            self._writer.add(request)
        else:
            self._produce(request)

    @property
    def takes_records(self) -> bool:
        """Whether the records of the newest request were accepted, or would be."""
        return not (self.is_spooling and self._writer.is_full)

    async def stop(self) -> None:
        """Wait until all requests are answered. The spool keeps its records. Nothing may be published meanwhile."""
        self._is_stopping = True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        while self._pending or not self._writer.is_idle:  # noqa: ASYNC110 - also ends by polls of the producer
            await asyncio.sleep(POLL_S)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        self._give_up_producer()

    # -- direct --------------------------------------------------------------------------------------------------------

    def _produce(self, request: PendingRequest) -> None:
        self._pending.append(request)
        producer = self._producer

        def on_delivery(error: Any, message: Any) -> None:
            if producer is not self._producer:
                return  # given up: the request is in the spool
            if error is None:
                request.left -= 1
                if not request.left:
                    request.succeed()
            elif error.code() in PERMANENT:
                metrics.GATEWAY_REFUSED.inc()
                log.error("the broker refuses a record", topic=message.topic(), reason=error.str())
                request.fail(RecordRefused(error.str()))
            else:
                self._begin_spooling(error.str())

        try:
            for topic, key, value, headers in request.records:
                producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
        except BufferError:
            self._begin_spooling("the producer's queue is full")
            return
        except KafkaException as error:
            self._begin_spooling(error.args[0].str())
            return
        if not self._is_polling:
            self._is_polling = True
            self._loop.call_later(POLL_S, self._poll)

    def _poll(self) -> None:
        self._is_polling = False
        if self._producer is not None:
            self._producer.poll(0)
        while self._pending and self._pending[0].future.done():
            self._pending.popleft()
        if not self._pending:
            return
        if self._loop.time() - self._pending[0].at > self._ack_timeout_s:
            self._begin_spooling(f"no acknowledgement within {self._ack_timeout_s:g} s")
            return
        self._is_polling = True
        self._loop.call_later(POLL_S, self._poll)

    # -- spooling ------------------------------------------------------------------------------------------------------

    def _begin_spooling(self, reason: str) -> None:
        log.warning("Kafka does not take records: the gateway writes them to its spool", reason=reason)
        self.is_spooling = True
        pending = [request for request in self._pending if not request.future.done()]
        self._pending.clear()
        self._give_up_producer()
        for request in pending:
            self._writer.add(request)
        self.is_away = True
        if not self._is_stopping:
            self._recovery = asyncio.create_task(self._recover(), name="takk-spool-recovery")

    # -- recovery ------------------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Try to publish what the spool has, until all of it is published."""
        while True:
            try:
                if await self._drain():
                    return
            except Exception as error:
                log.error("cannot publish the spool, retrying", pause_s=self._pause_s, exc_info=error)
            await asyncio.sleep(self._pause_s)

    async def _drain(self) -> bool:
        """Publish all segments and return to direct. Return False if the broker does not take them now."""
        if not await self._broker_answers():
            return False
        self._spool.seal()
        while (segment := self._spool.oldest()) is not None:
            if not await self._replay(segment, self._delivery_timeout_s):
                return False
            self._spool.seal()
            if self._spool.size_bytes <= LAST_BYTES:
                break
        async with self._writer.lock:
            self._spool.seal()
            while (segment := self._spool.oldest()) is not None:
                if not await self._replay(segment, self._ack_timeout_s):
                    return False
            failpoints.reach("gateway.recovered")
            self._return_to_direct()
        return True

    async def _broker_answers(self) -> bool:
        if self._producer is None:
            self._producer = self._open()
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=PROBE_TIMEOUT_S)
        except KafkaException:
            self.is_away = True
            return False
        self.is_away = False
        return True

    def _return_to_direct(self) -> None:
        log.info("the spool is empty: records go to Kafka")
        self.is_spooling = self._writer.is_full = False
        for request in self._writer.take_back():
            self._take(request)  # if the producer fails again, the spool gets the rest

    async def _replay(self, segment: Segment, timeout_s: float) -> bool:
        """Publish a segment and delete it. Return False if the broker did not acknowledge all of it in time."""
        records = await asyncio.to_thread(self._spool.read, segment)
        replay = Replay(self._producer or self._open(), records)
        self._producer = replay.producer
        if problem := await replay.run(timeout_s):
            self.is_away = True
            log.warning("cannot publish the spool yet", reason=problem)
            self._give_up_producer()
            return False
        failpoints.reach("gateway.replayed")
        metrics.GATEWAY_REFUSED.inc(len(replay.refused))
        for record in replay.refused:
            log.error("the broker refuses a record of the spool: it was set aside", topic=record.topic)
            await asyncio.to_thread(self._spool.set_aside, record)
        await asyncio.to_thread(self._spool.remove, segment)
        metrics.GATEWAY_REPLAYED.inc(len(records))
        return True

    def _give_up_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            end_later(producer)
