"""The reference job as a bare loop over librdkafka, RocksDB and transactions: about the limit of Python; exactly once."""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from rocksdict import Options, Rdict, WriteBatch

from tests.bench.runners.result import Measurement

BATCH = 16_000


def main(bootstrap: str, topic: str, records: int, run: str, state: str) -> None:
    """Process and commit `records` orders, and print the result."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    os.makedirs(f"{state}/{run}", exist_ok=True)
    stores = [Rdict(f"{state}/{run}/{p}", options) for p in range(4)]
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": run, "auto.offset.reset": "earliest", "enable.auto.commit": False, "queued.min.messages": 50_000}
    )  # fmt: skip
    consumer.subscribe([topic])
    producers = []
    for p in range(4):
        producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000, "transactional.id": f"{run}-{p}"}
        )  # fmt: skip
        producer.init_transactions()
        producers.append(producer)
    threads = ThreadPoolExecutor(8)
    busy: dict[int, Future[None]] = {}
    measurement = Measurement("limit", records)

    def commit(partition: int, offset: int, batch: WriteBatch) -> None:
        offsets = [TopicPartition(topic, partition, offset + 1)]
        producers[partition].send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producers[partition].commit_transaction()
        stores[partition].write(batch)

    while not measurement.is_complete:
        messages = consumer.consume(BATCH, timeout=1)
        if messages:
            measurement.start()
        by_partition: dict[int, list[Any]] = {}
        for message in messages:
            by_partition.setdefault(message.partition(), []).append(message)
        for partition, part in by_partition.items():
            if partition in busy:
                busy[partition].result()
            producer, store = producers[partition], stores[partition]
            producer.begin_transaction()
            values: dict[bytes, dict[str, Any]] = {}
            for message in part:
                order, key = orjson.loads(message.value()), message.key()
                value = values.get(key)
                if value is None:
                    raw = store.get(key)
                    value = orjson.loads(raw) if raw else {"n": 0, "spend": 0, "last": None}
                value["n"] += 1
                value["spend"] += order["total"]
                value["last"] = order["placed_at"]
                values[key] = value
                producer.produce(
                    f"delay-{run}", orjson.dumps({"step": "x", "order": order["order_id"], "due": 123456}), key
                )
            batch = WriteBatch(raw_mode=True)
            for key, value in values.items():
                raw = orjson.dumps(value)
                batch.put(key, raw)
                producer.produce(f"{run}-state-changelog", raw, key, partition=partition)
            busy[partition] = threads.submit(commit, partition, part[-1].offset(), batch)
        measurement.count(len(messages))
    for future in busy.values():
        future.result()
    measurement.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
