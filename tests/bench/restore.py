"""Job `restore`: changelog records per second from Kafka into RocksDB, compared with a bare loop that does the same."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from rocksdict import Options, Rdict, WriteBatch

from streams.runtime.state.restore import restore
from streams.runtime.state.store import Memory, PartitionStore
from tests.bench.context import Context, Result, median

RECORDS = 1_000_000
VALUE_BYTES = 300


def run(context: Context) -> list[Result]:
    """Measure both in turn, with empty disks, `context.runs` times."""
    topic = "bench-restore-changelog"
    context.create_topics(topic, **{"cleanup.policy": "compact"})
    context.log(f"producing {RECORDS:,} changelog records of {VALUE_BYTES} bytes")
    producer = Producer(
        {"bootstrap.servers": context.kafka.bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
    )
    rng = random.Random(2)
    value = rng.randbytes(VALUE_BYTES)
    for i in range(RECORDS):
        producer.produce(topic, value, b"c%d" % rng.randrange(RECORDS), partition=i % 4)
        if i % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    rates: dict[str, list[float]] = {"takk": [], "limit": []}
    for number in range(context.runs):
        for runner, work in (("takk", _takk), ("limit", _limit)):
            folder = context.state / f"restore-{runner}"
            shutil.rmtree(folder, ignore_errors=True)
            started = time.time()
            done = work(context.kafka.bootstrap, topic, folder)
            rates[runner].append(done / (time.time() - started))
            context.log(f"restore {number + 1}/{context.runs} {runner}: {rates[runner][-1]:,.0f}/s")
            shutil.rmtree(folder, ignore_errors=True)
    ours = median(rates["takk"])
    return [
        Result("restore", name, median(values), "exactly once" if name == "takk" else "none", RECORDS, [round(v, 1) for v in values],
               {} if name == "takk" else {"takk_times": round(ours / median(values), 2)})
        for name, values in rates.items()
    ]  # fmt: skip


def _takk(bootstrap: str, topic: str, folder: Path) -> int:
    memory = Memory(256)
    stores = {p: PartitionStore(folder / str(p), memory) for p in range(4)}
    done = restore({"bootstrap.servers": bootstrap}, topic, stores)
    for store in stores.values():
        store.close()
    return done


def _limit(bootstrap: str, topic: str, folder: Path) -> int:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    folder.mkdir(parents=True)
    stores = [Rdict(str(folder / str(p)), options) for p in range(4)]
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-limit",
            "queued.min.messages": 100_000,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(4)])
    done = 0
    while done < RECORDS:
        batches = [WriteBatch(raw_mode=True) for _ in range(4)]
        for message in consumer.consume(20_000, 0.2):
            batches[message.partition()].put(message.key(), message.value())
            done += 1
        for store, batch in zip(stores, batches, strict=True):
            store.write(batch)
    consumer.close()
    for store in stores:
        store.close()
    return done
