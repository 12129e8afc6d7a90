"""How much `advance` does for an event, counted in calls of functions and not in time."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import Event, OrderPlaced
from streams.core.model.flow import DATES, TRIGGERS
from streams.core.model.ruleset import Ruleset
from tests.harness.driver import START
from tests.harness.events import order, shipment, shop_flows, shop_world
from tests.harness.flow_texts import flow_text, ruleset_of

#: What neither an order nor a delivered parcel can start, or ask about: orders may change segments and the customer's days.
OTHERS = [
    on
    for on in TRIGGERS
    if on not in ("order.placed", "shipment.delivered") and not on.startswith("segment.") and on not in DATES
]


def calls(ruleset: Ruleset, *events: Event) -> list[int]:
    """How many functions of Python each event of one customer calls."""
    found, state = [], new_customer("c1")
    for event in events:
        count = 0

        def at_call(frame: FrameType, what: str, argument: Any) -> None:
            nonlocal count
            count += what == "call"

        before = sys.getprofile()
        sys.setprofile(at_call)
        try:
            state, _ = advance(ruleset, state, event, START)
        finally:
            sys.setprofile(before)
        found.append(count)
    return found


def test_flows_that_an_event_cannot_start_cost_nothing() -> None:
    """Three hundred more flows on other triggers, and the same events call as many functions as without them."""
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
    calls(shop_world(), *events)  # what is remembered from the first time on (time zones) is not counted
    alone = calls(shop_world(), *events)
    ruleset = shop_world().with_flows([*shop_flows(), *more])
    assert len(ruleset.flows) > 250
    assert calls(ruleset, *events) == alone
    assert min(alone) > 20
