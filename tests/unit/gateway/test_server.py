"""The rules for every request: tokens, bodies, limits, paths and headers, as an attacker would try them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from streams.endpoints import networks_of
from streams.gateway import server
from streams.gateway.answers import HEADERS
from streams.gateway.guard import MAX_FORM_BYTES
from streams.mail.tokens import LinkKeys
from streams.observability import metrics
from tests.harness.gateway_fakes import NOW, SECRET, FakeGateway

SHOP = "https://shop.example/p/1"


def flipped(path: str) -> str:
    """Return a path with another character in the middle of its token."""
    at = len(path) - 10
    return path[:at] + ("A" if path[at] != "A" else "B") + path[at + 1 :]


def test_tokens_that_are_not_valid() -> None:
    """A tampered, cut, foreign, expired or swapped token is a 404 without a redirect, counted by its reason, and changes nothing."""

    async def check() -> None:
        gateway = FakeGateway()
        foreign_shop = LinkKeys("other", SECRET.encode()).seal("c", "c-1", "s-1", SHOP, NOW)
        foreign_key = LinkKeys("shop", b"another secret of another shop").seal("c", "c-1", "s-1", SHOP, NOW)
        link = gateway.link("c", SHOP)
        paths = {
            flipped(link): "tampered",
            link[:-8]: "tampered",
            "/c/" + gateway.link("u", SHOP)[3:]: "tampered",
            "/u/" + link[3:]: "tampered",
            f"/c/{foreign_shop}": "foreign_shop",
            f"/c/{foreign_key}": "unknown_key",
            "/c/x": "malformed",
            "/c/" + "A" * 5000: "malformed",
            gateway.link("c", SHOP, issued_at=NOW - timedelta(days=181)): "expired",
        }
        async with gateway.client() as client:
            for path, reason in paths.items():
                counter = metrics.GATEWAY_BAD_LINKS.labels(reason)
                before = counter._value.get()
                answer = await client.get(path, allow_redirects=False)
                assert (answer.status, "Location" in answer.headers) == (404, False), path
                assert "s-1" not in await answer.text()
                assert counter._value.get() == before + 1, path
            assert (await client.post("/u/" + link[3:], data={"List-Unsubscribe": "One-Click"})).status == 404
        assert gateway.publisher.records == []

    asyncio.run(check())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/c/",
        "/c",
        "/c//https://evil.example/",
        "/c/../u/x",
        "/c/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//evil.example/c/x",
        "/c/x/../../",
        "/c/%00",
        "/metrics",
        "/readyz",
        "/c/x?next=https://evil.example/",
    ],
)
def test_paths(path: str) -> None:
    """Unknown paths and tricks with paths are a plain 404 without a redirect; health and metrics are not public."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            from yarl import URL

            url = URL(f"http://{client.host}:{client.port}{path}", encoded=True)
            answer = await client.session.get(url, allow_redirects=False)
            assert answer.status == 404
            assert "Location" not in answer.headers

    asyncio.run(check())


def test_headers_of_every_answer() -> None:
    """Pages, redirects, pictures and errors have the security headers and an id of their own, and say nothing of the software."""

    async def check() -> None:
        gateway = FakeGateway()
        ids = set()
        async with gateway.client() as client:
            for method, path in (
                ("get", gateway.link("c", SHOP)),
                ("get", gateway.link("o")),
                ("get", gateway.link("u")),
                ("get", "/nothing"),
                ("put", gateway.link("u")),
            ):
                answer = await client.request(method, path, allow_redirects=False)
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                ids.add(answer.headers["X-Request-Id"])
        assert len(ids) == 5

    asyncio.run(check())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1_000 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: <b>magic</b>\r\n\r\n",
        b"PUT /t.js HTTP/1.1\r\nHost: x\r\nExpect: <b>magic</b>\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: <b>magic</b>\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:60])[2:-1],
)
def test_answers_before_the_application(sent: bytes) -> None:
    """A request that is not one, or that expects something unknown, gets a plain answer: the headers of all, and nothing of the software."""

    async def check() -> None:
        gateway = FakeGateway()
        with capture_logs() as lines:
            async with gateway.client() as client:
                reader, writer = await asyncio.open_connection(client.host, client.port)
                writer.write(sent)
                answer = (await reader.read()).decode()
                writer.close()
        first, _, rest = answer.partition("\r\n")
        assert re.fullmatch(r"HTTP/1\.[01] 4[0-9]{2} [A-Za-z ]+", first), answer
        headers, _, text = rest.partition("\r\n\r\n")
        found = dict(line.split(": ", 1) for line in headers.split("\r\n"))
        assert {name: found.get(name) for name in HEADERS} == HEADERS
        assert re.fullmatch("[0-9a-f]{16}", found["X-Request-Id"])
        assert text in ("Bad request\n", "Expectation failed\n", "Not found\n")
        assert lines == []

    asyncio.run(check())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/c/x", "GET,HEAD"),
        ("DELETE", "/u/x", "GET,HEAD,POST"),
        ("GET", "/t", "OPTIONS,POST"),
        ("GET", "/v1/orders", "POST"),
        ("GET", "/v1/visitors", "POST"),
        ("DELETE", "/v1/openapi.json", "GET, HEAD"),
        ("POST", "/assets/pages.css", "GET,HEAD"),
    ],
)
def test_another_method(method: str, path: str, allowed: str) -> None:
    """The answer to a method that a path does not have names those that it has (RFC 9110, 15.5.6)."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.request(method, path)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)

    asyncio.run(check())


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80@shop.example", ""])
def test_the_host_header(host: str) -> None:
    """No answer depends on the header Host."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            for path in (gateway.link("c", SHOP), gateway.link("u")):
                answer = await client.get(path, headers={"Host": host}, allow_redirects=False)
                assert "evil" not in str(answer.headers) + await answer.text()

    asyncio.run(check())


def test_header_injection() -> None:
    """A line break in a path or a query never becomes a header."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get("/c/x%0d%0aSet-Cookie:%20a=b", allow_redirects=False)
            assert answer.status == 404
            assert "Set-Cookie" not in answer.headers

    asyncio.run(check())


def test_oversized_bodies() -> None:
    """A body above the limit is refused: one that says its length before it is read, and one that does not."""

    async def chunks() -> Any:
        for _ in range(40):
            yield b"a=" + b"x" * 4096

    async def check() -> None:
        gateway = FakeGateway()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with gateway.client() as client:
            answer = await client.post(gateway.link("u"), data=b"x" * (MAX_FORM_BYTES + 1), headers=form)
            assert answer.status == 413
            answer = await client.post(gateway.link("u"), data=chunks(), headers=form)
            assert answer.status == 413
        assert gateway.publisher.records == []

    asyncio.run(check())


def test_a_slow_body() -> None:
    """A client that does not send its body is cut off, and others are answered meanwhile."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client(body_timeout_s=0.05) as client:
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(
                f"POST {gateway.link('u')} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                "Content-Length: 100\r\n\r\nList".encode()
            )
            assert (await client.get(gateway.link("o"))).status == 200
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 408 ")
            writer.close()
        assert [sent["kind"] for sent in gateway.sent()] == ["opened"]

    asyncio.run(check())


def test_too_many_requests() -> None:
    """An address that sends too many requests gets 429 and a time to come back; others do not notice."""

    async def check() -> None:
        gateway = FakeGateway(gateway_requests_per_minute=3)
        async with gateway.client(trusted=networks_of("127.0.0.0/8")) as client:

            async def status(address: str) -> int:
                return int((await client.get("/some/page", headers={"X-Forwarded-For": address})).status)

            assert [await status("203.0.113.9") for _ in range(4)] == [404, 404, 404, 429]
            assert await status("203.0.113.10") == 404
            gateway.clock += 20
            assert await status("203.0.113.9") == 404

    asyncio.run(check())


def test_machines_of_many_people() -> None:
    """Valid opens, clicks and one-click requests are never limited, because one machine sends those of many people; invalid ones are."""

    async def check() -> None:
        gateway = FakeGateway(gateway_requests_per_minute=3)
        async with gateway.client() as client:
            for number in range(10):
                assert (await client.get(gateway.link("o", send_id=f"s-{number}"))).status == 200
            assert [(await client.get("/o/x")).status for _ in range(4)] == [404, 404, 404, 429]
            assert (await client.get(gateway.link("o"))).status == 200
            one_click = {"List-Unsubscribe": "One-Click"}
            assert (await client.post(gateway.link("u"), data=one_click)).status == 200

    asyncio.run(check())


def test_an_error_has_no_details(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that fails is logged with the id of the request, and the answer says nothing of the error."""

    async def fail(request: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    async def check() -> None:
        monkeypatch.setattr(server, "ROUTES", (lambda: [web.get("/fail", fail, name="fail")],))
        gateway = FakeGateway()
        with capture_logs() as lines:
            async with gateway.client() as client:
                answer = await client.get("/fail")
                assert (answer.status, await answer.text()) == (500, "Internal error\n")
        (line,) = lines
        assert (line["event"], line["route"]) == ("request failed", "fail")

    asyncio.run(check())


def test_a_label_is_never_a_path() -> None:
    """Requests are counted by the name of their route, and those of unknown paths together."""

    async def check() -> None:
        gateway = FakeGateway()
        counter = metrics.GATEWAY_REQUESTS.labels("unmatched", "4xx")
        before = counter._value.get()
        async with gateway.client() as client:
            await client.get("/some/path")
        assert counter._value.get() == before + 1
        assert server.route_names() >= {"click", "open", "unsubscribe", "unmatched"}

    asyncio.run(check())
