"""The reference job on unmodified Faust, with its own transport, store and commits; at least once."""

from __future__ import annotations

import os
import sys

import faust
import orjson

from tests.bench.runners.result import Measurement


def main(bootstrap: str, topic: str, records: int, run: str, state: str) -> None:
    """Process `records` orders, and print the result."""
    os.makedirs(f"{state}/{run}", exist_ok=True)
    app = faust.App(
        run, broker=f"kafka://{bootstrap}", store="rocksdb://", datadir=f"{state}/{run}", topic_partitions=4,
        topic_replication_factor=1, broker_max_poll_records=2000, stream_buffer_maxsize=8192, producer_linger=0.02,
        web_enabled=False, stream_wait_empty=False, consumer_auto_offset_reset="earliest",
    )  # fmt: skip
    orders = app.topic(topic, key_serializer="raw", value_serializer="raw")
    delays = app.topic(f"delay-{run}", key_serializer="raw", value_serializer="raw", partitions=4)
    table = app.Table("state", key_type=bytes, value_type=bytes, partitions=4)
    measurement = Measurement("faust", records)

    @app.agent(orders)
    async def engine(stream) -> None:
        async for event in stream.events():
            measurement.start()
            order, key = orjson.loads(event.value), event.key
            raw = table.get(key)
            value = orjson.loads(raw) if raw else {"n": 0, "spend": 0, "last": None}
            value = {"n": value["n"] + 1, "spend": value["spend"] + order["total"], "last": order["placed_at"]}
            table[key] = orjson.dumps(value)
            await delays.send(key=key, value=orjson.dumps({"step": "x", "order": order["order_id"], "due": 123456}))
            measurement.count_and_finish()

    sys.argv = ["faust", "worker"]
    faust.Worker(app, loglevel="error", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
