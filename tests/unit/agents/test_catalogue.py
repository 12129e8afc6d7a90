"""The catalogue agent: customers are notified of a change once, whatever happens between two batches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.agents import catalogue
from streams.agents.global_tables.product_versions import ProductVersions
from streams.core.model.product_events import NoteInterest, ProductChanged
from streams.core.offers.product_index import interests_of
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, PARTITION, PARTITIONS, Agent, Output
from tests.harness.effects import NOW
from tests.harness.product_records import PRODUCTS, Message
from tests.harness.records import AT, AT_MS

KINDS = ("back_in_stock", "price_dropped", "replaced")
SKU, OTHER = (f"s{n}" for n in [n for n in range(100) if partition_of(f"s{n}".encode(), PARTITIONS) == PARTITION][:2])
ELSEWHERE = next(f"s{n}" for n in range(100) if partition_of(f"s{n}".encode(), PARTITIONS) != PARTITION)
HOUR = timedelta(hours=1)


class Catalogue:
    """The agent on one partition, and the products that it reads."""

    def __init__(self, folder: Path, rate: int = 500) -> None:
        self.folder = folder
        self.rate = rate
        self.products = ProductVersions(Decoder(CODEC), PARTITIONS, {PRODUCTS: (0, 0)})
        self.offset = 0
        self.now_ms = AT_MS
        self.notified: list[tuple[str, str]] = []
        self._open()

    def _open(self) -> None:
        async def fetch() -> ProductVersions:
            return self.products

        def register(app: Any, instrumentation: Any) -> Any:
            return catalogue.register(app, instrumentation, KINDS, self.rate, fetch)

        self.agent = Agent(self.folder, register)

    def restart(self) -> None:
        """Start another process on the same disk."""
        self.agent.store.close()
        self._open()

    def product(self, sku: str = SKU, hours: float = 1, **values: Any) -> None:
        """Write a record of a product some hours after the last one, without processing it."""
        self.now_ms += round(hours * 3_600_000)
        record = {
            "sku": sku, "title": "Lamp", "category": "c", "unit_price_minor": 100, "currency": "DKK",
            "updated_at": AT + timedelta(milliseconds=self.now_ms - AT_MS),
        } | values  # fmt: skip
        self.products.apply([Message(PRODUCTS, self.offset, sku.encode(), CODEC.encode("product", record))])
        self.offset += 1

    def interest(self, customer_id: str, sku: str = SKU, *, is_kept: bool = True, **times: Any) -> Output:
        """The record of a wish, or of its end."""
        wished_at = AT if is_kept else None
        effect = NoteInterest(
            interest_id="i", customer_id=customer_id, sku=sku, **({"wished_at": wished_at, "bought_at": None} | times)
        )
        output = Encoder(CODEC).effects.encode(effect, NOW)
        return output.topic, output.key, output.value

    def batch(self, *records: Output) -> list[tuple[str, str]]:
        """Process one batch, and return the customers who are notified, each with its kind."""
        self.now_ms += 1000
        notified: list[tuple[str, str]] = []
        for topic, key, value in self.agent.run(records, at_ms=self.now_ms):
            assert topic == topics.PRODUCT_CHANGES, value
            event = Decoder(CODEC).event(topic, key, value, self.now_ms)
            assert isinstance(event, ProductChanged)
            notified.append((event.customer_id, event.kind))
        self.notified += notified
        return notified

    def work(self) -> list[tuple[str, str]]:
        """Process batches until none is due."""
        notified = self.batch()
        while True:
            self.agent.app.task_manager.now_ms = self.now_ms + 1000
            if not self.agent.is_due:
                return notified
            notified += self.batch()


@pytest.fixture
def shop(tmp_path: Path) -> Catalogue:
    """An agent that has read the product `SKU`, which is sold out."""
    shop = Catalogue(tmp_path)
    shop.product(is_available=False)
    shop.work()
    return shop


def test_each_customer_is_notified_once_of_a_change(shop: Catalogue) -> None:
    """Customers who wish for the product are notified, others are not, and a restart repeats nothing."""
    shop.batch(
        shop.interest("c1"),
        shop.interest("c2"),
        shop.interest("c3", OTHER),
        shop.interest("c4", wished_at=None, bought_at=AT),
    )
    shop.product()
    assert shop.work() == [("c1", "back_in_stock"), ("c2", "back_in_stock")]
    shop.restart()
    assert shop.work() == []


def test_a_walk_continues_after_a_restart(tmp_path: Path) -> None:
    """The customers are notified at the rate of the walk, in whatever process, each once."""
    shop = Catalogue(tmp_path, rate=10)
    shop.product(is_available=False)
    shop.work()
    customers = [f"c{n:02}" for n in range(20)]
    shop.batch(*[shop.interest(customer) for customer in customers])
    shop.product()
    for _ in range(40):
        shop.batch()
        shop.restart()
    assert [customer for customer, _ in shop.notified] == customers


def test_a_change_that_no_longer_holds_ends_its_walk(tmp_path: Path) -> None:
    """Once the product is sold out again, the remaining customers are not notified."""
    shop = Catalogue(tmp_path, rate=10)
    shop.product(is_available=False)
    shop.work()
    shop.batch(*[shop.interest(f"c{n:02}") for n in range(20)])
    shop.product()
    for _ in range(3):
        shop.batch()
    assert 0 < len(shop.notified) < 20
    shop.product(stock=0)
    count = len(shop.notified)
    shop.work()
    assert len(shop.notified) <= count + 2


def test_a_wish_that_ends_leaves_the_index(shop: Catalogue) -> None:
    """A wish that was taken back leaves no entry behind."""
    shop.batch(shop.interest("c1"))
    shop.batch(shop.interest("c1", is_kept=False))
    assert not list(shop.agent.store.items(*interests_of(SKU)))
    shop.product()
    assert shop.work() == []


def test_an_interest_that_arrives_late_is_notified_at_once(shop: Catalogue) -> None:
    """A wish from before the change is notified, once; a later wish, and one for a product that is sold out again, are not."""
    shop.product()
    shop.work()
    assert shop.batch(shop.interest("c1")) == [("c1", "back_in_stock")]
    assert shop.batch(shop.interest("c1")) == []
    assert shop.batch(shop.interest("c2", wished_at=AT + 9 * HOUR)) == []
    shop.product(stock=0)
    shop.work()
    assert shop.batch(shop.interest("c3")) == []


def test_a_reader_that_lags_behind_changes_nothing(shop: Catalogue) -> None:
    """A process whose view of the catalogue is older than what was stored neither goes back nor forward again."""
    shop.batch(shop.interest("c1"))
    older = shop.products
    shop.products = ProductVersions(Decoder(CODEC), PARTITIONS, {PRODUCTS: (0, 0)})
    shop.product()
    shop.restart()
    assert len(shop.work()) == 1
    shop.products = older
    shop.restart()
    assert shop.work() == []


def test_prices_and_replacements(shop: Catalogue) -> None:
    """A lower price is notified to those who wish for the product, a newer version to those who bought it, on the partition of the older one."""
    shop.batch(shop.interest("c1"), shop.interest("c2", wished_at=None, bought_at=AT))
    shop.product(stock=4)
    shop.product(unit_price_minor=80)
    shop.product(ELSEWHERE, replaces=SKU)
    assert sorted(shop.work()) == [("c1", "back_in_stock"), ("c1", "price_dropped"), ("c2", "replaced")]
    shop.product(ELSEWHERE, replaces=SKU, unit_price_minor=70)
    assert shop.work() == []
