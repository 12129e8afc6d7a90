"""The reference job on Quix Streams; at least once. Runs in its own environment, which the benchmark creates."""

from __future__ import annotations

import sys

from quixstreams import Application

from tests.bench.runners.result import Measurement


def main(bootstrap: str, topic: str, records: int, run: str, state: str) -> None:
    """Process `records` orders, and print the result."""
    app = Application(
        broker_address=bootstrap, consumer_group=run, auto_offset_reset="earliest", state_dir=f"{state}/{run}", loglevel="WARNING"
    )  # fmt: skip
    source = app.topic(topic, value_deserializer="json", key_deserializer="str")
    delays = app.topic(f"delay-{run}", value_serializer="json", key_serializer="str")
    measurement = Measurement("quix", records)

    def engine(order, store):
        measurement.start()
        value = store.get("s") or {"n": 0, "spend": 0, "last": None}
        store.set("s", {"n": value["n"] + 1, "spend": value["spend"] + order["total"], "last": order["placed_at"]})
        measurement.count_and_finish()
        return {"step": "x", "order": order["order_id"], "due": 123456}

    app.dataframe(source).apply(engine, stateful=True).to_topic(delays)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
