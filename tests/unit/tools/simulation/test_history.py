"""Histories and products from Avro files: valid, invalid and damaged ones."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest

from streams.tools.simulation.history import (
    HistoryError,
    from_files,
    products_from_file,
    products_of,
    write_file,
)
from streams.wire import topics
from tests.harness import records
from tests.harness.product_records import DECODER, PRODUCTS, Message, view
from tests.harness.product_records import product as item
from tests.harness.records import AT
from tests.unit.tools.simulation.samples import products_file

DAY = timedelta(days=1)


def test_a_history_from_files(tmp_path: Path) -> None:
    """Files of each kind become events in the order of time; invalid records are counted."""
    write_file(
        tmp_path / "orders.avro", topics.ORDERS, [records.order(customer_id="c2"), records.order(currency="kroner")]
    )
    write_file(tmp_path / "shipments.avro", topics.SHIPMENTS, [records.shipment(), records.shipment(customer_id="")])
    found = from_files(sorted(tmp_path.glob("*.avro")))
    assert [at for at, _ in found.events] == sorted(at for at, _ in found.events)
    assert len(found.events) == 2
    assert found.invalid == {"bad_currency": 1, "no_customer": 1}


@pytest.mark.parametrize("content", [b"", b"not avro at all"])
def test_a_file_that_is_not_a_history(tmp_path: Path, content: bytes) -> None:
    """The file is named, with what is expected."""
    path = tmp_path / "orders.avro"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="not a readable Avro container file") as caught:
        from_files([path])
    assert str(path) in str(caught.value)
    with pytest.raises(HistoryError, match=r"gone\.avro"):
        from_files([tmp_path / "gone.avro"])
    write_file(path, topics.DECISIONS, [])
    with pytest.raises(HistoryError, match="of type FlowDecision; expected Browsed, "):
        from_files([path])


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file that is cut off, or has one changed byte, is read or reported; no other error occurs."""
    path, damaged = tmp_path / "orders.avro", tmp_path / "damaged.avro"
    write_file(path, topics.ORDERS, [records.order(order_id=f"o{number}") for number in range(50)])
    whole = path.read_bytes()
    cut = [whole[:end] for end in range(0, len(whole) - 1, 97)]
    changed = [whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :] for at in range(0, len(whole), 41)]
    for content in [*cut, *changed]:
        damaged.write_bytes(content)
        for read in (from_files, lambda paths: products_from_file(*paths)):
            with suppress(HistoryError):
                read([damaged])
    damaged.write_bytes(whole[:-100])
    with pytest.raises(HistoryError, match="Is the file complete"):
        from_files([damaged])


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A missing file and a directory are reported as such."""
    for path, reason in ((tmp_path / "gone.avro", "No such file"), (tmp_path, "Is a directory")):
        for read in (from_files, lambda paths: products_from_file(*paths)):
            with pytest.raises(HistoryError, match=rf"cannot read {path}: {reason}"):
                read([path])


def test_products_from_a_file(tmp_path: Path) -> None:
    """The last record of a product counts; an invalid record removes the product, and is counted."""
    path = products_file(
        tmp_path,
        {"sku": "a"},
        {"sku": "b"},
        {"sku": "a", "title": "New"},
        {"sku": "b", "currency": "kroner"},
        {"sku": ""},
    )
    products = products_from_file(path)
    assert [(one.sku, one.title) for one in products.catalogue] == [("a", "New")]
    assert products.invalid == {"bad_currency": 1, "bad_id": 1}
    write_file(path, topics.ORDERS, [records.order()])
    with pytest.raises(HistoryError, match="of type Order; expected Product"):
        products_from_file(path)
    path.write_bytes(b"not avro at all")
    with pytest.raises(HistoryError, match="not a readable Avro container file"):
        products_from_file(path)


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        ["null", "string"],
        {"type": "record", "name": "Product", "fields": [{"name": "sku", "type": "string"}]},
        {"type": "record", "name": "Order", "fields": [{"name": "customer_id", "type": "string"}]},
    ],
)
def test_files_of_other_schemas(tmp_path: Path, schema: Any) -> None:
    """An Avro file of another schema is reported with its name."""
    path = tmp_path / "other.avro"
    record = {"sku": "a", "customer_id": "c1"} if isinstance(schema, dict) else "a"
    with path.open("wb") as file:
        fastavro.writer(file, schema, [record])
    with pytest.raises(HistoryError, match=r"other\.avro: "):
        products_from_file(path)
    with pytest.raises(HistoryError, match=r"other\.avro: "):
        from_files([path])


def test_escape_sequences_in_a_schema_name(tmp_path: Path) -> None:
    """Escape sequences in the name of a schema are not printed."""
    path = tmp_path / "other.avro"
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "\x1b[31mRed", "fields": []}, [{}])
    with pytest.raises(HistoryError, match="Red") as caught:
        from_files([path])
    assert "\x1b" not in str(caught.value)


def test_products_from_the_topic_are_those_of_the_mailer() -> None:
    """New, changed, removed and invalid records leave the same products as in the mailer's table."""
    messages = [
        item("a", 0), item("b", 1), item("c", 2), item("d", 3), item("a", 4, title="New"), Message(PRODUCTS, 5, b"b"),
        item("c", 6, currency="kroner"), item("x", 7, key=b"d"), Message(PRODUCTS, 8, b"e", b"no record"), Message(PRODUCTS, 9),
        item("f", 10, key=b"\xff"),
    ]  # fmt: skip
    products = products_of(DECODER, messages)
    table_of_mailer = view()
    table_of_mailer.apply(messages)
    assert list(products.catalogue) == list(table_of_mailer.assortment.catalogue)
    assert [(one.sku, one.title) for one in products.catalogue] == [("a", "New")]
    assert products.invalid == {"bad_currency": 1, "bad_id": 2, "not_avro": 1}


def test_versions_of_products(tmp_path: Path) -> None:
    """Every valid record is a version of its product, in the order of their times, whatever the order of the records."""
    path = products_file(
        tmp_path,
        {"sku": "a", "updated_at": AT + DAY, "stock": 0},
        {"sku": "b", "updated_at": AT, "replaces": "a"},
        {"sku": "a", "updated_at": AT, "unit_price_minor": 90},
        {"sku": "a", "updated_at": AT, "currency": "kroner"},
    )
    versions = [
        (each.sku, each.updated_at, each.is_in_stock, each.price_minor) for each in products_from_file(path).versions
    ]
    assert versions == [("b", AT, True, 100), ("a", AT, True, 90), ("a", AT + DAY, False, 100)]
    messages = [item("a", 0, updated_at=AT + DAY), item("a", 1), Message(PRODUCTS, 2, b"a")]
    assert [each.offset for each in products_of(DECODER, messages).versions] == [1, 0]


def test_progress_of_reading(tmp_path: Path) -> None:
    """Progress is reported every 5,000 records, in bytes of the file."""
    path = tmp_path / "orders.avro"
    write_file(path, topics.ORDERS, [records.order()] * 10_001)
    progress: list[tuple[int, int]] = []
    from_files([path], on_progress=lambda done, total: progress.append((done, total)))
    (half, size), (most, _) = progress
    assert 0 < half < most <= size == path.stat().st_size
