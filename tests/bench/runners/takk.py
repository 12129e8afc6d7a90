"""The reference job on Takk's runtime: count, spend and last order per customer, one record per order to a delay topic; exactly once."""

from __future__ import annotations

import sys
from pathlib import Path

import faust
import orjson

from streams.runtime.app import App
from streams.runtime.collector import tune_collector
from streams.runtime.processing.stage import Stage
from tests.bench.runners.result import Measurement


def main(bootstrap: str, topic: str, records: int, run: str, state: str, batch: int = 16_000) -> None:
    """Process and commit `records` orders, and print the result."""
    delays = f"delay-{run}"
    app = App(
        run,
        {"bootstrap.servers": bootstrap},
        brokers=f"kafka://{bootstrap}",
        partitions=4,
        state_dir=Path(state) / run,
        batch_records=batch,
    )
    measurement = Measurement("takk", records)

    def count_committed(batch) -> None:
        if batch.committed is not None and batch.committed.exception() is None:
            measurement.count_and_finish(len(batch.records))

    def count_order(record, batch):
        order, key = orjson.loads(record.value()), record.key()
        state = batch.get(key) or {"n": 0, "spend": 0, "last": None}
        state = {"n": state["n"] + 1, "spend": state["spend"] + order["total"], "last": order["placed_at"]}
        due = orjson.dumps({"step": "x", "order": order["order_id"], "due": 123456})
        return key, state, ((delays, key, due, None),)

    stage = Stage(
        name="engine",
        topics=(topic,),
        table="state",
        encode=orjson.dumps,
        decode=orjson.loads,
        dead_letter=lambda record, reason, detail, now: ("dead-letters", b"", b"", []),
        on_done=count_committed,
    )

    @app.stage(stage)
    async def engine(batches) -> None:
        async for batch in batches:
            measurement.start()
            batch.apply(count_order)
            await batch.commit()

    tune_collector()
    faust.Worker(app.faust, loglevel="warn", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv = ["takk"]
    main(arguments[0], arguments[1], int(arguments[2]), arguments[3], arguments[4])
