"""`takk import`: rows of CSV, JSON Lines and Avro become imported records, once each, and nobody is mailed about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest

from streams.core.values.addresses import guest_id, guest_key
from streams.tools.operations.importing import importer as importing
from streams.tools.operations.importing.importer import Importer, NoSink
from streams.tools.operations.importing.mapping import ImportMapping
from streams.tools.operations.importing.records import KINDS, RecordBuilder
from streams.tools.operations.importing.rows import ImportFailed
from streams.wire.decode.decoder import Decoder
from tests.harness import records
from tests.harness.driver import START, Driver
from tests.harness.events import shop_ruleset
from tests.harness.imports import CODEC, NOW, RAW, Published, builder_of, run_import

ORDERS = """order_id,customer_id,email,name,country,currency,total,placed_at,paid_at,cancelled_at
o1,c1,anna@example.com,Anna Holm,DK,DKK,129.50,2026-01-05T10:00:00Z,2026-01-05T10:05:00Z,
o2,c1,anna@example.com,Anna Holm,DK,DKK,"1,050.00",2026-02-27 09:00+01:00,,
o3,c2,bo@example.com,Bo,DK,DKK,80,2026-02-01,,2026-02-02
"""


def written(path: Path, text: str) -> Path:
    """Return the path of a file with this text."""
    path.write_text(text, encoding="utf-8")
    return path


def errors_of(path: Path) -> list[dict[str, Any]]:
    """Return the invalid rows of an import."""
    file = path.with_name(path.name + ".errors.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def events_of(sink: Published) -> Iterator[Any]:
    """Yield the events of the published records, as a worker decodes them."""
    decoder = Decoder(CODEC)
    for topic, record in sink.records:
        schema = next(kind.schema for kind in KINDS.values() if kind.topic == topic)
        at_ms = int(NOW.timestamp() * 1000)
        yield decoder.event(topic, record["customer_id"].encode(), CODEC.encode(schema, record), at_ms)


def test_orders_from_csv(tmp_path: Path) -> None:
    """A row gives a record for each time that it has: amounts in major units, times with a zone, marked as imported."""
    path, sink = written(tmp_path / "orders.csv", ORDERS), Published()
    outcome = run_import(path, "orders", sink)
    found = [(r["order_id"], r["kind"], r["total_minor"], r["occurred_at"].isoformat()) for _, r in sink.records]
    assert found == [
        ("o1", "placed", 12_950, "2026-01-05T10:00:00+00:00"),
        ("o1", "paid", 12_950, "2026-01-05T10:05:00+00:00"),
        ("o2", "placed", 105_000, "2026-02-27T08:00:00+00:00"),
        ("o3", "placed", 8_000, "2026-02-01T00:00:00+00:00"),
        ("o3", "cancelled", 8_000, "2026-02-02T00:00:00+00:00"),
    ]
    assert all(record["is_imported"] and record["ship_country"] == "DK" for _, record in sink.records)
    assert (outcome.progress.rows, outcome.progress.records, outcome.progress.invalid) == (3, 5, 0)
    assert errors_of(path) == []


@pytest.mark.parametrize("kind", ["jsonl", "avro"])
def test_orders_from_other_formats(tmp_path: Path, kind: str) -> None:
    """JSON Lines and Avro files with the fields of the schema are imported with their lines."""
    path, sink = tmp_path / f"orders.{kind}", Published()
    rows = [records.order(order_id=f"o{number}", placed_at=NOW, occurred_at=NOW) for number in range(3)]
    if kind == "avro":
        with path.open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema(RAW["order"]), rows)
    else:
        path.write_text("\n".join(json.dumps(row, default=lambda at: at.isoformat()) for row in rows))
    run_import(path, "orders", sink)
    assert [record for _, record in sink.records] == [{**row, "is_imported": True} for row in rows]


def test_an_import_mails_nobody_and_counts_once(tmp_path: Path) -> None:
    """Customers, orders and parcels, imported twice, even those of yesterday, update the state and send nothing."""
    run = Driver(shop_ruleset(), NOW)
    customers = (
        "customer_id,email,country,marketing_consent,history,orders_before,spend_before,occurred_at\n"
        "c1,anna@example.com,DK,true,complete,5,900.00,2026-01-01\n"
    )
    parcels = "customer_id,order_id,shipped_at,delivered_at\nc1,o2,2026-03-01,2026-03-01T12:00:00Z\n"
    for _ in range(2):
        for kind, text in (("customers", customers), ("orders", ORDERS), ("shipments", parcels)):
            path, sink = written(tmp_path / f"{kind}.csv", text), Published()
            run_import(path, kind, sink, restart=True)
            assert errors_of(path) == []
            run.handle(*events_of(sink))
    run.advance(timedelta(days=60))
    assert run.mails() == []
    assert {rule for _, _, rule in run.decisions()} <= {"imported", "too_old"}
    customer = run.customers["c1"]
    assert (customer.purchases, dict(customer.spend)) == (2, {"DKK": 117_950})
    assert customer.history is not None
    assert (customer.history.orders, customer.history.spend_minor) == (5, 90_000)
    assert run.customers["c2"].purchases == 0


def test_invalid_rows_are_written_to_a_file(tmp_path: Path) -> None:
    """Each invalid row is left out and written with its number, the reason and its values; the others are imported."""
    text = (
        "order_id,customer_id,currency,total,placed_at\n"
        "o1,c1,DKK,10.00,2026-01-05\n"
        ",c1,DKK,10.00,2026-01-05\n"
        "o3,c1,DKK,10.005,2026-01-05\n"
        "o4,c1,DKK,10.00,yesterday\n"
        "o5,c1,kr,10.00,2026-01-05\n"
        "o6,c1,DKK,-1,2026-01-05\n"
        "o7,c1,DKK,,2026-01-05\n"
        "o8,c1,DKK,10,2026-01-05,more\n"
        "o9,c1,DKK,10,2027-01-05\n"
    )
    path, sink = written(tmp_path / "orders.csv", text), Published()
    outcome = run_import(path, "orders", sink)
    assert [record["order_id"] for _, record in sink.records] == ["o1"]
    assert [(error["row"], error["reason"]) for error in errors_of(path)] == [
        (2, "missing_field"), (3, "bad_amount"), (4, "bad_time"), (5, "bad_currency"), (6, "negative_amount"), (7, "missing_field"),
        (8, "not_a_row"), (9, "future_time"),
    ]  # fmt: skip
    assert errors_of(path)[2]["values"]["placed_at"] == "yesterday"
    assert outcome.progress.invalid == 8
    assert path.with_name("orders.csv.errors.jsonl").stat().st_mode & 0o077 == 0


MAPPING = """fields:
  order_id: Name
  customer_id: Email
  email: Email
  currency: Currency
  total_minor: {column: Total, decimal: ","}
  placed_at: {column: Created, format: "%d.%m.%Y %H:%M", zone: Europe/Copenhagen}
  kind: {column: State, values: {open: placed, void: cancelled}, default: placed}
  country: {value: DK}
lines:
  sku: Sku
  quantity: Count
  unit_price_minor: {column: Price, decimal: ","}
"""


def test_mapping(tmp_path: Path) -> None:
    """A mapping names the columns, their formats and texts; rows of one order with a line each become one order."""
    mapping = written(tmp_path / "mapping.yaml", MAPPING)
    text = (
        "Name;Email;Currency;Total;Created;State;Sku;Count;Price;Note\n"
        "#1;a@example.com;DKK;1.250,50;24.12.2025 18:00;open;s1;1;1.000,00;x\n"
        "#1;;;;;;s2;1;250,50;\n"
        "#2;b@example.com;EUR;9,00;01.07.2025 12:00;;s1;2;4,50;\n"
        "#3;b@example.com;EUR;9,00;01.07.2025 12:00;odd;s1;2;4,50;\n"
    )
    path, sink = written(tmp_path / "shop.csv", text), Published()
    outcome = run_import(path, "orders", sink, mapping)
    (first, second) = [record for _, record in sink.records]
    assert (first["order_id"], first["total_minor"], first["kind"], first["country"]) == ("#1", 125_050, "placed", "DK")
    assert first["placed_at"] == first["occurred_at"] == datetime(2025, 12, 24, 17, tzinfo=UTC)
    assert [(line["sku"], line["unit_price_minor"]) for line in first["lines"]] == [("s1", 100_000), ("s2", 25_050)]
    assert (second["currency"], second["occurred_at"].hour) == ("EUR", 10)
    assert [error["reason"] for error in errors_of(path)] == ["unknown_value"]
    assert outcome.unused == ("Note",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fields: [a]", "fields is not a mapping"),
        ("columns: {}", "unknown key 'columns'"),
        ("fields: {order: Name}", "unknown key 'order' in fields"),
        ("fields: {order_idd: Name}", "did you mean 'order_id'?"),
        ("fields: {order_id: {column: A, value: B}}", "either `column` or `value`"),
        ("fields: {placed_at: {column: A, zone: Mars}}", "unknown time zone 'Mars'"),
        ("fields: {total_minor: {column: A, decimal: ';'}}", "unknown mark"),
        ("fields: {kind: {column: A, values: x}}", "values is not a mapping"),
        ("fields: {order_id: }", "names no column"),
        ("fields: {a: [", "line 1: invalid YAML"),
    ],
)
def test_an_invalid_mapping(tmp_path: Path, text: str, message: str) -> None:
    """An invalid mapping file is reported with its file, the place and a hint."""
    with pytest.raises(ImportFailed, match=r"mapping\.yaml") as error:
        builder_of("orders", written(tmp_path / "mapping.yaml", text))
    assert message in str(error.value)


def test_a_dry_run_publishes_nothing_and_keeps_no_progress(tmp_path: Path) -> None:
    """A dry run counts what an import would do, with the same errors, and leaves no state file."""
    path = written(tmp_path / "orders.csv", ORDERS + "o4,c1,,,DK,DKK,x,2026-01-01,,\n")
    outcome = run_import(path, "orders", NoSink(), is_dry_run=True)
    assert (outcome.progress.records, outcome.progress.invalid) == (5, 1)
    assert [error["reason"] for error in errors_of(path)] == ["bad_amount"]
    assert not path.with_name("orders.csv.import.json").exists()


def test_an_interrupted_import_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run continues after the last acknowledged rows; all runs together publish each record, with the same ids as one run."""
    monkeypatch.setattr(importing, "CHECKPOINT_RECORDS", 10)
    rows = [f"o{number},c{number % 7},DKK,{'x' if number % 9 == 0 else '10'},2026-01-05" for number in range(100)]
    path = written(tmp_path / "orders.csv", "\n".join(["order_id,customer_id,currency,total,placed_at", *rows]))
    whole = Published()
    run_import(path, "orders", whole, restart=True)
    errors = errors_of(path)
    path.with_name("orders.csv.import.json").unlink()
    first, second, third = Published(fails_at=45), Published(), Published()
    with pytest.raises(TimeoutError):
        run_import(path, "orders", first)
    outcome = run_import(path, "orders", second)
    assert 0 < outcome.resumed_at < 60
    assert list(dict.fromkeys([*first.ids, *second.ids])) == whole.ids
    assert len(first.ids) + len(second.ids) < len(whole.ids) + 10
    assert errors_of(path) == errors
    assert run_import(path, "orders", third).progress.records == len(whole.ids)
    assert third.ids == []
    written(path, path.read_text() + "\no100,c1,DKK,10,2026-01-05\n")
    run_import(path, "orders", third)
    assert len(third.ids) == len(whole.ids) + 1


def test_products_and_customers(tmp_path: Path) -> None:
    """Products are keyed by their sku; a customer without a time is invalid, because it could replace a newer profile."""
    text = "sku,title,category,unit_price,currency,updated_at\ns1,Tea,tea,49.00,DKK,2026-01-01\n"
    sink = Published()
    run_import(written(tmp_path / "products.csv", text), "products", sink)
    assert [(record["sku"], record["unit_price_minor"]) for _, record in sink.records] == [("s1", 4_900)]
    path = written(tmp_path / "customers.csv", "customer_id,email\nc1,a@example.com\n")
    run_import(path, "customers", Published())
    assert [error["detail"] for error in errors_of(path)] == ["occurred_at is missing"]


def test_attributes_of_customers(tmp_path: Path) -> None:
    """Columns, and those that the mapping names, become attributes, dates and ids; an empty cell states nothing."""
    mapping = written(
        tmp_path / "mapping.yaml",
        "fields:\n  attributes.shoe_size: Size\n  dates.wedding: {column: Married, format: '%d.%m.%Y'}\n"
        "  external_ids.klaviyo: {column: Klaviyo}\n",
    )
    path = written(
        tmp_path / "customers.csv",
        "customer_id,occurred_at,Size,Married,Klaviyo,attributes.color,city\n"
        "c1,2026-01-01,43,01.06.2019,01AB,blue,Odense\nc2,2026-01-01,,,,,\n",
    )
    sink = Published()
    outcome = run_import(path, "customers", sink, mapping)
    (first, second) = [record for _, record in sink.records]
    assert first["attributes"] == {"shoe_size": "43", "color": "blue"}
    assert (first["dates"], first["external_ids"], first["city"]) == (
        {"wedding": "2019-06-01"},
        {"klaviyo": "01AB"},
        "Odense",
    )
    assert (second["attributes"], second["dates"], second["external_ids"]) == ({}, {}, {})
    assert outcome.unused == ()


def test_attributes_in_json(tmp_path: Path) -> None:
    """An object of JSON Lines has texts and whole numbers; other values become texts, and a list is invalid."""
    rows = [
        {
            "customer_id": "c1",
            "occurred_at": "2026-01-01",
            "attributes": {"a": 1, "b": 4.5, "c": True, "d": None, "e": "x"},
        },
        {"customer_id": "c2", "occurred_at": "2026-01-01", "attributes": {"a": [1]}},
        {"customer_id": "c3", "occurred_at": "2026-01-01", "attributes": [1]},
    ]
    path = written(tmp_path / "customers.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    sink = Published()
    run_import(path, "customers", sink)
    ((_, record),) = sink.records
    assert record["attributes"] == {"a": 1, "b": "4.5", "c": "true", "d": None, "e": "x"}
    assert [error["reason"] for error in errors_of(path)] == ["bad_text", "bad_map"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("orders.xlsx", b"PK", "unknown format '.xlsx'"),
        ("orders.csv", b"", "no column names"),
        ("orders.csv", b"a,a\n1,2\n", "duplicate column 'a'"),
        ("orders.csv", b"a,b\n\xe6,1\n", "--encoding cp1252"),
        ("orders.avro", b"Obj\x01rest", "not a readable Avro container file"),
        ("missing.csv", None, "cannot read"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """A file that cannot be read is reported by its name, with the reason and what to do."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImportFailed) as error:
        run_import(path, "orders", Published())
    assert name in str(error.value)
    assert message in str(error.value)


def test_json_that_is_not_an_object(tmp_path: Path) -> None:
    """A line that is not a JSON object is an invalid row."""
    path = written(tmp_path / "orders.jsonl", '[1]\n{"order_id": \n\n' + "[" * 100_000 + "\n")
    run_import(path, "orders", Published())
    assert [(error["row"], error["reason"]) for error in errors_of(path)] == [(n, "not_a_row") for n in (1, 2, 3)]


def test_ids_depend_on_the_file_alone(tmp_path: Path) -> None:
    """A later import of the same file publishes the same records with the same ids."""
    path, first, second = written(tmp_path / "orders.csv", ORDERS), Published(), Published()
    run_import(path, "orders", first)
    later = RecordBuilder("orders", RAW["order"], ImportMapping(), "DKK", CODEC, START + timedelta(days=90))
    Importer(path, later, second).run(restart=True)
    assert first.ids == second.ids
    assert first.records == second.records


def test_guests(tmp_path: Path) -> None:
    """Rows without a customer id, or with the 0 of some shops, have the id of the address, in every kind of rows and every spelling."""
    key = guest_key(b"a secret of the tests")
    orders = "order_id,customer_id,email,currency,total,placed_at\no1,,Anna@Example.com,DKK,80,2026-02-01\no2,0,anna@example.com,DKK,80,2026-02-02\n"
    parcels = (
        "customer_id,email,order_id,shipped_at\n,anna@example.com ,o1,2026-02-03\nc1,bo@example.com,o3,2026-02-03\n"
    )
    customers = "email,country,occurred_at\nANNA@example.com,DK,2026-02-01\n"
    found = []
    for kind, text in (("orders", orders), ("shipments", parcels), ("customers", customers)):
        sink = Published()
        outcome = run_import(written(tmp_path / f"{kind}.csv", text), kind, sink, guest_key=key)
        assert (outcome.progress.invalid, outcome.unused) == (0, ()), kind
        found += [record["customer_id"] for _, record in sink.records]
    anna = guest_id(key, "anna@example.com")
    assert found == [anna, anna, anna, "c1", anna]


def test_guests_need_the_secret(tmp_path: Path) -> None:
    """Without the secret such a row is invalid, and the error says what to set. A row without an address is invalid as before."""
    rows = "order_id,customer_id,email,currency,total,placed_at\no1,,anna@example.com,DKK,80,2026-02-01\no2,,,DKK,80,2026-02-02\n"
    path = written(tmp_path / "orders.csv", rows)
    run_import(path, "orders", Published())
    first, second = errors_of(path)
    assert first["reason"] == "no_customer"
    assert "TAKK_ADDRESS_SECRET" in first["detail"]
    assert second["reason"] == "missing_field"
