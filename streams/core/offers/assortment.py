"""The catalogue with the sales counts: everything that recommendations know about products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge

from streams.core.offers.catalogue import Catalogue
from streams.core.offers.popularity import Popularity

#: Stands for all categories, and for products without one.
_ALL = ""


class Assortment:
    """The catalogue and the sales counts. Rankings of categories are cached until either changes."""

    __slots__ = ("_ranked", "_valid_for", "catalogue", "popularity")

    def __init__(self, catalogue: Catalogue | None = None, popularity: Popularity | None = None) -> None:
        self.catalogue = catalogue if catalogue is not None else Catalogue()
        self.popularity = popularity if popularity is not None else Popularity()
        self._valid_for = (0, 0, 0)
        self._ranked: dict[str, list[tuple[int, str]]] = {}

    def best_of(self, categories: Iterable[str], week: int) -> Iterator[str]:
        """Return the recently bought skus of the categories: the most popular in `week` first, then the smaller sku."""
        self._validate(week)
        return (sku for _, sku in merge(*[self._rank(category, week) for category in categories]))

    def best(self, week: int) -> Iterator[str]:
        """Return the recently bought skus of the catalogue in the same order, products without a category too."""
        self._validate(week)
        return (sku for _, sku in self._rank(_ALL, week))

    def best_in(self, category: str, week: int) -> Iterator[str]:
        """Return the recently bought skus that have a category among all of theirs, in the same order."""
        for sku in self.best(week):
            product = self.catalogue.get(sku)
            if product is not None and category in (product.category, *product.categories):
                yield sku

    def _validate(self, week: int) -> None:
        valid_for = (self.catalogue.changes, self.popularity.changes, week)
        if valid_for != self._valid_for:
            self._valid_for, self._ranked = valid_for, {}

    def _rank(self, category: str, week: int) -> list[tuple[int, str]]:
        ranked = self._ranked.get(category)
        if ranked is None:
            score = self.popularity.score
            skus: Iterable[str] = self.catalogue.of_category(category)
            if category == _ALL:
                skus = [sku for sku in self.popularity if self.catalogue.get(sku) is not None]
            ranked = sorted([(-points, sku) for sku in skus if (points := score(sku, week)) > 0])
            self._ranked[category] = ranked
        return ranked
