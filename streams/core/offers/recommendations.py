"""Which products to recommend to a customer, and why: a function of purchases, catalogue, sales counts and week.

Products that are unavailable, or that the customer returned, are never recommended. Neither are products that the customer has, unless
they are consumable, nor their older versions. The same arguments give the same products, on every worker and after every restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import is_purchase
from streams.core.offers.assortment import Assortment
from streams.core.offers.candidates import SOURCES, Candidates, Reason, RecommendationRequest
from streams.core.offers.candidates import Bought as Bought
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.rules.recommends import DEFAULT_SOURCES, MOST_FAVOURITES, USUAL, Recommends

#: The key of an email's template data at which its request for products is.
REQUEST_KEY = "recommend"


class Recommendation(Struct, frozen=True, gc=False):
    """A product, and the first reason to recommend it."""

    sku: str
    reason: Reason


def request_for(
    orders: Iterable[OrderState],
    most: int,
    at_least: int,
    recommends: Recommends = USUAL,
    favourites: Iterable[str] = (),
    viewed: Iterable[str] = (),
) -> dict[str, Any]:
    """Return a request for products in JSON types, as an email's template data contains it (`REQUEST_KEY`).

    The mailer fulfils it when it renders the email (see `fulfil`).

    Args:
        orders: the customer's orders.
        most: the number of products at most.
        at_least: the number below which the email is not sent.
        recommends: where they come from, and how many categories the email shows.
        favourites: the customer's categories, the favourite first.
        viewed: the products that the customer viewed, the newest first.
    """
    bought = bought_of(orders)
    # The keys are those of the wire; `RecommendationRequest` reads them.
    purchases = {
        "skus": sorted(bought.skus),
        "categories": sorted(bought.categories),
        "returned": sorted(bought.returned),
    }
    request: dict[str, Any] = {"most": most, "at_least": at_least, "bought": purchases}
    if recommends is not USUAL:
        named = [*favourites][: max(MOST_FAVOURITES, recommends.categories)] if recommends.reads_purchases else []
        choice = {
            "sources": list(recommends.sources),
            "category": recommends.category,
            "categories": recommends.categories,
            "favourites": named,
            "viewed": list(viewed) if "browsed" in recommends.sources else [],
        }
        request |= {name: value for name, value in choice.items() if value}
    return request


def fulfil(request: Any, assortment: Assortment, week: int) -> dict[str, list[dict[str, Any]]] | None:
    """Return the products and categories for a request from an email's template data, as templates get them (`products`, `categories`).

    Return None if there are fewer than it needs.

    Args:
        request: the value of `REQUEST_KEY`, in JSON types.
        assortment: all products and their sales.
        week: the week of the request, see `popularity.week_of`.

    Raises:
        msgspec.ValidationError: `request` is not a valid request.
    """
    parsed = msgspec.convert(request, RecommendationRequest)
    recommendations = recommend(parsed.bought, assortment, week, parsed.most, parsed)
    found = {"products": product_data(recommendations, assortment.catalogue)}
    if len(found["products"]) < parsed.at_least:
        return None
    if parsed.categories:
        found["categories"] = _category_data(parsed, assortment, week)
        if not found["categories"]:
            return None
        if not parsed.most:
            del found["products"]
    return found


def bought_of(orders: Iterable[OrderState]) -> Bought:
    """Return the purchases in a customer's orders.

    A cancelled order was never bought. The products of a refunded order, and those in a returned parcel, were returned.
    """
    skus: set[str] = set()
    categories: set[str] = set()
    returned: set[str] = set()
    for order in orders:
        if order.facts is None or not is_purchase(order):
            continue
        lines = [line for line in order.facts.lines if line.is_orderable]
        parcels = [parcel for parcel in order.parcels if parcel.is_back]
        back = {sku for parcel in parcels for sku, _ in parcel.lines if sku}
        # The contents of a parcel may be unknown: then the whole order may have been returned.
        if order.refunded_at is not None or not all(parcel.lines for parcel in parcels):
            back.update(line.sku for line in lines)
        returned |= back
        skus.update(line.sku for line in lines if line.sku not in back)
        categories.update(line.category for line in lines if line.sku not in back and line.category)
    return Bought(frozenset(skus), frozenset(categories), frozenset(returned))


def recommend(
    bought: Bought, assortment: Assortment, week: int, most: int, request: RecommendationRequest | None = None
) -> tuple[Recommendation, ...]:
    """Return the products to recommend, each once, the best first.

    By default, complements of purchases come first, then newer versions of them. Best-selling products of the same categories follow,
    then products that were bought with the same purchases. A request for one category ends with the best-selling products of it. Among
    equals the better-selling comes first, then the smaller sku.

    Args:
        bought: the customer's purchases.
        assortment: all products and their sales.
        week: the week of the request, see `popularity.week_of`.
        most: the number of products at most.
        request: the sources and the category; None for the default.
    """
    candidates = Candidates(bought, assortment, week, request)
    category = request.category if request is not None else ""
    names = request.sources if request is not None else ()
    chosen: dict[str, Reason] = {}
    for name in names or (*DEFAULT_SOURCES, *(("bestsellers",) if category else ())):
        if len(chosen) >= most:
            break
        source = SOURCES.get(name)  # the one of a newer version is left out
        for sku in source[1](candidates) if source is not None else ():
            if len(chosen) >= most:
                break
            if sku not in chosen and candidates.is_allowed(sku) and candidates.is_of(sku, category):
                chosen[sku] = source[0] if source is not None else "bestseller"
    return tuple([Recommendation(sku, reason) for sku, reason in chosen.items()])


def _category_data(request: RecommendationRequest, assortment: Assortment, week: int) -> list[dict[str, Any]]:
    """Return the categories to recommend: the customer's favourites, then those of the best-selling products, each with its best product."""
    candidates = Candidates(request.bought, assortment, week, request)
    found: dict[str, dict[str, Any]] = {}

    def add(category: str, reason: Reason, skus: Iterable[str]) -> None:
        best = next((sku for sku in skus if candidates.is_allowed(sku)), None)
        if best is not None:
            (product,) = product_data((Recommendation(best, reason),), assortment.catalogue)
            found[category] = {"category": category, "reason": reason, "product": product}

    for category in request.favourites:
        if len(found) < request.categories:
            add(category, "favourite", assortment.best_of((category,), week))
    for sku in assortment.best(week):
        if len(found) >= request.categories:
            break
        product = assortment.catalogue.get(sku)
        if product is not None and product.category and product.category not in found:
            add(product.category, "bestseller", (sku,))
    return list(found.values())


def product_data(recommendations: Iterable[Recommendation], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return the recommended products for an email's templates (`products`): JSON types, money in minor units."""
    pairs = ((catalogue.get(each.sku), each.reason) for each in recommendations)
    return [_data(product, reason) for product, reason in pairs if product is not None]


def _data(product: Product, reason: Reason) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "title": product.title,
        "url": product.url,
        "image_url": product.image_url,
        "price": {"minor": product.unit_price_minor, "currency": product.currency},
        "compared_price": (
            {"minor": product.compared_price_minor, "currency": product.currency}
            if product.compared_price_minor is not None and product.compared_price_minor > product.unit_price_minor
            else None
        ),
        "reason": reason,
    }
