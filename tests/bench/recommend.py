"""CPU time of one customer's recommendations, with 10,000 products in 100 categories and the counts of 4 partitions.

Run it with `nice -n 19 python -m tests.bench.recommend`.
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
    """Return a catalogue in which each product has three complements, and about one in ten replaces another product."""
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


def counts_of(rng: random.Random, catalogue: Catalogue) -> list[Counts]:
    """Return each partition's counts of each product, with as many co-purchased products as a record can hold."""
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
    """Print the measurements, in CPU time, so that other processes do not count."""
    rng = random.Random(7)
    started = time.thread_time()
    catalogue = catalogue_of(rng)
    counts = counts_of(rng, catalogue)
    print(f"products and counts created in {time.thread_time() - started:.1f} s")
    started = time.thread_time()
    popularity = Popularity(counts)
    print(f"counts loaded per second: {len(counts) / (time.thread_time() - started):,.0f}")
    assortment = Assortment(catalogue, popularity)
    for many in (5, BOUGHT):
        buyers = []
        for _ in range(ROUNDS):
            skus = rng.sample([*catalogue], many)
            names = frozenset(product.sku for product in skus)
            buyers.append(Bought(names, frozenset(product.category for product in skus)))
        for limit in (4, 200):
            took = []
            for purchases in buyers:
                started = time.thread_time()
                recommend(purchases, assortment, WEEK, limit)
                took.append((time.thread_time() - started) * 1e6)
            took.sort()
            print(
                f"{many} products bought, {limit} requested: median {statistics.median(took):,.0f} µs, 99 % {took[-ROUNDS // 100]:,.0f} µs"
            )


if __name__ == "__main__":
    main()
