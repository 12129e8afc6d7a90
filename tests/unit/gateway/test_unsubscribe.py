"""Unsubscribing over HTTP: a GET changes nothing, a mail program's request acts at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streams.core.values.tokens import Keyring
from streams.gateway.context import Unavailable
from tests.harness.gateway_fakes import NOW, SECRET, FakeGateway

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_get_changes_nothing(method: str) -> None:
    """A GET shows a page with a button, whoever follows the link."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.request(method, gateway.link("u", "review"))
            assert answer.status == 200
            assert answer.content_type == "text/html"
            if method == "get":
                assert 'method="post"' in await answer.text()
        assert gateway.publisher.records == []

    asyncio.run(check())


@pytest.mark.parametrize("is_multipart", [False, True])
@pytest.mark.parametrize(
    ("target", "scope"), [("marketing", "marketing"), ("review", "review"), ("new-scope", "marketing")]
)
def test_one_click(target: str, scope: str, is_multipart: bool) -> None:
    """The request of RFC 8058, in both encodings of forms and from any origin, is carried out and answered with 200."""

    async def check() -> None:
        from aiohttp import FormData

        gateway = FakeGateway()
        form = FormData(ONE_CLICK)
        form._is_multipart = is_multipart
        async with gateway.client() as client:
            answer = await client.post(gateway.link("u", target), data=form, headers={"Origin": "https://mail.example"})
            assert answer.status == 200
            assert answer.content_type == "text/plain"
        (sent,) = gateway.sent()
        assert (sent["kind"], sent["scope"], sent["customer_id"], sent["send_id"]) == (
            "unsubscribed",
            scope,
            "c-1",
            "s-1",
        )

    asyncio.run(check())


def test_a_link_of_any_age() -> None:
    """A link never expires, and those of earlier versions stay valid."""

    async def check() -> None:
        gateway = FakeGateway()
        link = gateway.link("u", "marketing")
        old = Keyring(SECRET.encode()).sign("unsubscribe", "s-9", "c-9", "survey")
        gateway.now = NOW + timedelta(days=5000)
        async with gateway.client() as client:
            for path in (link, f"/u/{old}"):
                assert (await client.post(path, data=ONE_CLICK)).status == 200
        assert [(sent["send_id"], sent["scope"]) for sent in gateway.sent()] == [
            ("s-1", "marketing"),
            ("s-9", "survey"),
        ]

    asyncio.run(check())


def test_the_button() -> None:
    """The form of the page unsubscribes from the scope of its button."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            assert (await client.post(gateway.link("u", "marketing"), data={"scope": "survey"})).status == 200
            assert (await client.post(gateway.link("u", "marketing"), data={"scope": "everything"})).status == 400
            assert (await client.post(gateway.link("u", "marketing"), data={})).status == 400
        assert [sent["scope"] for sent in gateway.sent()] == ["survey"]

    asyncio.run(check())


def test_a_record_that_is_not_safe() -> None:
    """A request whose record is not safe is answered with 503 and a time to come back: mail programs repeat it."""

    async def check() -> None:
        gateway = FakeGateway()
        gateway.publisher.error = Unavailable(7)
        async with gateway.client() as client:
            answer = await client.post(gateway.link("u", "marketing"), data=ONE_CLICK)
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "7"

    asyncio.run(check())


def test_a_repeat() -> None:
    """A link that is used a thousand times a minute makes one record, and each use is answered with success."""

    async def check() -> None:
        gateway = FakeGateway()
        link = gateway.link("u", "marketing")
        async with gateway.client() as client:
            for seconds in (0, 1, 60):
                gateway.now = NOW + timedelta(seconds=seconds)
                assert (await client.post(link, data=ONE_CLICK)).status == 200
        assert len(gateway.publisher.records) == 2

    asyncio.run(check())
