"""The work that `advance` does for an event, in function calls rather than in time."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import Event, OrderPlaced
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import CAMPAIGN, DATES, MEMBERSHIPS, REPLACED, REWARD_EXPIRING, TRIGGERS
from tests.harness.driver import START
from tests.harness.events import order, shipment, shop_flows, shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of

#: Triggers that orders and delivered parcels do not affect. Orders may change segments, thresholds, dates and the index of products, and a
#: parcel may become traceable.
OTHERS = [
    on
    for on in TRIGGERS
    if on not in ("order.placed", "shipment.delivered", "shipment.tracking_known", "shipment.tracked")
    and on not in MEMBERSHIPS
    and on not in (*DATES, CAMPAIGN, REPLACED, REWARD_EXPIRING)
]


def calls(ruleset: Ruleset, *events: Event) -> list[int]:
    """Return the number of Python functions that each event of one customer calls."""
    counts, state = [], new_customer("c1")
    for event in events:
        count = 0

        def on_profile_event(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal count
            count += event == "call"

        before = sys.getprofile()
        sys.setprofile(on_profile_event)
        try:
            state, _ = advance(ruleset, state, event, START)
        finally:
            sys.setprofile(before)
        counts.append(count)
    return counts


def test_flows_that_an_event_cannot_start_cost_nothing() -> None:
    """With three hundred more flows on other triggers, the same events call the same number of functions."""
    more = ruleset_of(
        *[
            flow_text(
                f"trigger: {{on: {OTHERS[number % len(OTHERS)]}}}\nsteps: [{{wait: 1d}}, {{send: {{message: a}}}}]",
                name=f"more-{number}",
            )
            for number in range(300)
        ]
    ).flows
    events = [
        OrderPlaced(order("o1", START), START),
        shipment("o1", "delivered", START),
        OrderPlaced(order("o2", START), START),
    ]
    calls(shop_ruleset(), *events)  # fills caches, such as that of time zones
    alone = calls(shop_ruleset(), *events)
    ruleset = shop_ruleset().with_flows([*shop_flows(), *more])
    assert len(ruleset.flows) > 250
    assert calls(ruleset, *events) == alone
    assert min(alone) > 20
