"""`takk simulate`: the table, the page, JSON, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from streams.tools.cli.main import main
from streams.tools.local.shop.shop import Shop
from streams.tools.simulation.history import (
    write_file,
)
from tests.harness.driver import START
from tests.harness.events import TEMPLATES
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
    done = CliRunner().invoke(
        main, ["simulate", *sources, "--flow", "review@off", "--html", str(html), "--templates", str(TEMPLATES)]
    )
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines() if line.startswith("sent: review/ask "))
    assert int(line.split()[-1].replace(",", "")) < 0
    assert "events in" in done.output
    assert Page(html.read_text()).open == []
    path = products_file(tmp_path, {"sku": "a", "is_available": False}, {"sku": ""})
    done = CliRunner().invoke(
        main, ["simulate", *sources, "--products", str(path), "--templates", str(TEMPLATES), "--days", "60"]
    )
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
