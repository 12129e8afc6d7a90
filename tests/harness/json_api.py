"""The JSON API on a server of the test, with a publisher that keeps the records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.gateway.api.keys import create_key, file_line
from streams.gateway.context import GATEWAY, Gateway, Unavailable
from streams.mail.tokens import LinkKeys
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.settings import Settings
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.topics import SCHEMA_OF

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SECRET = b"a secret of the tests, 0123456789abcdef"
LINK_KEYS = LinkKeys("shop", SECRET)
CODEC = open_codec()
DECODER = Decoder(CODEC)


@dataclass
class KeptRecords:
    """A publisher that keeps the records, or is unavailable."""

    records: list[ProducerRecord] = field(default_factory=list)
    is_away: bool = False

    async def publish(self, records: Sequence[ProducerRecord]) -> None:
        if self.is_away:
            raise Unavailable(7)
        self.records += records


class PlainEncoder:
    """Encodes records with their id in a header."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def record(self, topic: str, key: str, event_id: str, fields: Mapping[str, object]) -> ProducerRecord:
        value = self._codec.encode(SCHEMA_OF[topic], fields)
        return ProducerRecord(topic, key.encode(), value, [("ce_id", event_id.encode())])


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
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
    published: KeptRecords
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


def gateway_app(
    routes: Sequence[web.RouteDef],
    settings: Settings,
    published: KeptRecords,
    clock: Callable[[], datetime],
    people: Mapping[str, Any] | None = None,
) -> web.Application:
    """Return an application with only these routes. `people` has the pages of customers by their ids."""
    app = web.Application()
    app[GATEWAY] = Gateway(
        settings=settings,
        keys=LINK_KEYS,
        publisher=published,
        encoder=cast(Any, PlainEncoder(CODEC)),
        people=cast(Any, people or {}),
        now=clock,
    )
    app.add_routes(routes)
    return app


@asynccontextmanager
async def json_api(
    routes: Sequence[web.RouteDef], folder: Path, people: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[JsonApi]:
    """Serve routes, with an empty file of API keys in `folder`."""
    keys_file = folder / "keys.yaml"
    keys_file.touch()
    published, clock = KeptRecords(), Clock()
    app = gateway_app(routes, Settings(gateway_api_keys_file=keys_file, **settings), published, clock, people)
    async with TestClient(TestServer(app)) as client:
        yield JsonApi(client, published, keys_file, clock)
