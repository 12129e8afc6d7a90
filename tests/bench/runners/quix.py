"""The reference job on Quix Streams; at least once. Runs in an environment of its own, which the bench makes."""

from __future__ import annotations

import os
import sys
import time

from quixstreams import Application


def main(bootstrap: str, topic: str, records: int, run: str, state: str) -> None:
    """Count, spend and last order per customer; exits after `records` orders."""
    app = Application(
        broker_address=bootstrap, consumer_group=run, auto_offset_reset="earliest", state_dir=f"{state}/{run}", loglevel="WARNING"
    )  # fmt: skip
    source = app.topic(topic, value_deserializer="json", key_deserializer="str")
    delays = app.topic(f"delay-{run}", value_serializer="json", key_serializer="str")
    done, started = 0, 0.0

    def engine(order, store):
        nonlocal done, started
        started = started or time.time()
        value = store.get("s") or {"n": 0, "spend": 0, "last": None}
        store.set("s", {"n": value["n"] + 1, "spend": value["spend"] + order["total"], "last": order["placed_at"]})
        done += 1
        if done >= records:
            seconds = time.time() - started
            print(f"RESULT quix {done} {seconds:.2f} {done / seconds:.0f}", flush=True)
            os._exit(0)
        return {"step": "x", "order": order["order_id"], "due": 123456}

    app.dataframe(source).apply(engine, stateful=True).to_topic(delays)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
