"""Ordering again, and the page of a friend."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.wire.topics import REORDERS
from tests.harness.gateway_fakes import NOW
from tests.harness.pages import ANNA, ORDER, TEA, Pages, opened, submit


def shop_folder(folder: Path, brand: str) -> Path:
    """Return a templates folder with a brand of its own."""
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "brand.yaml").write_text(brand, encoding="utf-8")
    return folder


async def test_page_shows_the_last_order() -> None:
    """The page has items, prices, sum and place of the last order."""
    pages = Pages()
    async with pages.client() as client:
        html = await opened(client, pages.link("b", "o-1"))
    for text in ("Darjeeling, first flush", "250 g", "Teapot &lt;b&gt;", "250,00", "599,00", "Aarhus"):
        assert text.replace(" ", "\xa0") in html or text in html


@pytest.mark.parametrize(
    ("language", "country", "amount"),
    [("en", "DK", "250,00 kr."), ("en", "GB", "DKK 250.00"), ("sv", "SE", "250,00 Dkr")],
)
async def test_money_is_written_as_in_the_emails(language: str, country: str, amount: str) -> None:
    """The page writes money in its language and the customer's country, as their emails do."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, country=country)
    async with pages.client() as client:
        html = await opened(client, pages.link("b", "o-1"), params={"lang": language})
    assert amount in html.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        ("da", "1 vare mere", "7 varer mere"),
        ("nb", "1 vare til", "7 varer til"),
        ("sv", "1 vara till", "7 varor till"),
        ("nl", "nog 1 artikel", "nog 7 artikelen"),
        ("en", "1 more item", "7 more items"),
    ],
)
async def test_an_order_of_many_items(language: str, one: str, many: str) -> None:
    """The page says how many items the order has that it does not list. It says nothing about others if it lists all."""
    pages = Pages()
    shown = []
    async with pages.client() as client:
        for more in (0, 1, 7):
            pages.people["c-1"] = replace(ANNA, order=replace(ORDER, more_lines=more))
            html = await opened(client, pages.link("b", "o-1"), params={"lang": language})
            shown.append([text for text in (f"{one}.", f"{many}.") if text in html])
    assert shown == [[], [f"{one}."], [f"{many}."]]


async def test_products_of_today() -> None:
    """A picture that the order lacks, today's price and the stock are those of the shop's products; the order keeps its own prices."""
    pages = Pages()
    cup = replace(
        TEA,
        sku="POT-2",
        title="Cup",
        unit_price_minor=34_900,
        is_available=False,
        image_url="http://shop.example/cup.jpg",
    )
    pages.products.update({"TEA-1": TEA, "POT-2": cup})
    async with pages.client() as client:
        html = (await opened(client, pages.link("b", "o-1"), params={"lang": "en"})).replace("\xa0", " ")
        await submit(client, pages.link("b", "o-1"), {"order": "o-1", "act": "order"})
    assert html.count('src="https://shop.example/tea.jpg"') == 1
    assert "cup.jpg" not in html  # the policy of the page allows https alone
    assert html.count("Today’s price:") == 1
    assert "139,00" in html
    assert html.index("In stock") < html.index("Sold out right now")
    assert "Teapot" in html  # the title of last time
    ((_, record),) = pages.topics()
    assert [item["shown_price_minor"] for item in record["items"]] == [12_500, 34_900]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stock": None}, "På lager"),
        ({"stock": 0}, "Udsolgt"),
        ({"is_available": False}, "Udsolgt"),
        ({"back_in_stock_at": NOW + timedelta(days=1)}, "Udsolgt"),
        ({"back_in_stock_at": NOW - timedelta(days=1)}, "På lager"),
        ({"currency": "EUR"}, "På lager"),
    ],
)
async def test_stock(changes: dict[str, Any], expected: str) -> None:
    """A product is in stock if it can be bought now and pieces are left or uncounted. A price in another currency is not shown."""
    pages = Pages()
    pages.products["TEA-1"] = replace(TEA, **changes)
    async with pages.client() as client:
        html = await opened(client, pages.link("b", "o-1"))
    assert [text for text in ("På lager", "Udsolgt") if text in html] == [expected]
    assert ("Pris i dag" in html) == ("currency" not in changes)


async def test_order_again() -> None:
    """The button publishes the items once a day: a form that is submitted twice is one request, and so is one of a page opened later."""
    pages = Pages()
    async with pages.client() as client:
        for _ in range(2):
            response = await submit(client, pages.link("b", "o-1"), {"order": "o-1", "act": "order"})
            assert response.headers["Location"].endswith("done=ordered")
            pages.now = pages.now.replace(hour=20)
        pages.now = pages.now.replace(day=3)
        await submit(client, pages.link("b", "o-1"), {"order": "o-1", "act": "order"})
    (topic, record), (_, again), (_, later) = pages.topics()
    assert (topic, record["order_id"], record["currency"]) == (REORDERS, "o-1", "DKK")
    assert record["items"][0] == {"sku": "TEA-1", "quantity": "2", "shown_price_minor": 12_500}
    assert again["reorder_id"] == record["reorder_id"] != later["reorder_id"]


async def test_newer_order() -> None:
    """If there is a newer order than that of the email, the page says so. If it changed after the page was opened, nothing is ordered."""
    pages = Pages()
    async with pages.client() as client:
        pages.people["c-1"] = replace(ANNA, order=replace(ORDER, order_id="o-2"))
        assert "Du har handlet, siden vi skrev" in await opened(client, pages.link("b", "o-1"))
        response = await submit(client, pages.link("b", "o-1"), {"order": "o-1", "act": "order"})
        assert response.status == 422
    assert pages.publisher.records == []


@pytest.mark.parametrize("id", [" ", " o-1", "o-1 ", "\u2003o-1\u00a0", "\u200eo-1", "o'\"<1>&amp;"])
async def test_order_id_survives_the_form(id: str) -> None:
    """An order can be ordered again whatever characters its id has, and an id that only looks like it is another order."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, order=replace(ORDER, order_id=id))
    async with pages.client() as client:
        html = await opened(client, pages.link("b", id))
        assert [unescape(value) for value in re.findall('name="order" value="([^"]*)"', html)] == [id]
        assert (await submit(client, pages.link("b", id), {"order": f"{id} ", "act": "order"})).status == 422
        assert (await submit(client, pages.link("b", id), {"order": id, "act": "order"})).status == 303
    ((_, record),) = pages.topics()
    assert record["order_id"] == id


async def test_unknown_order() -> None:
    """Without an order, the page leads to the shop, and nothing can be ordered."""
    pages = Pages()
    pages.people.clear()
    async with pages.client() as client:
        html = await opened(client, pages.link("b", "o-1"))
        assert "<form" not in html
        assert "https://shop.example/" in html


async def test_cart(tmp_path: Path) -> None:
    """With a cart template, the button is a link that fills the shop's cart, and nothing is published."""
    brand = 'name: Teahouse\ncart: "https://tea.example/cart?items={items}"\n'
    pages = Pages(templates_dir=shop_folder(tmp_path, brand))
    strange = replace(ORDER.lines[0], sku="A&B=\"'/ü", quantity="1.5")
    pages.people["c-1"] = replace(ANNA, order=replace(ORDER, lines=(strange, ORDER.lines[1])))
    async with pages.client() as client:
        html = await opened(client, pages.link("b", "o-1"))
    assert 'href="https://tea.example/cart?items=A%26B%3D%22%27%2F%C3%BC:1.5,POT-2:1"' in html
    assert "Teahouse" in html
    assert "<form" not in html


async def test_friend(tmp_path: Path) -> None:
    """The page of a friend has the code and the name of the customer, and its button leads to the shop with the code."""
    brand = 'name: Teahouse\nreferral: "https://tea.example/hi?code={code}"\n'
    pages = Pages(templates_dir=shop_folder(tmp_path, brand))
    async with pages.client() as client:
        html = await opened(client, pages.link("f", "AN NA&1"))
        assert 'href="https://tea.example/hi?code=AN%20NA%261"' in html
        assert "AN NA&amp;1" in html
        assert "Anna har noget til dig" in html
        pages.people.clear()
        assert "Anna" not in await opened(client, pages.link("f", "X"))
        assert (await client.post(pages.link("f", "X"))).status == 405
