"""Clicks and opens over HTTP, with the records that they make."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streams.core.model.events import MailClicked
from streams.gateway.context import Unavailable
from streams.gateway.producers import RecordRefused
from streams.gateway.requests import event_id
from streams.observability import metrics
from streams.wire.decode.decoder import Decoder
from streams.wire.validation import MAX_LINK
from tests.harness.gateway_fakes import NOW, SECRET, FakeGateway
from tests.harness.tokens import signed_token

SHOP = "https://shop.example/p/blå?x=1&y=%20#top"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def test_a_click() -> None:
    """A click redirects to the address in the link, and its record names the email, the address and the class of the client."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get(gateway.link("c", SHOP), allow_redirects=False, headers=BROWSER)
            assert answer.status == 302
            assert answer.headers["Location"] == "https://shop.example/p/bl%C3%A5?x=1&y=%20#top"
        (record,) = gateway.publisher.records
        (sent,) = gateway.sent()
        assert record.topic == "email-engagement"
        assert record.key == b"c-1"
        assert (sent["kind"], sent["customer_id"], sent["send_id"], sent["agent"]) == ("clicked", "c-1", "s-1", "human")
        assert (sent["link"], sent["occurred_at"]) == (SHOP, NOW)
        assert dict(record.headers)["ce_id"].decode() == sent["event_id"]
        event = Decoder(gateway.codec).event(record.topic, record.key, record.value, 0)
        assert event.customer_id == "c-1"

    asyncio.run(check())


def test_a_click_on_a_link_in_capitals() -> None:
    """The scheme of a link may be in capitals, as in emails that were sent so."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get(
                gateway.link("c", "HTTPS://shop.example/sale"), allow_redirects=False, headers=BROWSER
            )
            assert (answer.status, answer.headers["Location"]) == (302, "HTTPS://shop.example/sale")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("https://blå.example/å?q=ø#æ", "https://xn--bl-zia.example/%C3%A5?q=%C3%B8#%C3%A6"),
        ("https://BLÅ.example:8443/", "https://xn--bl-zia.example:8443/"),
        ("https://bl%C3%A5.example/", "https://xn--bl-zia.example/"),
        ("https://anna@blå.example?x=@å", "https://anna@xn--bl-zia.example?x=@%C3%A5"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://i❤.example/", "https://xn--i-7iq.example/"),
        ("https://[2001:db8::1]:8443/å", "https://[2001:db8::1]:8443/%C3%A5"),
        ("https://a..ü/", "https://a..%C3%BC/"),
        ("https://xn--bl-zia.example/blå", "https://xn--bl-zia.example/bl%C3%A5"),
    ],
)
def test_a_host_with_other_letters(target: str, location: str) -> None:
    """The host of a redirect is in its ASCII form, which every client knows; the rest is percent-encoded. The record has the link as it is."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get(gateway.link("c", target), allow_redirects=False, headers=BROWSER)
            assert (answer.status, answer.headers["Location"]) == (302, location)
        assert [sent["link"] for sent in gateway.sent()] == [target]

    asyncio.run(check())


def test_an_open() -> None:
    """The pixel is a GIF that no cache keeps, and its record names the email."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get(gateway.link("o"), headers={"User-Agent": "Mozilla/5.0"})
            assert answer.status == 200
            assert answer.content_type == "image/gif"
            assert answer.headers["Cache-Control"] == "no-store"
            assert (await answer.read()).startswith(b"GIF89a")
        (sent,) = gateway.sent()
        assert (sent["kind"], sent["agent"], sent["link"]) == ("opened", "privacy_proxy", None)

    asyncio.run(check())


@pytest.mark.parametrize(("use", "target"), [("c", SHOP), ("o", "")])
def test_a_head_request_is_not_recorded(use: str, target: str) -> None:
    """A HEAD request gets the same answer, and records nothing."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.head(gateway.link(use, target), allow_redirects=False, headers=BROWSER)
            assert answer.status == (302 if use == "c" else 200)
        assert gateway.publisher.records == []

    asyncio.run(check())


def test_repeats() -> None:
    """A link that is followed twice within a minute makes one record; the next minute, another link and another client make their own."""

    async def check() -> None:
        gateway = FakeGateway()
        link, other = gateway.link("c", SHOP), gateway.link("c", "https://shop.example/")
        async with gateway.client() as client:
            for path, headers, seconds in (
                (link, BROWSER, 0),
                (link, BROWSER, 10),
                (link, {"User-Agent": "curl/8"}, 10),
                (other, BROWSER, 10),
                (link, BROWSER, 60),
            ):
                gateway.now = NOW + timedelta(seconds=seconds)
                assert (await client.get(path, allow_redirects=False, headers=headers)).status == 302
        assert [(sent["agent"], sent["link"]) for sent in gateway.sent()] == [
            ("human", SHOP),
            ("scanner", SHOP),
            ("human", "https://shop.example/"),
            ("human", SHOP),
        ]
        assert len({sent["event_id"] for sent in gateway.sent()}) == 4

    asyncio.run(check())


def test_a_long_link() -> None:
    """The customer comes to the whole address, and the record has as much of it as workers accept."""

    async def check() -> None:
        gateway, address = FakeGateway(), "https://shop.example/?q=" + "x" * MAX_LINK
        async with gateway.client() as client:
            answer = await client.get(gateway.link("c", address), allow_redirects=False, headers=BROWSER)
            assert answer.headers["Location"] == address
        (record,) = gateway.publisher.records
        event = Decoder(gateway.codec).event(record.topic, record.key, record.value, 0)
        assert isinstance(event, MailClicked)
        assert event.link == address[:MAX_LINK]

    asyncio.run(check())


@pytest.mark.parametrize("error", [Unavailable(), RecordRefused("too large")])
def test_a_record_that_is_not_safe(error: Exception) -> None:
    """If neither Kafka nor the spool takes the record, the customer gets the page, the loss is counted, and a repeat records it."""

    async def check() -> None:
        gateway = FakeGateway()
        counter = metrics.GATEWAY_UNRECORDED.labels("clicked")
        before = counter._value.get()
        async with gateway.client() as client:
            gateway.publisher.error = error
            link = gateway.link("c", SHOP)
            assert (await client.get(link, allow_redirects=False, headers=BROWSER)).status == 302
            assert counter._value.get() == before + 1
            gateway.publisher.error = None
            assert (await client.get(link, allow_redirects=False, headers=BROWSER)).status == 302
        assert len(gateway.publisher.records) == 1

    asyncio.run(check())


def test_a_pixel_of_an_earlier_version() -> None:
    """The signed tokens of emails that were sent before stay valid."""

    async def check() -> None:
        gateway = FakeGateway()
        token = signed_token(SECRET.encode(), "open", "s-9", "c-9")
        async with gateway.client() as client:
            assert (await client.get(f"/o/{token}", headers=BROWSER)).status == 200
            assert (await client.get(f"/u/{token}", headers=BROWSER)).status == 404
        (sent,) = gateway.sent()
        assert (sent["send_id"], sent["customer_id"]) == ("s-9", "c-9")

    asyncio.run(check())


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "//evil.example/",
        "data:text/html,x",
        "ftp://shop.example/",
        "",
        "https://shop.example/\r\nX: y",
    ],
)
def test_a_target_that_is_not_a_page(target: str) -> None:
    """A sealed link to anything but a web page redirects nowhere."""

    async def check() -> None:
        gateway = FakeGateway()
        async with gateway.client() as client:
            answer = await client.get(gateway.link("c", target), allow_redirects=False, headers=BROWSER)
            assert answer.status == 404
            assert "Location" not in answer.headers
        assert gateway.publisher.records == []

    asyncio.run(check())


def test_an_id() -> None:
    """An id depends on each part, and on where one part ends."""
    parts = ("c", "s", "t", "clicked", "1")
    assert event_id(*parts) == event_id(*parts)
    assert len(event_id(*parts)) == 32
    others = [("cs", "", "t", "clicked", "1"), ("c", "s", "t", "clicked", "2"), ("o", "s", "t", "clicked", "1")]
    assert len({event_id(*parts), *(event_id(*other) for other in others)}) == 4
