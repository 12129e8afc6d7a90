"""Which products to recommend to a customer, and why: a function of purchases, catalogue, sales counts and week.

Products that are unavailable, or that the customer returned, are never recommended. Neither are products that the customer has, unless
they are consumable, nor their older versions. The same arguments give the same products, on every worker and after every restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from streams.core.model.orders.order_state import OrderState
from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue, Product

Reason: TypeAlias = Literal["complement", "newer", "category", "also_bought"]

#: The key of an email's template data at which its request for products is.
REQUEST_KEY = "recommend"
#: How many versions are followed at most: by mistake, a shop's products may replace each other in a circle.
MOST_VERSIONS = 20


class Bought(Struct, frozen=True, gc=False):
    """A customer's purchases.

    Attributes:
        skus: the products that the customer bought and kept.
        categories: the categories of those.
        returned: the products that the customer returned.
    """

    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()


class RecommendationRequest(Struct, frozen=True, gc=False):
    """An email's request for `at_least` to `most` products, for a customer who bought `bought`."""

    most: int
    at_least: int
    bought: Bought


class Recommendation(Struct, frozen=True, gc=False):
    """A product, and the first reason to recommend it."""

    sku: str
    reason: Reason


def request_for(orders: Iterable[OrderState], most: int, at_least: int) -> dict[str, Any]:
    """Return a request for products in JSON types, as an email's template data contains it (`REQUEST_KEY`).

    The mailer fulfils it when it renders the email (see `fulfil`).

    Args:
        orders: the customer's orders.
        most: the number of products at most.
        at_least: the number below which the email is not sent.
    """
    bought = bought_of(orders)
    # The keys are those of the wire; `RecommendationRequest` reads them.
    purchases = {
        "skus": sorted(bought.skus),
        "categories": sorted(bought.categories),
        "returned": sorted(bought.returned),
    }
    return {"most": most, "at_least": at_least, "bought": purchases}


def fulfil(request: Any, assortment: Assortment, week: int) -> list[dict[str, Any]] | None:
    """Return the products for a request from an email's template data, or None if there are fewer than it needs.

    Args:
        request: the value of `REQUEST_KEY`, in JSON types.
        assortment: all products and their sales.
        week: the week of the request, see `popularity.week_of`.

    Raises:
        msgspec.ValidationError: `request` is not a valid request.
    """
    parsed = msgspec.convert(request, RecommendationRequest)
    recommendations = recommend(parsed.bought, assortment, week, parsed.most)
    products = product_data(recommendations, assortment.catalogue)
    return products if len(products) >= parsed.at_least else None


def bought_of(orders: Iterable[OrderState]) -> Bought:
    """Return the purchases in a customer's orders.

    A cancelled order was never bought. The products of a refunded order, and those in a returned parcel, were returned.
    """
    skus: set[str] = set()
    categories: set[str] = set()
    returned: set[str] = set()
    for order in orders:
        if order.facts is None or not order.placed or order.cancelled_at is not None or order.is_test:
            continue
        lines = [line for line in order.facts.lines if line.sku and line.is_goods]
        parcels = [parcel for parcel in order.parcels if parcel.is_back]
        back = {sku for parcel in parcels for sku, _ in parcel.lines if sku}
        # The contents of a parcel may be unknown: then the whole order may have been returned.
        if order.refunded_at is not None or not all(parcel.lines for parcel in parcels):
            back.update(line.sku for line in lines)
        returned |= back
        skus.update(line.sku for line in lines if line.sku not in back)
        categories.update(line.category for line in lines if line.sku not in back and line.category)
    return Bought(frozenset(skus), frozenset(categories), frozenset(returned))


def recommend(bought: Bought, assortment: Assortment, week: int, most: int) -> tuple[Recommendation, ...]:
    """Return the products to recommend, each once, the best first.

    Complements of purchases come first, then newer versions of them. Best-selling products of the same categories follow, then products
    that were bought with the same purchases. Among equals the better-selling comes first, then the smaller sku.

    Args:
        bought: the customer's purchases.
        assortment: all products and their sales.
        week: the week of the request, see `popularity.week_of`.
        most: the number of products at most.
    """
    candidates = _Candidates(bought, assortment, week)
    chosen: dict[str, Reason] = {}
    sources: tuple[tuple[Reason, Callable[[], Iterable[str]]], ...] = (
        ("complement", candidates.complements),
        ("newer", candidates.newer),
        ("category", candidates.of_categories),
        ("also_bought", candidates.also_bought),
    )
    for reason, skus in sources:
        if len(chosen) >= most:
            break
        for sku in skus():
            if len(chosen) >= most:
                break
            if sku not in chosen and candidates.is_allowed(sku):
                chosen[sku] = reason
    return tuple([Recommendation(sku, reason) for sku, reason in chosen.items()])


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


class _Candidates:
    """The candidates for one customer, by reason and in order, and which of them may be recommended."""

    def __init__(self, bought: Bought, assortment: Assortment, week: int) -> None:
        self._bought, self._assortment, self._week = bought, assortment, week
        self._catalogue, self._popularity = assortment.catalogue, assortment.popularity
        self._kept = sorted(bought.skus - bought.returned)
        self._outdated = {older for sku in self._kept for older in self._older_versions(sku)}

    def is_allowed(self, sku: str) -> bool:
        """Return whether the product may be recommended at all."""
        product = self._catalogue.get(sku)
        return (
            product is not None
            and product.is_available
            and sku not in self._bought.returned
            and sku not in self._outdated
            and (product.is_consumable or sku not in self._bought.skus)
        )

    def complements(self) -> Iterable[str]:
        """Return the complements of the purchases; complements of the most purchases come first."""
        counts: Counter[str] = Counter()
        for sku in self._kept:
            product = self._catalogue.get(sku)
            if product is not None:
                counts.update(set(product.complements))
        return self._sorted(counts)

    def newer(self) -> Iterable[str]:
        """Return the newest allowed versions of the purchases."""
        counts: Counter[str] = Counter()
        for sku in self._kept:
            counts.update(self._newest_versions(sku))
        return self._sorted(counts)

    def of_categories(self) -> Iterable[str]:
        """Return recently sold products of the same categories."""
        return self._assortment.best_of(self._bought.categories, self._week)

    def also_bought(self) -> Iterable[str]:
        """Return products that were bought with the purchases or after them; those of the most orders come first."""
        counts: Counter[str] = Counter()
        for sku in self._kept:
            counts.update(self._popularity.also_bought(sku))
        return self._sorted(counts)

    def _sorted(self, counts: Counter[str]) -> list[str]:
        score, week = self._popularity.score, self._week
        return [sku for _, _, sku in sorted((-count, -score(sku, week), sku) for sku, count in counts.items())]

    def _newest_versions(self, sku: str) -> list[str]:
        """Return the allowed versions of the last generation after `sku` that has any."""
        newest: list[str] = []
        generation = {sku}
        for _ in range(MOST_VERSIONS):
            generation = {newer for older in generation for newer in self._catalogue.newer_than(older)}
            newest = [version for version in generation if self.is_allowed(version)] or newest
        return newest

    def _older_versions(self, sku: str) -> Iterator[str]:
        """Yield the versions before `sku`, newest first."""
        for _ in range(MOST_VERSIONS):
            product = self._catalogue.get(sku)
            if product is None or product.replaces is None:
                return
            sku = product.replaces
            yield sku
