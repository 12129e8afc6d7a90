"""The peer of the gateway: a bare aiohttp handler that produces the record of a click, an open or an order, and answers after the acknowledgement.

It opens no token: the path has the customer and the send. It verifies the signature of a webhook, and checks no field of its order.
Arguments: bootstrap, port.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import uvloop
from aiohttp import web
from confluent_kafka import Producer

from streams.wire.codec import open_codec
from streams.wire.validation import EPOCH
from tests.bench.runners.webhook import PATH, check_signature

TARGET = "https://shop.example/p/1?utm_source=takk"
POLL_S = 0.001


class Bare:
    """The handlers and their producer."""

    def __init__(self, bootstrap: str) -> None:
        settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        }
        self._producer = Producer(settings)
        self._codec = open_codec()
        self._waiting = 0

    async def click(self, request: web.Request) -> web.Response:
        """Record a click, and redirect."""
        await self._record(request.match_info["token"], kind="clicked", link=TARGET, agent="human")
        return web.Response(status=302, headers={"Location": TARGET})

    async def opening(self, request: web.Request) -> web.Response:
        """Record an open."""
        await self._record(request.match_info["token"], kind="opened", agent="human")
        return web.Response(body=b"GIF89a", content_type="image/gif")

    async def webhook(self, request: web.Request) -> web.Response:
        """Verify the signature, and record the order."""
        raw = await request.read()
        check_signature(request, raw)
        return await self._order(raw)

    async def order(self, request: web.Request) -> web.Response:
        """Record the order, without a key."""
        return await self._order(await request.read())

    async def _order(self, raw: bytes) -> web.Response:
        record = orjson.loads(raw)
        for name in ("placed_at", "occurred_at"):
            record[name] = EPOCH + timedelta(milliseconds=record[name])
        await self._produce("orders", "order", record["order_id"], record)
        return web.json_response({"id": record["order_id"]}, status=202)

    async def _record(self, token: str, **fields: Any) -> None:
        customer_id, _, send_id = token.partition(".")
        event_id = f"{send_id:0>32}"
        record = {
            "customer_id": customer_id, "send_id": send_id, "occurred_at": datetime.now(UTC), "event_id": event_id, **fields,
        }  # fmt: skip
        await self._produce("email-engagement", "engagement", event_id, record)

    async def _produce(self, topic: str, schema: str, event_id: str, record: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def on_delivery(error: Any, message: Any) -> None:
            self._waiting -= 1
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(RuntimeError(str(error)))

        occurred_at = record["occurred_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", f"takk.{schema.capitalize()}".encode()),
            ("ce_source", b"/takk/gateway"),
            ("ce_time", occurred_at.encode()),
            ("ce_id", event_id.encode()),
            ("content-type", b"application/avro"),
        ]
        value = self._codec.encode(schema, record)
        self._producer.produce(topic, value, record["customer_id"].encode(), headers=headers, on_delivery=on_delivery)
        self._waiting += 1
        if self._waiting == 1:
            loop.call_later(POLL_S, self._poll)
        await done

    def _poll(self) -> None:
        self._producer.poll(0)
        if self._waiting:
            asyncio.get_running_loop().call_later(POLL_S, self._poll)


async def serve(bootstrap: str, port: int) -> None:
    """Serve until the process is killed."""
    bare = Bare(bootstrap)
    app = web.Application()
    app.add_routes([web.get("/c/{token}", bare.click), web.get("/o/{token}", bare.opening)])
    app.add_routes([web.post(PATH, bare.webhook), web.post("/v1/orders", bare.order)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
