"""`takk simulate`: the table, the page, JSON, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.tools.cli.main import main
from streams.tools.local.shop.shop import Shop
from streams.tools.simulation.history import (
    write_file,
)
from tests.harness.driver import START
from tests.harness.events import TEMPLATES
from tests.harness.fixed_flows import FLOWS, templates_with
from tests.unit.tools.simulation.samples import Page, products_file


def history_files(directory: Path, count: int = 4_000) -> list[Path]:
    """Avro files of the simulated shop."""
    rows: dict[str, list[Any]] = {}
    for number, produced in enumerate(Shop(7, 0.002, 86_400.0).records(START, 60 * 86_400.0)):
        rows.setdefault(produced.topic, []).append(produced.record)
        if number == count:
            break
    for topic, of_topic in rows.items():
        write_file(directory / f"{topic}.avro", topic, of_topic)
    return sorted(directory.glob("*.avro"))


def test_the_command(tmp_path: Path) -> None:
    """The command prints a table or JSON and writes a page; errors are reported without a traceback."""
    sources = [word for path in history_files(tmp_path) for word in ("--from", str(path))]
    html = tmp_path / "report.html"
    sources += ["--templates", str(templates_with(FLOWS, tmp_path / "templates"))]
    done = CliRunner().invoke(main, ["simulate", *sources, "--flow", "review@off", "--html", str(html)])
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines() if line.startswith("sent: review/ask "))
    assert int(line.split()[-1].replace(",", "")) < 0
    assert "events in" in done.output
    assert Page(html.read_text()).open == []
    path = products_file(tmp_path, {"sku": "a", "is_available": False}, {"sku": ""})
    done = CliRunner().invoke(main, ["simulate", *sources, "--products", str(path), "--days", "60"])
    assert done.exit_code == 0, done.output
    assert "not sent: goes-well-with skip too_few_products" in done.output
    assert "sent: goes-well-with/products" not in done.output
    assert "skipped 1 invalid record: bad_id" in done.output
    path.unlink()
    done = CliRunner().invoke(main, ["simulate", *sources, "--json"])
    (found,) = json.loads(done.stdout)["outcomes"]
    assert found["mails"] == sum(found["by_flow"].values()) > 0
    keys = "name mails by_flow by_day customers percentiles losses put_off events seconds"  # scripts of shops read them
    assert list(found) == keys.split()
    for arguments, message, code in (
        (["--from", "gone.avro"], "gone.avro", 1),
        ([*sources, "--flow", "x@off"], "unknown flow 'x'", 1),
        ([*sources, "--from", "topic"], "cannot be combined with files", 2),
    ):
        done = CliRunner().invoke(main, ["simulate", *arguments])
        assert done.exit_code == code
        assert message in done.output


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    """An unwritable page is reported before the simulation starts; an existing page stays until the new one is written."""
    page_file = tmp_path / "no" / "where.html"
    done = CliRunner().invoke(main, ["simulate", "--from", "gone.avro", "--html", str(page_file)])
    assert (done.exit_code, f"cannot write {page_file}: No such file or directory" in done.output) == (1, True)
    page_file = tmp_path / "here.html"
    page_file.write_text("older")
    done = CliRunner().invoke(main, ["simulate", "--from", "gone.avro", "--html", str(page_file)])
    assert "gone.avro" in done.output
    assert page_file.read_text() == "older"


ORDERS = """order_id,customer_id,email,country,Placed,total,lines
1,anna,anna@example.com,DK,2026-03-02T09:00:00Z,649.00,"[{""sku"":""S-1"",""title"":""Tea"",""quantity"":1,""unit_price_minor"":64900}]"
2,bo,bo@example.com,DK,never,649.00,"[]"
"""
SHIPPED = '{"order_id": "1", "customer_id": "anna", "parcel_id": "p1", "shipped_at": "2026-03-03T09:00:00Z"}\n'


def test_rows_without_kafka(tmp_path: Path) -> None:
    """CSV and JSON Lines, as `takk import` reads them, start flows in a simulation, and invalid rows are counted."""
    orders, parcels, mapping = tmp_path / "sales.csv", tmp_path / "shipments-1.jsonl", tmp_path / "shop.yaml"
    orders.write_text(ORDERS)
    parcels.write_text(SHIPPED)
    mapping.write_text("fields: {placed_at: Placed}")
    sources = ["--from", f"orders={orders}", "--from", str(parcels), "--templates", str(TEMPLATES)]
    done = CliRunner().invoke(main, ["simulate", *sources, "--mapping", f"orders={mapping}", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["broken"] == {"bad_time": 1}
    assert {"order-confirmation/confirmation", "shipment-confirmation/shipped"} <= {*found["outcomes"][0]["by_flow"]}


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--from", "sales.csv"], "the kind of the rows is unknown", 1),
        (["--from", "sales=gone.csv"], "unknown kind of rows 'sales'", 1),
        (["--from", "orders=gone.csv"], "cannot read gone.csv", 1),
        (["--from", "orders.csv", "--mapping", "shop.yaml"], "has no kind of rows", 2),
    ],
)
def test_rows_that_cannot_be_read(arguments: list[str], message: str, code: int) -> None:
    """The error names the file, and how to name its kind."""
    done = CliRunner().invoke(main, ["simulate", *arguments, "--templates", str(TEMPLATES)])
    assert (done.exit_code, message in done.output) == (code, True), done.output
