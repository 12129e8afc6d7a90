"""The catalogue with the sales counts: everything that recommendations know about products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge

from streams.core.offers.catalogue import Catalogue
from streams.core.offers.popularity import Popularity


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
        valid_for = (self.catalogue.changes, self.popularity.changes, week)
        if valid_for != self._valid_for:
            self._valid_for, self._ranked = valid_for, {}
        return (sku for _, sku in merge(*[self._rank(category, week) for category in categories]))

    def _rank(self, category: str, week: int) -> list[tuple[int, str]]:
        ranked = self._ranked.get(category)
        if ranked is None:
            skus, score = self.catalogue.of_category(category), self.popularity.score
            ranked = sorted([(-points, sku) for sku in skus if (points := score(sku, week)) > 0])
            self._ranked[category] = ranked
        return ranked
