"""The plan of a migration: the steps where customers wait, their targets, and the numbers."""

from __future__ import annotations

from streams.core.rules.flow import Migration
from streams.definitions.views.migration_plan import preview
from tests.harness.flow_versions import NEW, OLD, customer, flow

PREVIEW = """\
f, from version 1 to version 2:
          0  0 send a, priority 50, expires after 5 days  finishes on its own version
          3  2 split  -> 3 send b, priority 50, expires after 5 days
          0  2.0.0 send b, priority 50, expires after 5 days  finishes on its own version
          0  2.0.2 emit seen  finishes on its own version
          0  2.1.0 wait for mail.opened, 1 day at most  finishes on its own version
          0  2.1.0.0.0 send c, priority 50, expires after 5 days  finishes on its own version
          1  3 send d, priority 50, expires after 5 days  finishes on its own version
Moves 2 of 3 customers in f (3 instances).

Add these lines to f/flow.yaml and restart the workers:
migrations:
  - from: 1
    steps: {"2": "3"}
Customers continue at the new step when their current wait ends. Keep the older file while customers are on it."""


def test_preview() -> None:
    """The plan has each step where instances can wait, with their number, and the customers that would move."""
    customers = [
        customer("c1", ("f", 1, "2"), ("f", 1, "2")),
        customer("c2", ("f", 1, "2"), ("f", 1, "3")),
        customer("c3", ("f", 2, "4")),
        customer("c4", ("other", 1, "2")),
    ]
    migration = Migration(version=1, steps=(("2", "3"),))
    assert "\n".join(preview(flow(1, OLD), flow(2, NEW), migration, iter(customers))) == PREVIEW


def test_without_numbers() -> None:
    """Without customers the plan has no numbers, rather than zeros."""
    lines = preview(flow(1, OLD), flow(2, NEW), Migration(version=1, steps=(("2", "3"),)), None)
    assert lines[1] == "  0 send a, priority 50, expires after 5 days  finishes on its own version"
    assert not [line for line in lines if line.startswith("Moves ")]
