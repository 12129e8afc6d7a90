"""What to recommend to a customer, and why: a function of what they bought, the catalogue, the counts and the week.

Never what they have already (unless it is used up), what they sent back, what cannot be bought now, or an older version of what they
have. The same arguments give the same products, on every worker and after every restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from streams.core.model.customer import OrderState
from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue, Product

Reason: TypeAlias = Literal["complement", "newer", "category", "also_bought"]

#: Where a mail's context holds its wish for products.
WISH = "recommend"
#: How far versions are followed: a shop's mistake may make them go round for ever.
MOST_VERSIONS = 20


class Bought(Struct, frozen=True, gc=False):
    """What a customer bought and kept (`skus`, and the `categories` of that), and what went back (`returned`)."""

    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()


class Wish(Struct, frozen=True, gc=False):
    """A mail's wish for `at_least` to `most` products, for someone who bought `bought`."""

    most: int
    at_least: int
    bought: Bought


class Recommendation(Struct, frozen=True, gc=False):
    """A product and why it is recommended: the first of the reasons that speak for it."""

    sku: str
    reason: Reason


def wish_for(orders: Iterable[OrderState], most: int, at_least: int) -> dict[str, Any]:
    """The wish as a mail's context carries it (`WISH`), in JSON types. It is granted when the mail is written (see `granted`)."""
    bought = bought_of(orders)
    # The names are those of the wire; `Wish` reads them.
    told = {
        "skus": sorted(bought.skus),
        "categories": sorted(bought.categories),
        "returned": sorted(bought.returned),
    }
    return {"most": most, "at_least": at_least, "bought": told}


def granted(wish: Any, assortment: Assortment, week: int) -> list[dict[str, Any]] | None:
    """The products for a wish as it came in a context; None if there are fewer than it wants at least.

    Raises:
        msgspec.ValidationError: it is no wish.
    """
    asked = msgspec.convert(wish, Wish)
    found = shown(recommend(asked.bought, assortment, week, asked.most), assortment.catalogue)
    return found if len(found) >= asked.at_least else None


def bought_of(orders: Iterable[OrderState]) -> Bought:
    """What the orders say. A cancelled order was never bought; a refunded one, and what lies in a returned parcel, went back."""
    skus: set[str] = set()
    categories: set[str] = set()
    returned: set[str] = set()
    for order in orders:
        if order.facts is None or not order.placed or order.cancelled_at is not None:
            continue
        lines = order.facts.lines
        parcels = [parcel for parcel in order.parcels if parcel.has("returned")]
        back = {sku for parcel in parcels for sku, _ in parcel.lines}
        # A carrier need not know what lies in a parcel: then all of the order may have.
        if order.refunded_at is not None or not all(parcel.lines for parcel in parcels):
            back.update(line.sku for line in lines)
        returned |= back
        skus.update(line.sku for line in lines if line.sku not in back)
        categories.update(line.category for line in lines if line.sku not in back and line.category)
    return Bought(frozenset(skus), frozenset(categories), frozenset(returned))


def recommend(bought: Bought, assortment: Assortment, week: int, most: int) -> tuple[Recommendation, ...]:
    """The products to recommend, the best first, each once.

    First what goes well with what was bought, then the newer versions of it, then what of the same categories is bought most, then
    what people bought who bought the same. Among equals the more popular comes first, then the smaller sku.

    Args:
        bought: what the customer bought and sent back.
        assortment: all products, and how well they sell.
        week: the week in which it is asked, see `popularity.week_of`.
        most: how many products at most.
    """
    choice = _Choice(bought, assortment, week)
    chosen: dict[str, Reason] = {}
    ways: tuple[tuple[Reason, Callable[[], Iterable[str]]], ...] = (
        ("complement", choice.complements),
        ("newer", choice.newer),
        ("category", choice.of_categories),
        ("also_bought", choice.also_bought),
    )
    for reason, found in ways:
        if len(chosen) >= most:
            break
        for sku in found():
            if len(chosen) >= most:
                break
            if sku not in chosen and choice.may(sku):
                chosen[sku] = reason
    return tuple([Recommendation(sku, reason) for sku, reason in chosen.items()])


def shown(recommendations: Iterable[Recommendation], catalogue: Catalogue) -> list[dict[str, Any]]:
    """The recommended products as a message's context has them (`products`): JSON types, money in minor units."""
    found = ((catalogue.get(one.sku), one.reason) for one in recommendations)
    return [_context(product, reason) for product, reason in found if product is not None]


def _context(product: Product, reason: Reason) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "title": product.title,
        "url": product.url,
        "image_url": product.image_url,
        "price": {"minor": product.unit_price_minor, "currency": product.currency},
        "reason": reason,
    }


class _Choice:
    """One customer's candidates, by reason and in order, and which of them may be recommended at all."""

    def __init__(self, bought: Bought, assortment: Assortment, week: int) -> None:
        self._bought, self._assortment, self._week = bought, assortment, week
        self._catalogue, self._popularity = assortment.catalogue, assortment.popularity
        self._kept = sorted(bought.skus - bought.returned)
        self._outdated = {older for sku in self._kept for older in self._older(sku)}

    def may(self, sku: str) -> bool:
        """Whether the product may be recommended, for whatever reason."""
        product = self._catalogue.get(sku)
        return (
            product is not None
            and product.is_available
            and sku not in self._bought.returned
            and sku not in self._outdated
            and (product.is_consumable or sku not in self._bought.skus)
        )

    def complements(self) -> Iterable[str]:
        """What the shop says goes well with what was bought; what goes with most of it first."""
        named: Counter[str] = Counter()
        for sku in self._kept:
            product = self._catalogue.get(sku)
            if product is not None:
                named.update(set(product.complements))
        return self._sorted(named)

    def newer(self) -> Iterable[str]:
        """The newest versions of what was bought that may be recommended."""
        newest: Counter[str] = Counter()
        for sku in self._kept:
            newest.update(self._newest(sku))
        return self._sorted(newest)

    def of_categories(self) -> Iterable[str]:
        """What of the same categories people bought lately."""
        return self._assortment.best_of(self._bought.categories, self._week)

    def also_bought(self) -> Iterable[str]:
        """What was bought with the same things or after them; what most orders held first."""
        found: Counter[str] = Counter()
        for sku in self._kept:
            found.update(self._popularity.also_bought(sku))
        return self._sorted(found)

    def _sorted(self, counted: Counter[str]) -> list[str]:
        score, week = self._popularity.score, self._week
        return [sku for _, _, sku in sorted((-number, -score(sku, week), sku) for sku, number in counted.items())]

    def _newest(self, sku: str) -> list[str]:
        """The last generation of versions after `sku` of which something may be recommended."""
        newest: list[str] = []
        generation = {sku}
        for _ in range(MOST_VERSIONS):
            generation = {newer for older in generation for newer in self._catalogue.newer_than(older)}
            newest = [one for one in generation if self.may(one)] or newest
        return newest

    def _older(self, sku: str) -> Iterator[str]:
        """The versions before `sku`."""
        for _ in range(MOST_VERSIONS):
            product = self._catalogue.get(sku)
            if product is None or product.replaces is None:
                return
            sku = product.replaces
            yield sku
