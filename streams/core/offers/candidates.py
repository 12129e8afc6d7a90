"""The candidates for recommendations: what a customer bought, what an email asks for, and the products of each source, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct

from streams.core.offers.assortment import Assortment
from streams.core.rules.recommends import MOST_FAVOURITES

Reason: TypeAlias = Literal["complement", "newer", "category", "also_bought", "favourite", "browsed", "bestseller"]
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
    """An email's request for products and categories. The mailer of an earlier version reads the first three fields.

    Attributes:
        most, at_least: how many products it shows, and below how many it is not sent.
        bought: what the customer bought.
        sources: where the products come from, the first one first; empty for the usual ones.
        category: the only category of the products; "" for any.
        categories: how many categories it shows; with none it is not sent.
        favourites: the favourite categories of the customer.
        viewed: the products that the customer viewed, the newest first.
    """

    most: int
    at_least: int
    bought: Bought
    sources: tuple[str, ...] = ()
    category: str = ""
    categories: int = 0
    favourites: tuple[str, ...] = ()
    viewed: tuple[str, ...] = ()


class Candidates:
    """The candidates for one customer, by reason and in order, and which of them may be recommended."""

    def __init__(
        self, bought: Bought, assortment: Assortment, week: int, request: RecommendationRequest | None
    ) -> None:
        self._bought, self._assortment, self._week = bought, assortment, week
        self._request = request
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

    def is_of(self, sku: str, category: str) -> bool:
        """Return whether the product is in a category; every product is in ""."""
        product = self._catalogue.get(sku)
        return not category or (product is not None and category in (product.category, *product.categories))

    def favourites(self) -> Iterable[str]:
        """Return recently sold products of the customer's favourite categories."""
        named = self._request.favourites if self._request is not None else ()
        return self._assortment.best_of(named[:MOST_FAVOURITES], self._week)

    def browsed(self) -> Iterable[str]:
        """Return the products that the customer viewed, the newest first."""
        return self._request.viewed if self._request is not None else ()

    def bestsellers(self) -> Iterable[str]:
        """Return recently sold products, the best-selling first; of the requested category, if there is one."""
        category = self._request.category if self._request is not None else ""
        return self._assortment.best_in(category, self._week) if category else self._assortment.best(self._week)

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


#: The reason of each source, and its candidates.
SOURCES: Mapping[str, tuple[Reason, Callable[[Candidates], Iterable[str]]]] = MappingProxyType(
    {
        "complements": ("complement", Candidates.complements),
        "newer": ("newer", Candidates.newer),
        "same_categories": ("category", Candidates.of_categories),
        "also_bought": ("also_bought", Candidates.also_bought),
        "favourites": ("favourite", Candidates.favourites),
        "browsed": ("browsed", Candidates.browsed),
        "bestsellers": ("bestseller", Candidates.bestsellers),
    }
)
