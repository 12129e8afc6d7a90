"""The past of the simulated shop: valid rows, the same for a seed, and a wait that ends when the worker has caught up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.tools.local import past
from streams.tools.local.past import wait_until_processed, write_past
from tests.harness.imports import NOW, Published, run_import


def test_every_row_is_valid(tmp_path: Path) -> None:
    """All rows are imported: a profile for each customer, and an order and a delivery for each order, all of them older than `max_age`."""
    paths, orders = write_past(tmp_path, 7, NOW, 86_400, customers=50)
    assert 50 <= orders <= 150
    for kind, count in (("customers", 50), ("orders", orders), ("shipments", orders)):
        sink = Published()
        outcome = run_import(paths[kind], kind, sink)
        assert (len(sink.records), outcome.progress.invalid) == (count, 0)
        assert all((NOW - record["occurred_at"]).days >= 14 for _, record in sink.records)


def test_a_seed_gives_the_same_past(tmp_path: Path) -> None:
    """The same seed and time give the same files; another seed gives others."""
    first, second, third = (
        write_past(tmp_path / name, seed, NOW, 1, 5)[0] for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    texts = [
        [json.loads(line) for line in paths["orders"].read_text().splitlines()] for paths in (first, second, third)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(("lags", "is_processed"), [([5.0, 0.0, 3.0, 0.0, 0.0], True), ([1.0] * 10, False)])
def test_the_shop_opens_when_the_worker_has_caught_up(
    monkeypatch: pytest.MonkeyPatch, lags: list[float], is_processed: bool
) -> None:
    """The wait ends when the lag was 0 twice in a row, or at its timeout."""
    clock = iter(range(100))
    monkeypatch.setattr(past.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(past.time, "monotonic", lambda: next(clock))
    measured = iter(lags)
    assert wait_until_processed(lambda: next(measured), timeout_s=8) is is_processed
