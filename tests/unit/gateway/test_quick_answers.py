"""Clicks and opens that are answered in front of the router get the answers of the router."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import TestClient

from streams.gateway.answers import QuickResponse
from streams.observability import metrics
from tests.harness.gateway_fakes import FakeGateway

SHOP = "https://shop.example/p/1"
BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
#: Requests that the router answers: the version and more headers.
UNUSUAL = {
    "an old version": ("HTTP/1.0", ""),
    "the last request of a connection": ("HTTP/1.1", "Connection: close\r\n"),
    "an encoded path": ("HTTP/1.1", ""),
    "an expectation": ("HTTP/1.1", "Connection: close\r\nExpect: 100-continue\r\n"),
    "a body": ("HTTP/1.1", "Connection: close\r\nContent-Length: 2\r\n"),
}


async def answer(client: TestClient, request: str) -> tuple[str, dict[str, str], bytes]:
    """Send a request on a connection of its own, and return the first line without the version, the headers and the body."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request.encode())
    head = b"100"
    while b"100" in head[:20]:
        head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    assert headers.pop("X-Request-Id")
    assert headers.pop("Date").endswith(" GMT")
    headers.pop("Connection", None)
    return first.partition(" ")[2], headers, body


@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize(("use", "target"), [("c", SHOP), ("o", "")])
def test_the_same_answer(use: str, target: str, kind: str) -> None:
    """A usual request and an unusual one get the same answer, and both are recorded."""
    version, headers = UNUSUAL[kind]

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            link = gateway.link(use, target, send_id="s-1")
            usual = await answer(client, f"GET {link} HTTP/1.1\r\nHost: x\r\n{BROWSER}\r\n\r\n")
            link = gateway.link(use, target, send_id="s-2")
            link = link.replace(".", "%2E") if kind == "an encoded path" else link
            body = "{}" if kind == "a body" else ""
            unusual = await answer(client, f"GET {link} {version}\r\nHost: x\r\n{BROWSER}\r\n{headers}\r\n{body}")
        assert usual == unusual
        assert [sent["send_id"] for sent in gateway.sent()] == ["s-1", "s-2"]

    asyncio.run(check())


def test_requests_of_one_connection() -> None:
    """Requests that a client sends at once are answered in their order, each with its own id."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            reader, writer = await asyncio.open_connection(client.host, client.port)
            paths = (gateway.link("c", SHOP), "/c/x", gateway.link("o"), "/nothing", gateway.link("c", SHOP))
            writer.write("".join([f"GET {path} HTTP/1.1\r\nHost: x\r\n{BROWSER}\r\n\r\n" for path in paths]).encode())
            statuses, ids = [], set()
            for _ in paths:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                await reader.readexactly(int(headers["Content-Length"]))
                statuses.append(first.split()[1])
                ids.add(headers["X-Request-Id"])
            writer.close()
        assert statuses == ["302", "404", "200", "404", "302"]
        assert len(ids) == len(paths)
        assert [sent["kind"] for sent in gateway.sent()] == ["clicked", "opened"]

    asyncio.run(check())


def test_counts() -> None:
    """Requests are counted by their routes, whoever answers them: the guard, the router or a handler."""

    async def check() -> None:
        gateway = FakeGateway(gateway_requests_per_minute=2)
        link, page = gateway.link("c", SHOP), gateway.link("p")
        before = {key: metrics.GATEWAY_REQUESTS.labels(*key)._value.get() for key in COUNTED}
        async with gateway.client() as client:
            await client.get(link, allow_redirects=False)
            await client.head(link, allow_redirects=False)
            await client.post(gateway.link("u"), data=b"x" * 100_000)
            await client.get("/c/x")
            await client.get(page)
            await client.get(page)
            await client.get("/nothing")
        found = {key: metrics.GATEWAY_REQUESTS.labels(*key)._value.get() - count for key, count in before.items()}
        assert found == COUNTED

    asyncio.run(check())


#: The requests of `test_counts`: route and class of the status to the number.
COUNTED = {
    ("click", "3xx"): 2,
    ("click", "4xx"): 1,
    ("unsubscribe", "4xx"): 1,
    ("preferences", "4xx"): 2,
    ("unmatched", "4xx"): 1,
}


@pytest.mark.parametrize("value", ["https://shop.example/\r\nSet-Cookie: a=b", "https://blå.example/", "a\x7f"])
def test_a_header_that_is_not_one(value: str) -> None:
    """A header with a line break, or with other characters than HTTP allows, is an error."""
    with pytest.raises(ValueError, match="printable ASCII"):
        QuickResponse(302, "Location", value)
