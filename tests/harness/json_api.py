"""The gateway on a server of the test, with a file of API keys and a publisher that keeps the records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestClient

from streams.gateway.api.keys import create_key, file_line
from streams.gateway.context import Gateway
from streams.gateway.encoding import RecordEncoder
from streams.gateway.server import make_app
from streams.mail.tokens import LinkKeys
from streams.settings import Settings
from streams.wire.decode.decoder import Decoder
from streams.wire.topics import SCHEMA_OF
from tests.harness.codec import CODEC
from tests.harness.gateway_fakes import GatewayServer, ListPublisher

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
LINK_KEYS = LinkKeys("shop", b"a secret of the tests, 0123456789abcdef")
DECODER = Decoder(CODEC)
ENCODER = RecordEncoder(CODEC)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@dataclass
class JsonApi:
    """A server with the routes under test.

    Attributes:
        client: sends requests to it.
        published: what it published.
        keys_file: the file of the API keys.
        clock: its clock.
    """

    client: TestClient[web.Request, web.Application]
    published: ListPublisher
    keys_file: Path
    clock: Clock

    def add_key(self, *roles: str, shop: str = "") -> dict[str, str]:
        """Put a new key into the file, and return the header of requests with it."""
        text, key = create_key(roles, shop)
        with self.keys_file.open("a", encoding="utf-8") as file:
            file.write(file_line(key) + "\n")
        return {"Authorization": f"Bearer {text}"}

    async def post(self, endpoint: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Send a record, or bytes in NDJSON, with a key for everything. Return the status and the answer."""
        headers = {**self.add_key("admin"), **(headers or {})}
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/x-ndjson", **headers}
            answer = await self.client.post(f"/v1/{endpoint}", data=body, headers=headers)
        else:
            answer = await self.client.post(f"/v1/{endpoint}", json=body, headers=headers)
        return answer.status, await answer.json(content_type=None)

    def decoded(self) -> list[dict[str, Any]]:
        """Return the published records as a reader of their topics sees them."""
        return [CODEC.decode(SCHEMA_OF[record.topic], record.value or b"") for record in self.published.records]

    @property
    def ids(self) -> list[str]:
        """The ids of the published records."""
        return [dict(record.headers)["ce_id"].decode() for record in self.published.records]


@asynccontextmanager
async def json_api(folder: Path, people: Mapping[str, Any] | None = None, **settings: Any) -> AsyncIterator[JsonApi]:
    """Serve the gateway, with an empty file of API keys in `folder`. `people` has the pages of customers by their ids."""
    keys_file = folder / "keys.yaml"
    keys_file.touch()
    published, clock = ListPublisher(), Clock()
    configured = Settings(gateway_api_keys_file=keys_file, **settings)
    gateway = Gateway(configured, LINK_KEYS, published, ENCODER, cast(Any, people or {}), cast(Any, {}), clock)
    async with TestClient(GatewayServer(make_app(gateway))) as client:
        yield JsonApi(client, published, keys_file, clock)
