"""What holds for every assortment and every customer, and for every way in which counts can come together."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.popularity import WEEKS, Counts, Popularity, Sale, Tally
from streams.core.offers.recommendations import Bought, recommend
from tests.harness.products import WEEK

SKUS = [f"s{number}" for number in range(12)]
skus = st.sampled_from(SKUS)
sets = st.frozensets(skus, max_size=8)
categories = st.sampled_from(["", "a", "b", "c"])
products = st.builds(
    Product,
    sku=skus,
    title=st.just("t"),
    category=categories,
    unit_price_minor=st.just(1),
    currency=st.just("DKK"),
    is_available=st.booleans(),
    is_consumable=st.booleans(),
    replaces=st.none() | skus,
    complements=st.lists(skus, max_size=4).map(tuple),
)
catalogues = st.lists(products, max_size=20)
weeks = st.integers(WEEK - 12, WEEK + 12)
counts = st.builds(
    Counts,
    sku=skus,
    partition=st.integers(0, 3),
    newest_week=weeks,
    weeks=st.lists(st.integers(0, 5), min_size=WEEKS, max_size=WEEKS).map(tuple),
    also=st.dictionaries(skus, st.integers(1, 5), max_size=4).map(lambda also: tuple(sorted(also.items()))),
)
buyers = st.builds(Bought, sets, st.frozensets(categories, max_size=3), sets)
sales = st.builds(
    Sale, sku=st.just("s"), week=weeks, orders=st.sampled_from([1, 1, 1, -1]), also=st.sets(skus, max_size=3).map(sorted).map(tuple)
)  # fmt: skip


def last(told: list[Product]) -> dict[str, Product]:
    """The last record of each product."""
    return {product.sku: product for product in told}


@settings(max_examples=300, deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks, st.integers(0, 12))
def test_what_is_never_recommended(
    bought: Bought, told: list[Product], counted: list[Counts], week: int, most: int
) -> None:
    """Nothing unknown, unavailable, returned, bought (unless consumable) or twice; as many as wanted at most."""
    found = recommend(bought, Assortment(Catalogue(told), Popularity(counted)), week, most)
    known = last(told)
    assert len({one.sku for one in found}) == len(found) <= most
    for one in found:
        product = known[one.sku]
        assert product.is_available
        assert one.sku not in bought.returned
        assert product.is_consumable or one.sku not in bought.skus


@settings(max_examples=300, deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks, st.randoms(use_true_random=False), st.lists(products))
def test_a_restart_gives_the_same(
    bought: Bought, told: list[Product], counted: list[Counts], week: int, lot: Random, former: list[Product]
) -> None:
    """Read anew, compacted and in another order, or kept up to date and asked all along: the same products for the same reasons."""
    kept = Assortment()
    for product in [*former, *told]:
        kept.catalogue.put(product)
        recommend(bought, kept, week, 3)
    for sku in {product.sku for product in former} - {product.sku for product in told}:
        kept.catalogue.remove(sku)
    for one in counted:
        kept.popularity.put(one)
        recommend(bought, kept, week, 3)
    compacted = [*last(told).values()], [*{(one.sku, one.partition): one for one in counted}.values()]
    for part in compacted:
        lot.shuffle(part)
    anew = Assortment(Catalogue(compacted[0]), Popularity(compacted[1]))
    again = Bought(
        *[frozenset(sorted(part, reverse=True)) for part in (bought.skus, bought.categories, bought.returned)]
    )
    assert recommend(bought, kept, week, 12) == recommend(again, anew, week, 12)


@settings(max_examples=200, deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks)
def test_fewer_are_the_first_of_more(bought: Bought, told: list[Product], counted: list[Counts], week: int) -> None:
    """How many are wanted does not change which come first."""
    assortment = Assortment(Catalogue(told), Popularity(counted))
    everything = recommend(bought, assortment, week, 99)
    assert [recommend(bought, assortment, week, most) for most in range(6)] == [everything[:most] for most in range(6)]


@settings(max_examples=300, deadline=None)
@given(st.lists(counts, max_size=20), st.randoms(use_true_random=False), weeks)
def test_partitions_come_together_in_any_way(told: list[Counts], lot: Random, week: int) -> None:
    """Each partition's counts in their own order: however they are mixed, grouped and told again, the sum is the same."""
    straight = Popularity(told)
    queues: dict[tuple[str, int], list[Counts]] = {}
    for one in told:
        queues.setdefault((one.sku, one.partition), []).append(one)
    mixed = Popularity()
    while queues:
        key = lot.choice(sorted(queues))
        mixed.put(queues[key][0])
        queues[key].pop(0)
        if not queues[key]:
            del queues[key]
    again = Popularity([*told, *told])  # a reader that begins anew sees old counts first, and ends with the same
    for context in (mixed, again):
        assert [context.score(sku, week) for sku in SKUS] == [straight.score(sku, week) for sku in SKUS]
        assert [context.also_bought(sku) for sku in SKUS] == [straight.also_bought(sku) for sku in SKUS]


def folded(told: list[Sale]) -> Counts:
    """The counts after these sales."""
    tally = Tally(Counts("s", 0))
    for sale in told:
        tally.add(sale)
    return tally.counts()


@settings(max_examples=300, deadline=None)
@given(st.lists(sales, max_size=30), st.randoms(use_true_random=False))
def test_counting_does_not_hang_on_the_order(told: list[Sale], lot: Random) -> None:
    """The same sales in any order give the same counts: of weeks always, of other products as long as they are few."""
    mixed = list(told)
    lot.shuffle(mixed)
    assert folded(mixed) == folded(told)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(sales, st.integers(0, 3)), max_size=30), weeks)
def test_partitions_count_as_one_would(told: list[tuple[Sale, int]], week: int) -> None:
    """Split over partitions and added up, the score within everybody's window is what one partition would have counted."""
    parts: dict[int, list[Sale]] = {}
    for sale, partition in told:
        parts.setdefault(partition, []).append(sale)
    split = Popularity(
        [
            Counts("s", partition, one.newest_week, one.weeks, one.also)
            for partition, part in parts.items()
            for one in [folded(part)]
        ]
    )
    newest = max([sale.week for sale, _ in told], default=week)
    alone = Popularity([folded([sale for sale, _ in told])])
    asked = max(week, newest)
    assert split.score("s", asked) == alone.score("s", asked)
    assert split.also_bought("s") == alone.also_bought("s")
