"""The catalogue: the newest record of each product on the compacted topic `products`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from datetime import datetime

from msgspec import Struct

_NONE: frozenset[str] = frozenset()


class Product(Struct, frozen=True, gc=False, kw_only=True):
    """A product as the shop last described it.

    Attributes:
        sku, title, category: its id, name and category ("" if it has none).
        unit_price_minor: its price in minor units of `currency` (ISO 4217).
        url, image_url: http or https addresses, or "".
        is_available: whether it can be bought now.
        is_consumable: whether it is used up and bought again.
        replaces: the sku of the older version, if there is one.
        complements: the skus of products that go well with it.
        stock: pieces in stock; None if unknown.
        compared_price_minor: the price before a reduction; None if it is not reduced.
        image_urls: more images; http or https.
        categories: all its categories.
        launches_at, back_in_stock_at: when it can be bought first, and when again (UTC); None if unknown or already.
    """

    sku: str
    title: str
    category: str
    unit_price_minor: int
    currency: str
    url: str = ""
    image_url: str = ""
    is_available: bool = True
    is_consumable: bool = False
    replaces: str | None = None
    complements: tuple[str, ...] = ()
    stock: int | None = None
    compared_price_minor: int | None = None
    image_urls: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    launches_at: datetime | None = None
    back_in_stock_at: datetime | None = None


class Catalogue:
    """All products, by sku, by category and by the product that they replace.

    The last record of a product counts, whatever its time is: compaction leaves the same one. So a catalogue that is read from the
    start equals one that was kept up to date.

    Attributes:
        changes: how often the catalogue has changed. Results computed from it are valid while it stays the same.
    """

    __slots__ = ("_by_category", "_newer", "_products", "changes")

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._products: dict[str, Product] = {}
        self._by_category: dict[str, set[str]] = {}
        self._newer: dict[str, set[str]] = {}
        self.changes = 0
        for product in products:
            self.put(product)

    def put(self, product: Product) -> None:
        """Add a product, or replace it."""
        if self._products.get(product.sku) == product:
            return
        self.remove(product.sku)
        self.changes += 1
        self._products[product.sku] = product
        if product.category:
            self._by_category.setdefault(product.category, set()).add(product.sku)
        if product.replaces is not None:
            self._newer.setdefault(product.replaces, set()).add(product.sku)

    def remove(self, sku: str) -> None:
        """Remove a product, if there is one."""
        product = self._products.pop(sku, None)
        if product is None:
            return
        self.changes += 1
        if product.category:
            _discard(self._by_category, product.category, sku)
        if product.replaces is not None:
            _discard(self._newer, product.replaces, sku)

    def get(self, sku: str) -> Product | None:
        """Return the product, or None if the catalogue does not contain it."""
        return self._products.get(sku)

    def of_category(self, category: str) -> Set[str]:
        """Return the skus of a category. The empty category, that of products without one, has none."""
        return self._by_category.get(category, _NONE)

    def newer_than(self, sku: str) -> Set[str]:
        """Return the skus of the products that replace `sku`, which the catalogue need not contain."""
        return self._newer.get(sku, _NONE)

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())


def _discard(index: dict[str, set[str]], key: str, sku: str) -> None:
    index[key].discard(sku)
    if not index[key]:
        del index[key]
