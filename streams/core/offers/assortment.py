"""The catalogue with the sales counts: everything that recommendations know about products."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from heapq import merge

from streams.core.offers.catalogue import Catalogue
from streams.core.offers.popularity import Popularity


class Assortment:
    """The catalogue and the sales counts. Rankings of categories are cached until either changes."""

    __slots__ = ("_best", "_best_for", "_points", "_ranked", "_valid_for", "catalogue", "popularity")

    def __init__(self, catalogue: Catalogue | None = None, popularity: Popularity | None = None) -> None:
        self.catalogue = catalogue if catalogue is not None else Catalogue()
        self.popularity = popularity if popularity is not None else Popularity()
        self._valid_for = (0, 0, 0)
        self._ranked: dict[str, list[tuple[int, str]]] = {}
        #: All products, the most popular first, each with its negative score; their scores; and the changes and the week of both.
        self._best: list[tuple[int, str]] = []
        self._points: dict[str, int] = {}
        self._best_for = (-1, 0, 0)

    def best_of(self, categories: Iterable[str], week: int) -> Iterator[str]:
        """Return the recently bought skus of the categories: the most popular in `week` first, then the smaller sku."""
        valid_for = (self.catalogue.changes, self.popularity.changes, week)
        if valid_for != self._valid_for:
            self._valid_for, self._ranked = valid_for, {}
        return (sku for _, sku in merge(*[self._rank(category, week) for category in categories]))

    def best(self, week: int) -> Iterator[str]:
        """Return the recently bought skus of the catalogue in the same order, products without a category too."""
        catalogue, popularity = self.catalogue, self.popularity
        known_catalogue, known_popularity, known_week = self._best_for
        changed = popularity.changed_since(known_popularity)
        if (known_catalogue, known_week) != (catalogue.changes, week) or changed is None:
            found = [
                (-points, sku)
                for sku in popularity
                if catalogue.get(sku) and (points := popularity.score(sku, week)) > 0
            ]
            self._best, self._points = sorted(found), {sku: -points for points, sku in found}
        else:
            for sku in changed:  # sorting all of them again would take long, and sales change all the time
                self._move(sku, week)
        self._best_for = (catalogue.changes, popularity.changes, week)
        return (sku for _, sku in self._best)

    def _move(self, sku: str, week: int) -> None:
        """Put a product to its present place in the ranking of all products."""
        points = self._points.pop(sku, 0)
        if points:
            del self._best[bisect_left(self._best, (-points, sku))]
        points = self.popularity.score(sku, week) if self.catalogue.get(sku) is not None else 0
        if points > 0:
            insort(self._best, (-points, sku))
            self._points[sku] = points

    def best_in(self, category: str, week: int) -> Iterator[str]:
        """Return the recently bought skus that have a category among all of theirs, in the same order."""
        for sku in self.best(week):
            product = self.catalogue.get(sku)
            if product is not None and category in (product.category, *product.categories):
                yield sku

    def _rank(self, category: str, week: int) -> list[tuple[int, str]]:
        ranked = self._ranked.get(category)
        if ranked is None:
            skus, score = self.catalogue.of_category(category), self.popularity.score
            ranked = sorted([(-points, sku) for sku in skus if (points := score(sku, week)) > 0])
            self._ranked[category] = ranked
        return ranked
