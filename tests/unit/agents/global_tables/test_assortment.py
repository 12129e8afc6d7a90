"""The assortment as a global table: its content depends only on the two topics, however often they are read."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from streams.agents.global_tables import global_table
from streams.agents.global_tables.assortment import TOPICS, AssortmentTable
from streams.agents.global_tables.global_table import GlobalTable
from streams.core.offers.popularity import Counts
from streams.core.offers.recommendations import Bought, recommend
from streams.observability import metrics
from streams.runtime.avro.codec import Codec
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.encode.encoder import Encoder
from tests.harness.product_records import CODEC, DECODER, POPULARITY, PRODUCTS, FakeConsumer, Message, product, view
from tests.harness.products import WEEK, counts_of
from tests.harness.records import AT


def end(place: tuple[str, int], at: int) -> Message:
    """Return the event that a partition ends at offset `at`."""
    return Message(place, at, failure=KafkaError._PARTITION_EOF)


def counts(one: Counts, at: int) -> Message:
    """Return a record of `product-popularity`, as the popularity agent publishes it."""
    _, key, value, _ = Encoder(CODEC).products.counts(one, AT)
    return Message(POPULARITY, at, key, value)


def skus(one: AssortmentTable) -> list[str]:
    """Return the SKUs in the catalogue."""
    return sorted(product.sku for product in one.assortment.catalogue)


def invalid(topic: str, reason: str) -> float:
    """Return the number of invalid records counted."""
    return float(metrics.CATALOGUE_REFUSED.labels(topic, reason)._value.get())


def test_records_make_the_assortment() -> None:
    """Products and counts are added, replaced and removed. Recommendations and gauges follow."""
    one = view()
    one.apply(
        [product("a", 0), product("b", 1), product("x", 2, complements=["b"]), counts(counts_of("a", 2, 1, z=1), 0)]
    )
    picks = recommend(Bought(frozenset({"x"}), frozenset({"c"})), one.assortment, WEEK, 9)
    assert [(pick.sku, pick.reason) for pick in picks] == [("b", "complement"), ("a", "category")]
    assert one.assortment.popularity.also_bought("a") == {"z": 1}
    one.on_caught_up()
    assert (metrics.CATALOGUE_PRODUCTS._value.get(), metrics.POPULARITY_PRODUCTS._value.get()) == (3, 1)
    one.apply([product("a", 3, is_available=False), Message(PRODUCTS, 4, b"b"), Message(POPULARITY, 1, b"a/1")])
    assert recommend(Bought(frozenset({"x"}), frozenset({"c"})), one.assortment, WEEK, 9) == ()
    assert (skus(one), len(one.assortment.popularity)) == (["a", "x"], 0)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("not_avro", Message(PRODUCTS, 1, b"a", b"?")),
        ("bad_link", product("a", 1, url="javascript:alert(1)")),
        ("bad_link", product("a", 1, image_url='https://x.example/"onload="')),
        ("negative_amount", product("a", 1, unit_price_minor=-1)),
        ("bad_currency", product("a", 1, currency="kr")),
        ("too_long", product("a", 1, title="x" * 501)),
        ("bad_id", product("b", 1, key=b"a")),
    ],
)
def test_an_invalid_record_removes_its_product(reason: str, message: Message) -> None:
    """After an invalid record the view is as after a restart with a compacted topic: without the product. The record is counted."""
    before = invalid(topics.PRODUCTS, reason)
    kept, restarted = view(), view()
    kept.apply([product("a", 0), message, product("z", 2)])
    restarted.apply([message, product("z", 2)])
    assert skus(kept) == skus(restarted) == ["z"]
    assert invalid(topics.PRODUCTS, reason) == before + 2


@pytest.mark.parametrize("key", [None, b"\xff", b"a", b"/1", b"a/x", b"a/\xc2\xb2"])
def test_invalid_keys_of_counts(key: bytes | None) -> None:
    """Counts with a key that is not a SKU and a partition are invalid and change nothing."""
    before = invalid(topics.POPULARITY, "bad_id")
    one = view()
    one.apply([counts(counts_of("a", 1), 0), Message(POPULARITY, 1, key, counts(counts_of("a", 5), 1).body)])
    assert one.assortment.popularity.score("a", WEEK) == 8
    assert invalid(topics.POPULARITY, "bad_id") == before + 1


def test_counts_with_the_key_of_others() -> None:
    """Counts that do not match their key remove the counts of that key."""
    one = view()
    one.apply([counts(counts_of("a", 1), 0), Message(POPULARITY, 1, b"a/0", counts(counts_of("a", 5, 2), 1).body)])
    assert one.assortment.popularity.score("a", WEEK) == 0


def test_a_sku_with_a_slash() -> None:
    """The partition follows the last slash of a key."""
    one = view()
    one.apply([counts(counts_of("a/1", 1, 2), 0)])
    assert one.assortment.popularity.score("a/1", WEEK) == 8
    one.apply([Message(POPULARITY, 1, b"a/1/2")])
    assert one.assortment.popularity.score("a/1", WEEK) == 0


def test_counts_are_decoded_as_encoded() -> None:
    """Decoded counts equal the encoded ones. A window of another length is cut or filled."""
    one = Counts("a", 3, WEEK, (5, 0, 1, 0, 0, 0, 0, 2), (("b", 2), ("c", 1)))
    output = Encoder(CODEC).products.counts(one, AT)
    assert (output[0], output[1], DECODER.counts(output[2])) == (topics.POPULARITY, b"a/3", one)
    record = CODEC.decode("popularity", output[2])
    for weeks, read in ([7], (7, 0, 0, 0, 0, 0, 0, 0)), ([1] * 12, (1,) * 8):
        assert DECODER.counts(CODEC.encode("popularity", {**record, "weeks": weeks})).weeks == read


@pytest.mark.parametrize("former", sorted((SCHEMAS / "history").glob("product-*.avsc")), ids=lambda path: path.stem)
def test_a_product_of_an_older_schema(former: Path) -> None:
    """A product without complements, replacement and consumption, or without stock and other prices, has their defaults."""
    codec = Codec({"product": json.loads(former.read_text())})
    record = {"sku": "a", "title": "A", "category": "", "unit_price_minor": 1, "currency": "DKK", "updated_at": AT}
    decoded = DECODER.product(codec.encode("product", record))
    assert (decoded.sku, decoded.complements, decoded.replaces, decoded.is_consumable) == ("a", (), None, False)
    assert (decoded.stock, decoded.compared_price_minor, decoded.image_urls, decoded.categories) == (None, None, (), ())


def test_a_product_with_all_that_a_shop_knows() -> None:
    """Stock, the price to compare with, pictures, categories and dates arrive; what is invalid is left out or limited."""
    record = {
        "sku": "a", "title": "A", "category": "tea", "unit_price_minor": 100, "currency": "DKK", "updated_at": AT, "stock": 3,
        "compared_price_minor": 150, "image_urls": ["https://shop.example/1.png", "javascript:alert(1)"], "categories": ["tea", "sale"],
        "launches_at": AT, "back_in_stock_at": AT + timedelta(days=3),
    }  # fmt: skip
    decoded = DECODER.product(CODEC.encode("product", record))
    assert (decoded.stock, decoded.compared_price_minor) == (3, 150)
    assert (decoded.image_urls, decoded.categories) == (("https://shop.example/1.png",), ("tea", "sale"))
    assert (decoded.launches_at, decoded.back_in_stock_at) == (AT, AT + timedelta(days=3))
    for stock, read in ((-5, 0), (1 << 62, 10**9)):
        assert DECODER.product(CODEC.encode("product", {**record, "stock": stock})).stock == read


def test_a_view_is_ready_at_the_ends() -> None:
    """A view is ready once both topics are read to the ends that they had at the start. Transaction markers take offsets too."""
    one = view(products=2, popularity=0)
    one.apply([product("a", 0)])
    assert not one.is_ready
    one.apply([end(PRODUCTS, 2)])
    assert one.is_ready
    assert one.positions == {PRODUCTS: 2, POPULARITY: 0}


async def test_the_table_reads_on_after_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads both topics from the beginning, resumes where it was after an error, and applies later records."""
    monkeypatch.setattr(global_table, "RETRY_PAUSE_S", 0.0)
    log = [product("a", 0), product("b", 1), counts(counts_of("a", 1), 0)]
    # The first fails at once, the second after a record, the third does not fail.
    waiting = [FakeConsumer(log, fails_at=at) for at in (0, 1, None)]
    consumers = [*waiting]

    def opened(kafka: Any, group: str) -> FakeConsumer:
        return waiting.pop(0)

    table = GlobalTable({}, TOPICS, partial(AssortmentTable, DECODER), opened)
    metrics.CATALOGUE_READ.set(0)
    assortment = (await table.view()).assortment
    assert sorted(one.sku for one in assortment.catalogue) == ["a", "b"]
    assert assortment.popularity.score("a", WEEK) == 8
    assert metrics.CATALOGUE_READ._value.get() > 0
    assert [one.is_closed for one in consumers] == [True, True, False]
    assert consumers[2].assigned_at == {PRODUCTS: 1, POPULARITY: 0}
    log.append(product("c", 2))
    await asyncio.to_thread(consumers[2].served[2].wait)
    await table.stop()  # which waits until the records read are applied
    assert assortment.catalogue.get("c") is not None
    assert (await table.view()).assortment is assortment
    assert consumers[-1].is_closed


async def test_a_view_that_failed_is_not_returned() -> None:
    """The error of a record that cannot be applied is raised by every later call of `view`."""
    log = [product("a", 0)]

    class Brittle(AssortmentTable):
        def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
            if key == b"b":
                raise ArithmeticError
            super().put(topic, key, value)

    consumer = FakeConsumer(log)
    table = GlobalTable({}, TOPICS, partial(Brittle, DECODER), lambda kafka, name: consumer)
    assert skus(await table.view()) == ["a"]
    log.append(product("b", 1))
    await asyncio.to_thread(consumer.served[1].wait)
    await table.stop()
    with pytest.raises(ArithmeticError):
        await table.view()
