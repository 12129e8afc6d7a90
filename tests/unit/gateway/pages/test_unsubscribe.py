"""The page to unsubscribe: a GET changes nothing, the choice of scope, one click of mail programs, and coming back."""

from __future__ import annotations

import pytest
from aiohttp import FormData

from streams.gateway.context import Unavailable
from streams.wire.topics import ENGAGEMENT, REQUESTS
from tests.harness.gateway_fakes import SECRET
from tests.harness.pages import Pages, check_of, opened, submit
from tests.harness.tokens import signed_token, unkeyed_token

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


async def test_get_changes_nothing() -> None:
    """Opening the page, also as a scanner does again and again, publishes nothing."""
    pages = Pages()
    async with pages.client() as client:
        for query in ("", "?done=marketing", "?scope=marketing&act=leave"):
            await opened(client, pages.link("u", "marketing") + query)
    assert pages.publisher.records == []


@pytest.mark.parametrize("scope", ["marketing", "review", "survey", "service"])
async def test_leave(scope: str) -> None:
    """The button unsubscribes from the chosen scope, and the page after it says so."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link("u", "marketing")
        response = await submit(client, path, {"scope": scope, "act": "leave"})
        assert response.status == 303
        assert response.headers["Location"] == f"?lang=da&done={scope}"
        html = await opened(client, path + response.headers["Location"])
    ((topic, record),) = pages.topics()
    assert topic == ENGAGEMENT
    assert (record["kind"], record["scope"], record["customer_id"]) == ("unsubscribed", scope, "c-1")
    assert 'value="return"' in html


async def test_scope_of_the_email_is_chosen_first() -> None:
    """The scope of the email is the first choice and is chosen."""
    pages = Pages()
    async with pages.client() as client:
        html = await opened(client, pages.link("u", "survey"))
    assert html.index('value="survey" checked') < html.index('value="marketing"')


async def test_double_submit_has_one_id() -> None:
    """The same form twice has the same id; leaving again after coming back has another one."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link("u", "marketing")
        html = await opened(client, path)
        for _ in range(2):
            data = {"check": check_of(html), "scope": "marketing", "act": "leave"}
            await client.post(path, data=data, allow_redirects=False)
        pages.now = pages.now.replace(second=31)
        await submit(client, path, {"scope": "marketing", "act": "leave"})
    first, second, later = pages.ids()
    assert first == second
    assert later != first


@pytest.mark.parametrize("scope", ["marketing", "review", "survey", "service"])
async def test_return_answers_one_scope(scope: str) -> None:
    """Subscribing again is a yes with evidence to that scope only: service is not marketing."""
    pages = Pages()
    async with pages.client() as client:
        response = await submit(client, pages.link("u", scope), {"scope": scope, "act": "return"})
        assert response.headers["Location"].endswith(f"done=back-{scope}")
    ((topic, record),) = pages.topics()
    assert topic == REQUESTS
    assert record["kind"] == "preferences"
    assert record["answers"] == {scope: True}
    assert record["notice"]
    assert record["source"] == "unsubscribe page"
    assert "Takk" in record["wording"]


async def test_fewer() -> None:
    """The second button asks for fewer emails, and does not unsubscribe."""
    pages = Pages()
    async with pages.client() as client:
        await submit(client, pages.link("u", "marketing"), {"scope": "marketing", "act": "fewer"})
    ((topic, record),) = pages.topics()
    assert (topic, record["kind"], record["frequency"]) == (REQUESTS, "frequency", "fewer")
    assert record["request_id"].startswith("frequency-")


@pytest.mark.parametrize("is_multipart", [False, True])
@pytest.mark.parametrize(("target", "scope"), [("marketing", "marketing"), ("review", "review"), ("new", "marketing")])
async def test_one_click(target: str, scope: str, is_multipart: bool) -> None:
    """The request of a mail program, in both encodings of forms and from any origin, is carried out and answered with 200 (RFC 8058)."""
    pages = Pages()
    form = FormData(ONE_CLICK)
    form._is_multipart = is_multipart
    async with pages.client() as client:
        headers = {"Origin": "https://mail.example"}
        response = await client.post(pages.link("u", target), data=form, headers=headers, allow_redirects=False)
        assert (response.status, response.content_type) == (200, "text/plain")
    ((_, record),) = pages.topics()
    assert (record["kind"], record["scope"], record["send_id"]) == ("unsubscribed", scope, "s-1")


async def test_one_click_that_is_not_safe() -> None:
    """A request whose record is not safe is answered with 503 and a time to come back: mail programs repeat it."""
    pages = Pages()
    pages.publisher.error = Unavailable(7)
    async with pages.client() as client:
        response = await client.post(pages.link("u", "marketing"), data=ONE_CLICK)
        assert (response.status, response.headers["Retry-After"]) == (503, "7")


@pytest.mark.parametrize("has_key_id", [False, True])
async def test_link_of_an_earlier_version(has_key_id: bool) -> None:
    """The signed token of an email from an earlier version still unsubscribes."""
    pages = Pages()
    token = (signed_token if has_key_id else unkeyed_token)(SECRET.encode(), "unsubscribe", "s-0", "c-9", "survey")
    async with pages.client() as client:
        await opened(client, f"/u/{token}")
        await client.post(f"/u/{token}", data=ONE_CLICK)
    ((_, record),) = pages.topics()
    assert (record["customer_id"], record["send_id"], record["scope"]) == ("c-9", "s-0", "survey")


async def test_form_from_elsewhere() -> None:
    """A form without the page's hidden value, or from another site, publishes nothing and shows the page again."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link("u", "marketing")
        without = await client.post(path, data={"scope": "review", "act": "leave"}, allow_redirects=False)
        other = check_of(await opened(client, pages.link("u", "review")))
        foreign = await client.post(path, data={"check": other, "scope": "review", "act": "leave"})
        headers = {"Origin": "https://evil.example"}
        elsewhere = await submit(client, path, {"scope": "review", "act": "leave"}, headers=headers)
        site = await submit(client, path, {"scope": "review", "act": "leave"}, headers={"Sec-Fetch-Site": "cross-site"})
        null = await submit(client, path, {"scope": "review", "act": "leave"}, headers={"Origin": "null"})
        assert [r.status for r in (without, foreign, elsewhere, site, null)] == [403, 403, 403, 403, 303]
        assert 'value="review" checked' in await without.text()
    assert len(pages.publisher.records) == 1


async def test_invalid_scope() -> None:
    """A scope that does not exist shows the page again with an error."""
    pages = Pages()
    async with pages.client() as client:
        response = await submit(client, pages.link("u", "marketing"), {"scope": "order", "act": "leave"})
        assert response.status == 422
        assert 'role="alert"' in await response.text()
    assert pages.publisher.records == []


async def test_busy() -> None:
    """While records cannot be made safe, the page says so and keeps the choice."""
    pages = Pages()
    pages.publisher.error = Unavailable(7)
    async with pages.client() as client:
        response = await submit(client, pages.link("u", "marketing"), {"scope": "survey", "act": "leave"})
        assert (response.status, response.headers["Retry-After"]) == (503, "7")
        assert 'value="survey" checked' in await response.text()
