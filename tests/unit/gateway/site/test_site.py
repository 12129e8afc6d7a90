"""Requests of the site script: only the browsing of known customers who agreed is stored."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.gateway.context import Unavailable
from streams.gateway.site.handlers import MAX_BYTES, MAX_EVENTS, script
from streams.settings import SettingsError, load_settings
from tests.harness.json_api import LINK_KEYS, NOW, JsonApi, json_api

SHOP = "https://shop.example"
VIEW = {"kind": "viewed", "sku": "JUG-1"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[JsonApi]:
    """The routes of the script and of the API. The customer c-no refused tracking."""
    people = {"c-no": SimpleNamespace(tracking=False), "c-yes": SimpleNamespace(tracking=True)}
    origins = "https://Shop.example/, https://www.shop.example"
    async with json_api(tmp_path, people, gateway_site_origins=origins) as served:
        yield served


def visitor(customer_id: str = "c-77") -> str:
    """Return the token of a customer."""
    return LINK_KEYS.seal("v", customer_id, "", "", NOW)


async def send(site: JsonApi, *events: Any, origin: str = SHOP, **said: Any) -> tuple[int, Any]:
    """Send events as the script does. Return the status and the answer."""
    body = json.dumps({"visitor": visitor(), "consent": True, "events": events, **said})
    answer = await site.client.post("/t", data=body, headers={"Origin": origin, "Content-Type": "text/plain"})
    if origin == SHOP:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    return answer.status, await answer.json(content_type=None) if answer.status != 204 else None


async def test_browsing_is_published(site: JsonApi) -> None:
    """Events of a known customer become records of the topic browsing, at the time of the gateway."""
    launch = "2026-05-01T08:00:00Z"
    assert await send(site, VIEW, {"kind": "added_to_cart", "sku": "s", "launches_at": launch}) == (204, None)
    first, second = site.decoded()
    assert first == {
        "customer_id": "c-77", "kind": "viewed", "sku": "JUG-1", "session_id": None, "occurred_at": NOW, "launches_at": None,
    }  # fmt: skip
    assert (second["kind"], second["launches_at"].isoformat()) == ("added_to_cart", "2026-05-01T08:00:00+00:00")
    assert len(set(site.ids)) == 2


@pytest.mark.parametrize(
    "said",
    [
        {"visitor": ""},
        {"visitor": visitor(), "consent": False},
        {"consent": "yes"},
        {"visitor": visitor("c-no")},
    ],
)
async def test_nothing_is_stored_without_a_customer_and_consent(site: JsonApi, said: dict[str, Any]) -> None:
    """The browsing of anonymous visitors, and of visitors who did not agree, is not stored."""
    assert (await send(site, VIEW, **said), site.published.records) == ((204, None), [])


async def test_agreement_is_kept(site: JsonApi) -> None:
    """The browsing of a customer who agreed to tracking is stored."""
    await send(site, VIEW, visitor=visitor("c-yes"))
    assert [record.key for record in site.published.records] == [b"c-yes"]


@pytest.mark.parametrize("token", ["x", LINK_KEYS.seal("p", "c-77", "s", "", NOW), visitor() + "A"])
async def test_tokens_of_other_uses(site: JsonApi, token: str) -> None:
    """A token of another use, or one that was changed, gets 404."""
    status, answer = await send(site, VIEW, visitor=token)
    assert (status, answer["code"], site.published.records) == (404, "unknown_visitor", [])


async def test_expired_tokens(site: JsonApi) -> None:
    """A token is not valid after half a year."""
    site.clock.now += timedelta(days=181)
    assert (await send(site, VIEW))[0] == 404


@pytest.mark.parametrize(
    "origin", ["", "null", "https://evil.example", "https://shop.example.evil.example", "http://shop.example"]
)
async def test_other_origins(site: JsonApi, origin: str) -> None:
    """Pages of other sites are refused, and their browsers are not allowed to read the answer."""
    for method in ("POST", "OPTIONS"):
        answer = await site.client.request(method, "/t", data=b"{}", headers={"Origin": origin})
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)


async def test_an_emptied_cart(site: JsonApi) -> None:
    """An emptied cart has no product."""
    assert await send(site, {"kind": "cart_emptied"}) == (204, None)
    assert [(record["kind"], record["sku"]) for record in site.decoded()] == [("cart_emptied", "")]


async def test_preflight(site: JsonApi) -> None:
    """A browser of the shop may ask before it sends."""
    answer = await site.client.options("/t", headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"})
    assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "POST")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"kind": "bought", "sku": "s"}, "events[1].kind"),
        ({"kind": "viewed"}, "events[1].sku"),
        ({"kind": "viewed", "sku": ""}, "events[1].sku"),
        ({**VIEW, "customer_id": "c-1"}, "events[1].customer_id"),
        ({**VIEW, "occurred_at": 0}, "events[1].occurred_at"),
        ("x", "events[1]"),
    ],
)
async def test_invalid_events(site: JsonApi, event: Any, field: str) -> None:
    """An invalid event is reported, and does not stop the others."""
    status, answer = await send(site, VIEW, event, VIEW)
    assert (status, answer["errors"][0]["field"], len(site.published.records)) == (422, field, 2)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"events":{}}', b'{"events":[],"visitor":1}', b"\xff", b"[" * 9999]
)
async def test_odd_requests(site: JsonApi, body: bytes) -> None:
    """A body that the script does not send gets 422."""
    answer = await site.client.post("/t", data=body, headers={"Origin": SHOP, "Content-Type": "text/plain"})
    assert answer.status == 422


async def test_limits(site: JsonApi) -> None:
    """Requests that are too large are refused."""
    assert (await send(site, *[VIEW] * MAX_EVENTS))[0] == 204
    assert (await send(site, *[VIEW] * (MAX_EVENTS + 1)))[0] == 422
    assert (await send(site, {"sku": "x" * MAX_BYTES}))[0] == 413
    answer = await site.client.post("/t", data=b"a=1", headers={"Origin": SHOP, "Content-Type": "text/html"})
    assert answer.status == 415


async def test_unavailable(site: JsonApi) -> None:
    """While nothing is stored, the answer is 503."""
    site.published.error = Unavailable()
    assert (await send(site, VIEW))[0] == 503


async def test_the_shops_server_names_a_visitor(site: JsonApi) -> None:
    """The shop's server gets the token of a customer with a key for events."""
    key = site.add_key("events")
    answer = await site.client.post("/v1/visitors", json={"customer_id": "c-9"}, headers=key)
    assert answer.status == 200
    await send(site, VIEW, visitor=(await answer.json())["visitor"])
    assert [record.key for record in site.published.records] == [b"c-9"]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"customer_id":1}', b'{"customer_id":""}', b"[", b'{"customer_id":"c","x":1}']
)
async def test_invalid_visitors(site: JsonApi, body: bytes) -> None:
    """A request for a token without a valid customer id gets 422, and one without the role 403."""
    headers = {"Content-Type": "application/json"}
    answer = await site.client.post("/v1/visitors", data=body, headers={**headers, **site.add_key("events")})
    assert answer.status == 422
    answer = await site.client.post("/v1/visitors", data=body, headers={**headers, **site.add_key("orders")})
    assert answer.status == 403


async def test_the_script_is_served(site: JsonApi) -> None:
    """The script is JavaScript that browsers may cache for an hour, and has less than 3,000 bytes."""
    answer = await site.client.get("/t.js")
    assert (answer.status, answer.content_type, answer.headers["Cache-Control"]) == (
        200, "text/javascript", "public, max-age=3600",
    )  # fmt: skip
    assert await answer.read() == script()
    assert len(script()) < 3000


def test_origins_are_checked() -> None:
    """An origin with a path, or without a scheme, is refused at the start."""
    for value in ("https://shop.example/shop", "shop.example", "https://shop.example,*"):
        with pytest.raises(SettingsError, match="TAKK_GATEWAY_SITE_ORIGINS"):
            load_settings(gateway_site_origins=value)


async def test_links_name_the_visitor_of_a_host_with_other_letters(tmp_path: Path) -> None:
    """Browsers send the ASCII form of such a host as their origin, and so does the setting. Links may have either form."""
    async with json_api(tmp_path, gateway_site_origins="https://xn--bl-zia.example") as served:
        for host in ("blå.example", "BLÅ.example", "xn--bl-zia.example"):
            token = LINK_KEYS.seal("c", "c-77", "s", f"https://{host}/jug", NOW)
            answer = await served.client.get(f"/c/{token}", allow_redirects=False)
            assert answer.headers["Location"].startswith("https://xn--bl-zia.example/jug?takk="), host


async def test_links_name_the_visitor(site: JsonApi) -> None:
    """A link of an email to a page of the shop has the token of the customer, unless they refused tracking."""
    targets = {
        "https://shop.example/jug?a=1#top": r"https://shop\.example/jug\?a=1&takk=(.+)#top",
        "https://WWW.shop.example/jug": r"https://WWW\.shop\.example/jug\?takk=(.+)",
    }
    for target, pattern in targets.items():
        token = LINK_KEYS.seal("c", "c-77", "s", target, NOW)
        answer = await site.client.get(f"/c/{token}", allow_redirects=False)
        found = re.fullmatch(pattern, answer.headers["Location"])
        assert found is not None
        assert LINK_KEYS.open("v", found[1], NOW).customer_id == "c-77"
    for customer, target in (("c-no", "https://shop.example/jug"), ("c-77", "https://other.example/?x#y")):
        token = LINK_KEYS.seal("c", customer, "s", target, NOW)
        answer = await site.client.get(f"/c/{token}", allow_redirects=False)
        assert answer.headers["Location"] == target
