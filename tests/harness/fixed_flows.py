"""The shipped templates with a fixed choice of flows, so that a new flow changes neither what tests count nor what benchmarks measure."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from streams.settings import PROJECT_ROOT

TRANSACTIONAL = frozenset(
    {
        *("address-changed", "confirm-request", "delayed", "delivered", "delivery-problem", "order-cancelled"),
        *("order-changed", "order-confirmation", "order-refunded", "out-for-delivery", "payment-received", "pickup"),
        *("returned", "returned-to-sender", "shipment-confirmation"),
    }
)
CARE = frozenset({"abroad", "good-to-know", "how-to", "thank-you", "usage", "what-next"})
#: The flows of the stacks of tests, and of the benchmarks.
FLOWS = TRANSACTIONAL | {"thank-you", "nps", "review", "goes-well-with", "photo-contest"}


def templates_with(flows: Collection[str], folder: Path) -> Path:
    """Copy the shipped templates with some of the flows to `folder`, and return it."""
    templates = Path(shutil.copytree(PROJECT_ROOT / "templates", folder))
    for flow in templates.glob("flows/*/*"):
        if flow.name not in flows:
            shutil.rmtree(flow)
    assert {flow.name for flow in templates.glob("flows/*/*")} == set(flows)
    return templates
