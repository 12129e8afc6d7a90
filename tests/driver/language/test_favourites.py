"""Favourite categories, and the sources of recommendations: a case for each on the driver, with the products that the mailer would choose."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.model.events import OrderLine, OrderPlaced, ProductBrowsed
from streams.core.offers.catalogue import Catalogue
from streams.core.sending.content import template_data
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of
from tests.harness.products import product

CATALOGUE = Catalogue(
    (
        product("green", "tea", complements=("pot",)),
        product("black", "tea"),
        product("pot", "pots", categories=("pots", "tea")),
        product("beans", "coffee"),
        product("mug", "cups"),
        product("rug"),
    )
)


def shop(send: str, *more: str, **settings: Any) -> Driver:
    """A driver whose flow recommends at each order. Other customers have bought each product, `mug` most often and `pot` twice."""
    body = f"trigger: {{on: order.placed, where: customer.country == 'DK'}}\nsteps: [{{wait: 1h}}, {{send: {{message: a, {send}}}}}]"
    run = Driver(ruleset_of(flow_text(body, purpose="marketing"), *more, **settings), catalogue=CATALOGUE)
    for number, sku in enumerate(("mug", "mug", "mug", "pot", "pot", "black", "beans", "rug", "green")):
        run.handle(placed(run, f"n{number}", sku, customer_id=f"n{number}", country="SE", ship_country="SE"))
    return run


def placed(run: Driver, order_id: str, *skus: str, **changes: Any) -> OrderPlaced:
    """The event of an order of these products."""
    lines = tuple([OrderLine(sku, sku, (CATALOGUE.get(sku) or product(sku)).category, 1, 100) for sku in skus])
    return OrderPlaced(order(order_id, run.now, lines=lines, **changes), run.now)


def chosen(run: Driver, name: str = "products") -> list[list[str]]:
    """The products, or the categories, of each email of c1, with their reasons."""
    key = "sku" if name == "products" else "category"
    found = [template_data(mail.content)[name] for mail in run.mails("c1")]
    return [[f"{one[key]}:{one['reason']}" for one in each] for each in found]


@pytest.mark.parametrize(
    ("send", "products"),
    [
        ("products: 9", ["pot:complement", "black:category"]),
        ("products: 9, from: [complements]", ["pot:complement"]),
        ("products: 9, from: [same_categories]", ["black:category"]),
        ("products: 9, from: [favourites]", ["black:favourite"]),
        ("products: 2, from: [bestsellers]", ["mug:bestseller", "pot:bestseller"]),
        ("products: 3, from: [favourites, bestsellers]", ["black:favourite", "mug:bestseller", "pot:bestseller"]),
        ("products: 9, from: [browsed]", ["rug:browsed", "mug:browsed"]),
        ("products: 9, category: tea", ["pot:complement", "black:category"]),
        ("products: 9, category: coffee", ["beans:bestseller"]),
        ("products: 9, category: cups, from: [browsed, bestsellers]", ["mug:browsed"]),
        ("products: 9, category: tea, from: [bestsellers]", ["pot:bestseller", "black:bestseller"]),
    ],
)
def test_sources(send: str, products: list[str]) -> None:
    """Products come from the named sources in their order, each once with its first reason, and only of the category."""
    run = shop(send)
    for sku in ("mug", "green", "rug"):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
        run.advance(HOUR)
    run.handle(placed(run, "o1", "green"))
    run.advance(2 * HOUR)
    assert chosen(run) == [products]


def test_cold_start() -> None:
    """A customer without purchases gets bestsellers, if they are the last source; otherwise the email is not sent."""
    for sources, messages in (("complements", []), ("complements, favourites, bestsellers", ["a"])):
        run = shop(f"products: 2, from: [{sources}]")
        run.handle(placed(run, "o1", "unknown"))
        run.advance(2 * HOUR)
        assert run.messages("c1") == messages
    assert chosen(run) == [["mug:bestseller", "pot:bestseller"]]


def test_categories() -> None:
    """Categories are the favourites of the customer, then those of the bestsellers, each with its best product that may be recommended."""
    run = shop("categories: 3")
    run.handle(placed(run, "o1", "green"))
    run.advance(2 * HOUR)
    assert chosen(run, "categories") == [["tea:favourite", "cups:bestseller", "pots:bestseller"]]
    data = template_data(run.mails("c1")[0].content)
    assert [one["product"]["sku"] for one in data["categories"]] == ["black", "mug", "pot"]
    assert "products" not in data


def test_favourites_of_a_customer() -> None:
    """The favourite is the category of the most orders, and emails show all of them."""
    split = "split: [{when: \"customer.top_category == 'coffee'\", steps: [{send: {message: b}}]}, {otherwise: [{send: {message: a}}]}]"
    run = Driver(ruleset_of(flow_text(f"trigger: {{on: order.placed}}\nsteps: [{{{split}}}]")))
    for number, skus in enumerate((("green", "black"), ("beans",), ("beans", "green"), ("beans",))):
        run.handle(placed(run, f"o{number}", *skus))
        run.advance(DAY)
    assert run.messages() == ["a", "b", "b", "b"]  # of as many orders, the newer one
    customer = template_data(run.mails()[-1].content)["customer"]
    assert customer["top_category"] == "coffee"
    assert customer["categories"] == [{"category": "coffee", "orders": 3}, {"category": "tea", "orders": 2}]


def test_views_are_kept_only_if_needed() -> None:
    """Without an email that recommends them, views are not stored; with one, each product once, the newest 10."""
    for send, number in (("products: 2", 0), ("products: 2, from: [browsed]", 10)):
        run = shop(send)
        for each in (*range(12), 11):
            run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=f"s{each}", occurred_at=run.now))
            run.advance(HOUR)
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="old", occurred_at=run.now - 99 * DAY))
        assert [view.sku for view in run.customers["c1"].viewed] == [f"s{each}" for each in range(12 - number, 12)]


def test_the_state_without_these_words() -> None:
    """Flows that use none of the words leave the new parts of the state empty."""
    run = Driver(ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]")))
    buy(run)
    assert (run.customers["c1"].purchase_log, run.customers["c1"].viewed) == (None, ())
    assert template_data(run.mails()[0].content)["customer"]["categories"] == []
