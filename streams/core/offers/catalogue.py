"""What the shop sells: the newest record of each product on the compacted topic `products`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from msgspec import Struct

_NONE: frozenset[str] = frozenset()


class Product(Struct, frozen=True, gc=False, kw_only=True):
    """A product as the shop last described it; `unit_price_minor` is in minor units of `currency` (ISO 4217).

    `replaces` is the older product that this one is the newer version of, `complements` are products that go well with this one, and
    `is_consumable` says that it is used up and bought again. `url` and `image_url` are http(s), or empty.
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


class Catalogue:
    """All products, found by sku, by category, and by what they replace.

    The last record of a product counts, whatever its own time says: that is the one which compaction leaves, so that a catalogue
    read anew is the same as one that was kept up to date.
    """

    __slots__ = ("_by_category", "_newer", "_products", "changes")

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._products: dict[str, Product] = {}
        self._by_category: dict[str, set[str]] = {}
        self._newer: dict[str, set[str]] = {}
        #: How often it has changed: what was worked out from it holds while this stays.
        self.changes = 0
        for product in products:
            self.put(product)

    def put(self, product: Product) -> None:
        """Take a product in, in the place of what was known of it."""
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
        """Take a product out, if it is there."""
        product = self._products.pop(sku, None)
        if product is None:
            return
        self.changes += 1
        if product.category:
            _discard(self._by_category, product.category, sku)
        if product.replaces is not None:
            _discard(self._newer, product.replaces, sku)

    def get(self, sku: str) -> Product | None:
        """The product, if the shop still has it in its catalogue."""
        return self._products.get(sku)

    def of_category(self, category: str) -> Set[str]:
        """The skus of a category; none of the empty one, which is how a shop says that it knows no category."""
        return self._by_category.get(category, _NONE)

    def newer_than(self, sku: str) -> Set[str]:
        """The skus of the products that replace `sku`, which need not be in the catalogue any more."""
        return self._newer.get(sku, _NONE)

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())


def _discard(index: dict[str, set[str]], key: str, sku: str) -> None:
    index[key].discard(sku)
    if not index[key]:
        del index[key]
