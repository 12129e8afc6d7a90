"""The reference job on Takk's runtime: count, spend and last order per customer, one record to a delay topic per order; exactly once."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import faust
import orjson

from streams.runtime.app import App
from streams.runtime.processing.stage import Stage


def main(bootstrap: str, topic: str, records: int, run: str, state: str, batch: int = 16_000) -> None:
    """Run until `records` orders are committed, then print one RESULT line."""
    delays = f"delay-{run}"
    app = App(
        run,
        {"bootstrap.servers": bootstrap},
        brokers=f"kafka://{bootstrap}",
        partitions=4,
        state_dir=Path(state) / run,
        batch_records=batch,
    )
    done = 0
    started = 0.0

    def count(batch) -> None:
        nonlocal done
        if batch.committed is not None and batch.committed.exception() is None:
            done += len(batch.records)
            if done >= records:
                seconds = time.time() - started
                print(f"RESULT takk {done} {seconds:.2f} {done / seconds:.0f}", flush=True)
                os._exit(0)

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
        on_done=count,
    )

    @app.stage(stage)
    async def engine(batches) -> None:
        nonlocal started
        async for batch in batches:
            started = started or time.time()
            batch.each(count_order)
            await batch.commit()

    faust.Worker(app.faust, loglevel="warn", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv = ["takk"]
    main(arguments[0], arguments[1], int(arguments[2]), arguments[3], arguments[4])
