"""The past of the simulated shop: valid rows, the same for a seed, and few customers who get marketing."""

from __future__ import annotations

import json
from pathlib import Path

from streams.tools.local.past import write_past
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


def test_one_customer_in_ten_gets_marketing(tmp_path: Path) -> None:
    """They agreed, and gave two birthdays. All others refused, so that the emails about the past stay few."""
    paths, _ = write_past(tmp_path, 7, NOW, 1, customers=50)
    profiles = [json.loads(line) for line in paths["customers"].read_text().splitlines()]
    members = [profile for profile in profiles if profile["marketing_consent"]]
    assert [profiles.index(member) for member in members] == [0, 10, 20, 30, 40]
    assert all(profile["marketing_consent"] is False for profile in profiles if profile not in members)
    assert members == [
        profile for profile in profiles if "birthday" in profile and "partner_birthday" in profile["dates"]
    ]
