"""The shop's products for the pages: the newest record of each, also while the topic is being read."""

from __future__ import annotations

import pytest

from streams.gateway.products import ProductRecords, ProductTable
from streams.wire import topics
from tests.harness.product_records import DECODER, PRODUCTS, FakeConsumer, Message, product


def table_of(*messages: Message) -> tuple[ProductTable, FakeConsumer]:
    """Return a table that reads these records, and its consumer."""
    consumer = FakeConsumer(list(messages))
    return ProductTable({}, DECODER, open_reader=lambda kafka, group: consumer), consumer


async def test_products_are_read() -> None:
    """The table has the products of the topic, and is empty before it is started. It stops."""
    table, consumer = table_of(product("a", 0), product("b", 1))
    assert table.get("a") is None
    table.start()
    await table._table.view()
    found = table.get("b")
    assert found is not None
    assert (found.sku, table.get("c")) == ("b", None)
    await table.stop()
    assert consumer.is_closed


async def test_stop_before_the_start() -> None:
    """A gateway that is stopped before Kafka answered has read nothing."""
    table, _ = table_of()
    await table.stop()
    assert table.get("a") is None


@pytest.mark.parametrize("value", [b"", b"no Avro", None])
def test_invalid_and_removed_products(value: bytes | None) -> None:
    """A record that is invalid, and one without a value, leave no product behind: after a compaction they would be the only ones."""
    table, _ = table_of()
    view = table._make_view({PRODUCTS: (0, 2)})
    message = product("a", 0)
    view.put(topics.PRODUCTS, message.key(), message.value())
    assert table.get("a") is not None
    view.put(topics.PRODUCTS, message.key(), value)
    assert table.get("a") is None


def test_keys() -> None:
    """A record without a key is ignored, and one whose key is not its sku is not shown."""
    table, _ = table_of()
    view = table._make_view({PRODUCTS: (0, 2)})
    message = product("a", 0)
    view.put(topics.PRODUCTS, None, message.value())
    view.put(topics.PRODUCTS, b"b", message.value())
    assert table.get("b") is None
    assert list(view.values) == [b"b"]
    assert isinstance(view, ProductRecords)
