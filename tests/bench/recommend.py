"""How long one customer's recommendations take: 10,000 products in 100 categories, 50 of them bought, 4 partitions' counts.

nice -n 19 python -m tests.bench.recommend
"""

from __future__ import annotations

import random
import statistics
import time

from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.popularity import WEEKS, Counts, Popularity
from streams.core.offers.recommendations import Bought, recommend

PRODUCTS, CATEGORIES, BOUGHT, PARTITIONS, ROUNDS = 10_000, 100, 50, 4, 300
WEEK = 2900


def catalogue_of(rng: random.Random) -> Catalogue:
    """The catalogue: each product has three complements, each tenth replaces another."""
    skus = [f"sku-{number}" for number in range(PRODUCTS)]
    return Catalogue(
        Product(
            sku=sku,
            title=f"Product {sku}",
            category=f"category-{rng.randrange(CATEGORIES)}",
            unit_price_minor=rng.randrange(1000, 100_000),
            currency="DKK",
            is_available=rng.random() < 0.9,
            is_consumable=rng.random() < 0.1,
            replaces=rng.choice(skus) if rng.random() < 0.1 else None,
            complements=tuple(rng.sample(skus, 3)),
        )
        for sku in skus
    )


def counted(rng: random.Random, catalogue: Catalogue) -> list[Counts]:
    """What each partition counted of each product, with all places for other products taken."""
    skus = [product.sku for product in catalogue]
    return [
        Counts(
            sku,
            partition,
            WEEK - rng.randrange(3),
            tuple([rng.randrange(50) for _ in range(WEEKS)]),
            tuple(sorted((other, rng.randrange(1, 9)) for other in rng.sample(skus, 32))),
        )
        for sku in skus
        for partition in range(PARTITIONS)
    ]


def main() -> None:
    """Print the table; CPU time, so that others on the machine do not count."""
    rng = random.Random(7)
    started = time.thread_time()
    catalogue = catalogue_of(rng)
    counts = counted(rng, catalogue)
    print(f"made in {time.thread_time() - started:.1f} s")
    started = time.thread_time()
    popularity = Popularity(counts)
    print(f"counts taken in: {len(counts) / (time.thread_time() - started):,.0f}/s")
    assortment = Assortment(catalogue, popularity)
    for many in (5, BOUGHT):
        buyers = []
        for _ in range(ROUNDS):
            skus = rng.sample([*catalogue], many)
            names = frozenset(product.sku for product in skus)
            buyers.append(Bought(names, frozenset(product.category for product in skus)))
        for most in (4, 200):
            took = []
            for one in buyers:
                started = time.thread_time()
                recommend(one, assortment, WEEK, most)
                took.append((time.thread_time() - started) * 1e6)
            took.sort()
            print(
                f"{many} bought, {most} wanted: median {statistics.median(took):,.0f} us, 99% {took[-ROUNDS // 100]:,.0f} us"
            )


if __name__ == "__main__":
    main()
