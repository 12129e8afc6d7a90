"""Publishing with a spool, against a cluster that is there, away, or fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from streams.gateway.context import Unavailable
from streams.gateway.producers import RecordRefused
from streams.gateway.publishing import SpoolingPublisher
from streams.gateway.spool import Spool
from streams.runtime.kafka.producer_record import ProducerRecord
from tests.harness.gateway_fakes import FakeCluster

LIMIT = 1 << 20


def record(number: int) -> ProducerRecord:
    """Return a record."""
    return ProducerRecord("email-engagement", b"c-1", b"%d" % number, [])


def values(*numbers: int) -> list[bytes]:
    """Return the values of records."""
    return [b"%d" % number for number in numbers]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - conditions of the code under test, which has no event for them
            await asyncio.sleep(0.001)


@asynccontextmanager
async def publisher_of(
    cluster: FakeCluster, folder: Path, limit: int = LIMIT, *, is_direct: bool = True
) -> AsyncIterator[SpoolingPublisher]:
    """Return a running publisher, once it is direct."""
    spool = Spool(folder, limit)
    publisher = SpoolingPublisher(cluster.open, spool, ack_timeout_s=0.05, delivery_timeout_s=0.1, pause_s=0.002)
    publisher.start()
    publisher.connect()
    if is_direct:
        await until(lambda: not publisher.is_spooling)
    try:
        yield publisher
    finally:
        await publisher.stop()
        spool.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine."""
    asyncio.run(test())  # type: ignore[arg-type]  # a coroutine function


def test_direct(tmp_path: Path) -> None:
    """While Kafka answers, a request returns after the acknowledgement, and nothing is in the spool."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            await asyncio.gather(*(publisher.publish([record(number)]) for number in range(10)))
            assert cluster.values == values(*range(10))

    run(check)
    assert not list(tmp_path.glob("*.spool"))


def test_an_outage(tmp_path: Path) -> None:
    """Records of an outage, those that waited for the broker included, are published in order when it returns."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            cluster.is_away = True
            await asyncio.gather(*(publisher.publish([record(number)]) for number in range(5)))
            assert publisher.is_spooling
            for number in range(5, 10):
                await publisher.publish([record(number)])
            assert cluster.values == []
            cluster.is_away = False
            await until(lambda: not publisher.is_spooling)
            assert cluster.values == values(*range(10))
            await publisher.publish([record(10)])
            assert cluster.values == values(*range(11))

    run(check)
    assert not list(tmp_path.glob("*.spool"))


def test_requests_during_the_recovery(tmp_path: Path) -> None:
    """Requests that never stop coming do not keep the spool from its end, and the order stays."""

    async def check() -> None:
        cluster = FakeCluster(is_away=True)
        async with publisher_of(cluster, tmp_path, is_direct=False) as publisher:
            sent = 0
            while publisher.is_spooling or cluster.is_away:
                if sent == 50:
                    cluster.is_away = False
                await publisher.publish([record(sent)])
                sent += 1
            await publisher.publish([record(sent)])
            assert cluster.values == values(*range(sent + 1))

    run(check)


def test_a_producer_without_acknowledgements(tmp_path: Path) -> None:
    """Records that were written without an acknowledgement are published again, after each other, with nothing of them missing."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            cluster.answers = False
            await asyncio.gather(publisher.publish([record(0)]), publisher.publish([record(1)]))
            cluster.answers = True
            await until(lambda: not publisher.is_spooling)
            assert cluster.values[-2:] == values(0, 1)
            assert set(cluster.values) == set(values(0, 1))

    run(check)


@pytest.mark.parametrize("code", [KafkaError._MSG_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError._FATAL])
def test_a_producer_that_fails(tmp_path: Path, code: int) -> None:
    """Records whose delivery fails go to the spool, and a new producer publishes them."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            cluster.fails_with = code
            await publisher.publish([record(0)])
            await publisher.publish([record(1)])
            cluster.fails_with = None
            await until(lambda: not publisher.is_spooling)
            assert cluster.values == values(0, 1)
        await until(lambda: all(client.is_ended for client in cluster.clients))

    run(check)


def test_a_full_queue(tmp_path: Path) -> None:
    """A producer whose queue is full is given up, and no record of the request is missing."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            cluster.clients[-1].most = 1
            await publisher.publish([record(0), record(1)])
            await until(lambda: not publisher.is_spooling)
            assert cluster.values == values(0, 1)

    run(check)


def test_a_full_spool(tmp_path: Path) -> None:
    """Past the bound a request is refused, and what was accepted is published later."""

    async def check() -> None:
        cluster = FakeCluster(is_away=True)
        async with publisher_of(cluster, tmp_path, limit=100, is_direct=False) as publisher:
            await publisher.publish([record(0)])
            await publisher.publish([record(1)])
            assert publisher.takes_records
            with pytest.raises(Unavailable):
                await publisher.publish([record(2)])
            assert not publisher.takes_records
            cluster.is_away = False
            await until(lambda: not publisher.is_spooling)
            assert cluster.values == values(0, 1)
            await publisher.publish([record(3)])
            assert publisher.takes_records

    run(check)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While neither Kafka nor the disk takes records, requests are refused; Kafka alone is enough."""

    def fail(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    async def check() -> None:
        cluster = FakeCluster(is_away=True)
        async with publisher_of(cluster, tmp_path, is_direct=False) as publisher:
            monkeypatch.setattr(Spool, "append", fail)
            with pytest.raises(Unavailable):
                await publisher.publish([record(0)])
            cluster.is_away = False
            await until(lambda: not publisher.is_spooling)
            await publisher.publish([record(1)])
            assert cluster.values == values(1)

    run(check)


def test_the_successor(tmp_path: Path) -> None:
    """A process publishes what its predecessor left, before its own records."""

    async def check() -> None:
        away, back = FakeCluster(is_away=True), FakeCluster()
        async with publisher_of(away, tmp_path, is_direct=False) as publisher:
            await publisher.publish([record(0)])
        async with publisher_of(back, tmp_path, is_direct=False) as publisher:
            await publisher.publish([record(1)])
            await until(lambda: not publisher.is_spooling)
            assert back.values == values(0, 1)

    run(check)


def test_a_stop_while_kafka_is_away(tmp_path: Path) -> None:
    """A stop answers the requests that wait for the broker: the spool has their records."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            cluster.is_away = True
            request = asyncio.create_task(publisher.publish([record(0)]))
            await asyncio.sleep(0)
        await request
        spool = Spool(tmp_path, LIMIT)
        assert spool.records == 1

    run(check)


def test_a_record_that_the_broker_refuses(tmp_path: Path) -> None:
    """A record that can never be written fails its own request, or is set aside, and those behind it go on."""

    async def check() -> None:
        cluster = FakeCluster(refused={b"1"})
        async with publisher_of(cluster, tmp_path) as publisher:
            with pytest.raises(RecordRefused):
                await publisher.publish([record(1)])
            cluster.is_away = True
            await asyncio.gather(*(publisher.publish([record(number)]) for number in range(3)))
            cluster.is_away = False
            await until(lambda: not publisher.is_spooling)
            assert cluster.values == values(0, 2)
        assert (tmp_path / "refused").exists()

    run(check)


def test_a_record_that_is_too_large(tmp_path: Path) -> None:
    """A record that its topic does not accept is refused at once."""

    async def check() -> None:
        cluster = FakeCluster()
        async with publisher_of(cluster, tmp_path) as publisher:
            with pytest.raises(RecordRefused):
                await publisher.publish([ProducerRecord("orders", b"c-1", bytes(2 << 20), [])])
            assert not publisher.is_spooling

    run(check)
