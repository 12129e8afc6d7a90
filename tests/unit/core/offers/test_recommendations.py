"""Recommendations: a case for each rule, and the products that are never recommended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.offers.assortment import Assortment
from streams.core.offers.recommendations import Bought, bought_of, fulfil, product_data, recommend
from tests.harness.products import AT, WEEK, assortment_of, counts_of, order, product, returned_parcel


def bought(*skus: str, categories: str = "", returned: str = "") -> Bought:
    """Return purchases; categories and returned skus are separated by spaces."""
    return Bought(frozenset(skus), frozenset(categories.split()), frozenset(returned.split()))


def chosen(purchases: Bought, assortment: Assortment, most: int = 10) -> list[str]:
    """Return the recommendations as `sku:reason`."""
    return [f"{each.sku}:{each.reason}" for each in recommend(purchases, assortment, WEEK, most)]


LAMP = product("lamp", "light", complements=("bulb", "shade"))
BULB = product("bulb", "light", is_consumable=True)
SHADE = product("shade")
UNAVAILABLE = {"is_available": False}


@pytest.mark.parametrize(
    ("purchases", "assortment", "expected"),
    [
        pytest.param(bought(), assortment_of(LAMP, counts=(counts_of("lamp", 3),)), [], id="no purchases"),
        pytest.param(
            bought("lamp"),
            assortment_of(LAMP, SHADE, BULB),
            ["bulb:complement", "shade:complement"],
            id="complements by sku",
        ),
        pytest.param(
            bought("lamp"),
            assortment_of(LAMP, SHADE, BULB, counts=(counts_of("shade", 1),)),
            ["shade:complement", "bulb:complement"],
            id="the more popular complement first",
        ),
        pytest.param(
            bought("lamp", "torch"),
            assortment_of(LAMP, SHADE, BULB, product("torch", complements=("bulb",)), counts=(counts_of("shade", 9),)),
            ["bulb:complement", "shade:complement"],
            id="the complement of more purchases first",
        ),
        pytest.param(
            bought("lamp"), assortment_of(LAMP, product("shade", **UNAVAILABLE)), [], id="out of stock, and unknown"
        ),
        pytest.param(
            bought("lamp", "bulb", "shade"),
            assortment_of(LAMP, SHADE, BULB),
            ["bulb:complement"],
            id="consumable, so again",
        ),
        pytest.param(
            bought("lamp", returned="bulb"),
            assortment_of(LAMP, SHADE, BULB),
            ["shade:complement"],
            id="returned, even if consumable",
        ),
        pytest.param(
            bought("lamp", returned="lamp"),
            assortment_of(LAMP, SHADE, BULB),
            [],
            id="a returned product recommends nothing",
        ),
        pytest.param(
            bought("v1"),
            assortment_of(product("v2", replaces="v1"), product("v3", replaces="v2")),
            ["v3:newer"],
            id="the newest",
        ),
        pytest.param(
            bought("v1"),
            assortment_of(product("v2", replaces="v1"), product("v3", replaces="v2", **UNAVAILABLE)),
            ["v2:newer"],
            id="the newest available",
        ),
        pytest.param(
            bought("v1", "v3"),
            assortment_of(product("v2", replaces="v1"), product("v3", replaces="v2")),
            [],
            id="has the newest",
        ),
        pytest.param(
            bought("v1", returned="v2"),
            assortment_of(product("v2", replaces="v1"), product("v3", replaces="v2", **UNAVAILABLE)),
            [],
            id="returned the newer one",
        ),
        pytest.param(
            bought("v1"),
            assortment_of(product("blue", replaces="v1"), product("red", replaces="v1"), counts=(counts_of("red", 1),)),
            ["red:newer", "blue:newer"],
            id="two newer ones",
        ),
        pytest.param(
            bought("a"),
            assortment_of(product("a", replaces="b"), product("b", replaces="a")),
            [],
            id="versions in a circle",
        ),
        pytest.param(
            bought("lamp", categories="light"),
            assortment_of(
                product("lamp", "light"),
                product("l1", "light"),
                product("l2", "light"),
                product("l3", "light"),
                product("l4", "light"),
                product("pot", "kitchen"),
                counts=(
                    counts_of("l1", 2),
                    counts_of("l2", 2, 0),
                    counts_of("l2", 1, 1),
                    counts_of("l3", 2),
                    counts_of("pot", 9),
                ),
            ),
            ["l2:category", "l1:category", "l3:category"],
            id="the best-selling of the category, over all partitions",
        ),
        pytest.param(
            bought("lamp", categories="light"),
            assortment_of(
                product("lamp", "light", replaces="old"), product("old", "light"), counts=(counts_of("old", 9),)
            ),
            [],
            id="no older version of a purchase",
        ),
        pytest.param(
            bought("a", "b"),
            assortment_of(
                *map(product, "abxyz"),
                counts=(counts_of("a", 1, 0, x=2, b=9), counts_of("a", 1, 1, y=1), counts_of("b", 1, 0, y=2, x=1, z=1)),
            ),
            ["x:also_bought", "y:also_bought", "z:also_bought"],
            id="bought with the same products, over all partitions",
        ),
        pytest.param(
            bought("lamp", categories="light"),
            assortment_of(
                LAMP,
                BULB,
                product("lamp2", "light", replaces="lamp"),
                product("spot", "light"),
                product("rug"),
                counts=(
                    counts_of("bulb", 1),
                    counts_of("spot", 1),
                    counts_of("lamp2", 9),
                    counts_of("lamp", 1, rug=3, bulb=5, spot=1),
                ),
            ),
            ["bulb:complement", "lamp2:newer", "spot:category", "rug:also_bought"],
            id="one rule after the other, each product once with its first reason",
        ),
    ],
)
def test_what_is_recommended(purchases: Bought, assortment: Assortment, expected: list[str]) -> None:
    """Each rule applies in its order and with its reason; a smaller number gives the first of them."""
    assert chosen(purchases, assortment) == expected
    for most in range(len(expected)):
        assert chosen(purchases, assortment, most) == expected[:most]


def test_the_assortment_follows_its_parts() -> None:
    """A cached ranking is dropped when the catalogue, the counts or the week change."""
    assortment = assortment_of(product("a", "c"), product("b", "c"), counts=(counts_of("a", 2), counts_of("b", 1)))
    purchases = bought("x", categories="c")
    assert chosen(purchases, assortment) == ["a:category", "b:category"]
    assortment.popularity.put(counts_of("b", 3))
    assert chosen(purchases, assortment) == ["b:category", "a:category"]
    assortment.popularity.put(counts_of("new", 9))
    assert chosen(purchases, assortment) == ["b:category", "a:category"]
    assortment.catalogue.put(product("new", "c"))
    assert chosen(purchases, assortment) == ["new:category", "b:category", "a:category"]
    assortment.catalogue.remove("new")
    assortment.catalogue.put(product("b", "c", **UNAVAILABLE))
    assert chosen(purchases, assortment) == ["a:category"]
    assortment.catalogue.remove("a")
    assert chosen(purchases, assortment) == []
    assortment.catalogue.put(product("a", "c"))
    assortment.popularity.remove("a", 0)
    assert chosen(purchases, assortment) == []
    assortment.popularity.put(counts_of("a", 1))
    assert [each.sku for each in recommend(purchases, assortment, WEEK + 7, 9)] == ["a"]
    assert recommend(purchases, assortment, WEEK + 8, 9) == ()


def test_a_new_record_moves_a_product() -> None:
    """A new record moves a product to its new category and versions; the same record changes nothing."""
    catalogue = assortment_of(product("b", "old", replaces="a")).catalogue
    catalogue.put(product("b", "new", replaces="z"))
    assert [*catalogue.of_category("old"), *catalogue.newer_than("a")] == []
    assert [*catalogue.of_category("new"), *catalogue.newer_than("z")] == ["b", "b"]
    changes = catalogue.changes
    catalogue.put(product("b", "new", replaces="z"))
    catalogue.remove("unknown")
    assert catalogue.changes == changes
    catalogue.remove("b")
    assert (len(catalogue), [*catalogue], catalogue.get("b")) == (0, [], None)


def test_products_without_a_category() -> None:
    """Products without a category do not share one."""
    assert assortment_of(product("a")).catalogue.of_category("") == frozenset()


def test_what_was_bought() -> None:
    """Kept, returned, refunded, cancelled and unplaced orders; a returned parcel without lines returns all."""
    orders = [
        order("o1", "kept", "back", parcels=(returned_parcel("back"),)),
        order("o2", "refunded", refunded_at=AT),
        order("o3", "cancelled", cancelled_at=AT),
        order("o4", "unplaced", placed=False),
        order("o5", "all", parcels=(returned_parcel(),)),
        replace(order("o6", "parcels only"), facts=None),
    ]
    assert bought_of(orders) == Bought(
        frozenset({"kept"}), frozenset({"cat-kept"}), frozenset({"back", "refunded", "all"})
    )


def test_the_data_for_templates() -> None:
    """The data of `products` has JSON types, minor units and the reason; removed products are left out."""
    assortment = assortment_of(
        LAMP, product("bulb", url="https://shop.example/bulb", image_url="https://shop.example/b.png")
    )
    recommendations = recommend(bought("lamp"), assortment, WEEK, 1)
    assert product_data(recommendations, assortment.catalogue) == [
        {
            "sku": "bulb",
            "title": "bulb",
            "url": "https://shop.example/bulb",
            "image_url": "https://shop.example/b.png",
            "price": {"minor": 100, "currency": "DKK"},
            "compared_price": None,
            "reason": "complement",
        }
    ]
    assert json.loads(json.dumps(product_data(recommendations, assortment.catalogue))) == product_data(
        recommendations, assortment.catalogue
    )
    assortment.catalogue.remove("bulb")
    assert product_data(recommendations, assortment.catalogue) == []


SHOP = assortment_of(
    LAMP,
    product("green", "tea"),
    product("black", "tea", categories=("tea", "gifts")),
    product("mug", "cups", **UNAVAILABLE),
    product("pot", "cups", categories=("gifts",)),
    product("loose"),
    counts=tuple([counts_of(sku, orders) for sku, orders in (("loose", 9), ("mug", 8), ("pot", 7), ("black", 2), ("green", 1))]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"categories": 2}, {"categories": ["cups:pot:bestseller", "tea:black:bestseller"]}),
        ({"categories": 9, "favourites": ["tea", "gone"]}, {"categories": ["tea:black:favourite", "cups:pot:bestseller"]}),
        ({"most": 2, "at_least": 1, "sources": ["bestsellers"]}, {"products": ["loose:bestseller", "pot:bestseller"]}),
        ({"most": 2, "at_least": 1, "sources": ["of a newer version", "bestsellers"]}, {"products": ["loose:bestseller", "pot:bestseller"]}),
        ({"most": 9, "at_least": 1, "category": "gifts"}, {"products": ["pot:bestseller", "black:bestseller"]}),
        ({"most": 9, "at_least": 1, "sources": ["browsed"], "viewed": ["mug", "green", "unknown"]}, {"products": ["green:browsed"]}),
        ({"most": 9, "at_least": 2, "sources": ["browsed"], "viewed": ["green"]}, None),
        ({"most": 1, "at_least": 1, "sources": ["favourites"], "favourites": ["tea"], "categories": 1},
         {"products": ["black:favourite"], "categories": ["tea:black:favourite"]}),
    ],
)  # fmt: skip
def test_requests(request_: dict[str, Any], expected: dict[str, list[str]] | None) -> None:
    """A request names sources, a category and a number of categories; one that cannot be fulfilled has no email."""
    wanted = {"most": 0, "at_least": 0, "bought": {"skus": [], "categories": [], "returned": []}} | request_
    found = fulfil(json.loads(json.dumps(wanted)), SHOP, WEEK)
    if found is not None:
        short = {"products": [f"{one['sku']}:{one['reason']}" for one in found.get("products", [])]}
        short["categories"] = [
            f"{one['category']}:{one['product']['sku']}:{one['reason']}" for one in found.get("categories", [])
        ]
        assert {name: values for name, values in short.items() if name in found} == expected
    else:
        assert expected is None


def test_no_category_can_be_recommended() -> None:
    """Without sales no category is a bestseller, so there is no email."""
    request = {"most": 0, "at_least": 0, "bought": {}, "categories": 2}
    assert fulfil(request, assortment_of(LAMP), WEEK) is None
