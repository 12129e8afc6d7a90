"""The reference job on Takk's runtime: count, spend and last order per customer, one record to a delay topic per order; exactly once."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import faust
import orjson
from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.app import App
from streams.runtime.stage import Stage


def main() -> None:
    """Run until `--records` orders are committed, then print one RESULT line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bootstrap", required=True)
    options.add_argument("--topic", required=True)
    options.add_argument("--records", type=int, required=True)
    options.add_argument("--run", required=True)
    options.add_argument("--state", type=Path, default=Path(".takk/bench/state"))
    options.add_argument("--batch", type=int, default=16_000)
    options.add_argument("--partitions", type=int, default=4)
    args = options.parse_args()
    app_id = f"bench-{args.run}"
    kafka = {"bootstrap.servers": args.bootstrap}
    delays = f"delay-{app_id}"
    admin = AdminClient(kafka)
    futures = admin.create_topics(
        [NewTopic(delays, args.partitions, 1), NewTopic(f"{app_id}-state-changelog", args.partitions, 1)]
    )
    for future in futures.values():
        future.result()
    app = App(
        app_id,
        kafka,
        brokers=f"kafka://{args.bootstrap}",
        partitions=args.partitions,
        state_dir=args.state / args.run,
        batch_records=args.batch,
    )
    done = 0
    started = 0.0

    def count(unit) -> None:
        nonlocal done
        if unit.committed is not None and unit.committed.exception() is None:
            done += len(unit.records)
            if done >= args.records:
                seconds = time.time() - started
                print(f"RESULT takk {done} {seconds:.2f} {done / seconds:.0f}", flush=True)
                os._exit(0)

    def count_order(record, unit):
        order, key = orjson.loads(record.value()), record.key()
        state = unit.get(key) or {"n": 0, "spend": 0, "last": None}
        state = {"n": state["n"] + 1, "spend": state["spend"] + order["total"], "last": order["placed_at"]}
        due = orjson.dumps({"step": "x", "order": order["order_id"], "due": 123456})
        return key, state, ((delays, key, due, None),)

    stage = Stage(
        name="engine",
        topics=(args.topic,),
        table="state",
        encode=orjson.dumps,
        decode=orjson.loads,
        dead_letter=lambda record, reason, detail, now: ("dead-letters", b"", b"", []),
        on_done=count,
    )

    @app.stage(stage)
    async def engine(units) -> None:
        nonlocal started
        async for unit in units:
            started = started or time.time()
            unit.each(count_order)
            await unit.commit()

    faust.Worker(app.faust, loglevel="warn").execute_from_commandline()


if __name__ == "__main__":
    main()
