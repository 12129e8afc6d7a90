"""Properties of every assortment and customer, and of every order in which counts arrive."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.offers.assortment import Assortment
from streams.core.offers.candidates import RecommendationRequest
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.popularity import WEEKS, Counts, Popularity, Sale, Tally
from streams.core.offers.recommendations import Bought, recommend
from tests.harness.examples import examples
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


BESTSELLERS = RecommendationRequest(12, 0, Bought(), sources=("bestsellers",))


def last(records: list[Product]) -> dict[str, Product]:
    """Return the last record of each product."""
    return {product.sku: product for product in records}


@settings(max_examples=examples(300), deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks, st.integers(0, 12))
def test_what_is_never_recommended(
    bought: Bought, records: list[Product], counted: list[Counts], week: int, most: int
) -> None:
    """Never an unknown, unavailable, returned or bought (unless consumable) product, none twice, and never too many."""
    found = recommend(bought, Assortment(Catalogue(records), Popularity(counted)), week, most)
    known = last(records)
    assert len({one.sku for one in found}) == len(found) <= most
    for one in found:
        product = known[one.sku]
        assert product.is_available
        assert one.sku not in bought.returned
        assert product.is_consumable or one.sku not in bought.skus


@settings(max_examples=examples(300), deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks, st.randoms(use_true_random=False), st.lists(products))
def test_a_restart_gives_the_same(
    bought: Bought, records: list[Product], counted: list[Counts], week: int, random: Random, former: list[Product]
) -> None:
    """Records read again, compacted and in another order, give the same products as records kept up to date."""
    kept = Assortment()
    for product in [*former, *records]:
        kept.catalogue.put(product)
        recommend(bought, kept, week, 3, BESTSELLERS)
        recommend(bought, kept, week, 3)
    for sku in {product.sku for product in former} - {product.sku for product in records}:
        kept.catalogue.remove(sku)
    for one in counted:
        kept.popularity.put(one)
        recommend(bought, kept, week, 3, BESTSELLERS)
        recommend(bought, kept, week, 3)
    compacted = [*last(records).values()], [*{(one.sku, one.partition): one for one in counted}.values()]
    for part in compacted:
        random.shuffle(part)
    read_again = Assortment(Catalogue(compacted[0]), Popularity(compacted[1]))
    again = Bought(
        *[frozenset(sorted(part, reverse=True)) for part in (bought.skus, bought.categories, bought.returned)]
    )
    assert recommend(bought, kept, week, 12) == recommend(again, read_again, week, 12)
    best = recommend(bought, kept, week, 12, BESTSELLERS)
    assert best == recommend(again, read_again, week, 12, BESTSELLERS)
    assert recommend(bought, kept, week + 1, 12, BESTSELLERS) == recommend(again, read_again, week + 1, 12, BESTSELLERS)
    scores = [kept.popularity.score(one.sku, week + 1) for one in recommend(bought, kept, week + 1, 12, BESTSELLERS)]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=examples(200), deadline=None)
@given(buyers, catalogues, st.lists(counts, max_size=20), weeks)
def test_fewer_are_the_first_of_more(bought: Bought, records: list[Product], counted: list[Counts], week: int) -> None:
    """The number of products does not change which come first."""
    assortment = Assortment(Catalogue(records), Popularity(counted))
    everything = recommend(bought, assortment, week, 99)
    assert [recommend(bought, assortment, week, most) for most in range(6)] == [everything[:most] for most in range(6)]


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(counts, max_size=20), st.randoms(use_true_random=False), weeks)
def test_partitions_add_up_in_any_order(parts: list[Counts], random: Random, week: int) -> None:
    """Each partition's counts in their order give the same sum, however they are mixed, grouped and repeated."""
    straight = Popularity(parts)
    queues: dict[tuple[str, int], list[Counts]] = {}
    for part in parts:
        queues.setdefault((part.sku, part.partition), []).append(part)
    mixed = Popularity()
    while queues:
        key = random.choice(sorted(queues))
        mixed.put(queues[key][0])
        queues[key].pop(0)
        if not queues[key]:
            del queues[key]
    again = Popularity([*parts, *parts])  # a reader that starts over sees old counts first
    for context in (mixed, again):
        assert [context.score(sku, week) for sku in SKUS] == [straight.score(sku, week) for sku in SKUS]
        assert [context.also_bought(sku) for sku in SKUS] == [straight.also_bought(sku) for sku in SKUS]


def folded(sales: list[Sale]) -> Counts:
    """Return the counts after these sales."""
    tally = Tally(Counts("s", 0))
    for sale in sales:
        tally.add(sale)
    return tally.counts()


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(sales, max_size=30), st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order(sold: list[Sale], random: Random) -> None:
    """Sales in any order give the same counts: of weeks always, of other products while they are few."""
    mixed = list(sold)
    random.shuffle(mixed)
    assert folded(mixed) == folded(sold)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(sales, st.integers(0, 3)), max_size=30), weeks)
def test_partitions_count_as_a_single_one(sold: list[tuple[Sale, int]], week: int) -> None:
    """Counts of several partitions add up to what a single partition would have counted."""
    parts: dict[int, list[Sale]] = {}
    for sale, partition in sold:
        parts.setdefault(partition, []).append(sale)
    split = Popularity(
        [
            Counts("s", partition, one.newest_week, one.weeks, one.also)
            for partition, part in parts.items()
            for one in [folded(part)]
        ]
    )
    newest = max([sale.week for sale, _ in sold], default=week)
    alone = Popularity([folded([sale for sale, _ in sold])])
    at_week = max(week, newest)
    assert split.score("s", at_week) == alone.score("s", at_week)
    assert split.also_bought("s") == alone.also_bought("s")
