"""Triggers of parcels: ready for pickup, tracking known, held up. Each on the driver, in `takk simulate` and in `takk why`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.events import Event, OrderPlaced, ShipmentUpdated
from streams.core.model.orders.order import ParcelDetails, PickupPoint
from streams.core.rules.ruleset import Limits
from streams.core.rules.trigger_names import SYNONYMS
from streams.core.sending.content import template_data
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of

SEND = "steps: [{send: {message: a}}]"
PLACE = ParcelDetails(pickup=PickupPoint("Kiosk"), code="4711", last_day="2026-03-09")
#: Fields of the parcel at each event.
SAID: Mapping[str, Mapping[str, Any]] = {
    "ready_for_pickup": {"details": PLACE},
    "exception": {"details": ParcelDetails("customs")},
    "tracked": {},
    "tracking_known": {},
}
NAMES = sorted(SAID)
#: The two words for one event.
TRACKING = ("tracked", "tracking_known")


def parcel_at(name: str, parcel: str = "p1", hours: int = 0, parcels: int = 1) -> ShipmentUpdated:
    """An event that `shipment.<name>` names: for tracking, the first one with a tracking number."""
    status: Any = "in_transit" if name in TRACKING else name
    return replace(shipment("o1", status, START + hours * HOUR, parcel, parcels), **SAID[name])


def untracked(parcel: str = "p1", parcels: int = 1) -> ShipmentUpdated:
    """A shipped parcel without a tracking number or page."""
    return replace(shipment("o1", "shipped", START, parcel, parcels), tracking_number="", tracking_url="")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("once_per", "mails"), [("order", 1), ("parcel", 2), ("product", 2), ("customer", 1)])
def test_once_per(name: str, once_per: str, mails: int) -> None:
    """The event starts a flow once per order, parcel, product or customer, also if it is repeated or the order arrives last."""
    for is_early in (False, True):
        run = run_of(f"trigger: {{on: shipment.{name}, once_per: {once_per}}}\n{SEND}")
        placed = OrderPlaced(order("o1", START), START)
        parcels: list[Event] = [
            *[untracked(parcel, 2) for parcel in ("p1", "p2")],
            *[parcel_at(name, parcel, hours, 2) for hours, parcel in ((1, "p1"), (2, "p2"), (3, "p1"))],
        ]
        run.handle(*([*parcels, placed] if is_early else [placed, *parcels]))
        run.advance(DAY)
        assert len(run.mails()) == mails


@pytest.mark.parametrize("name", NAMES)
def test_last_parcel(name: str) -> None:
    """With `which: last` the flow starts when all parcels of the order have reached the event."""
    run = run_of(f"trigger: {{on: shipment.{name}, which: last}}\n{SEND}")
    buy(run)
    run.handle(untracked("p1", 2), untracked("p2", 2), parcel_at(name, "p1", 1, 2))
    assert run.mails() == []
    run.handle(parcel_at(name, "p2", 2, 2))
    assert len(run.mails()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_after_the_delivery(name: str) -> None:
    """An event that arrives after the delivery of its parcel starts nothing, and `takk why` says so."""
    run = run_of(f"trigger: {{on: shipment.{name}, once_per: parcel}}\n{SEND}")
    buy(run)
    run.handle(
        replace(shipment("o1", "delivered", START + DAY), tracking_number="", tracking_url=""),
        replace(parcel_at(name), occurred_at=START + 2 * DAY) if name in TRACKING else parcel_at(name),
    )
    assert run.decisions() == [("f", "skip", "already_delivered")]
    assert RULES["already_delivered"] == "the parcel had already been delivered"


@pytest.mark.parametrize("name", NAMES)
def test_waits_and_exits(name: str) -> None:
    """The event continues a flow that waits for it, and ends one that names it in `exit_on`, with a text for `takk why`."""
    wait = f"steps: [{{wait_for: {{event: shipment.{name}, up_to: 3d, then: [{{send: {{message: a}}}}]}}}}]"
    flows = [
        flow_text(f"trigger: {{on: order.placed}}\n{wait}", "waits"),
        flow_text(
            f"trigger: {{on: order.placed}}\nexit_on: [shipment.{name}]\nsteps: [{{wait: 3d}}, {{send: {{message: b}}}}]",
            "ends",
        ),
    ]
    rule = SYNONYMS.get(f"shipment.{name}", f"shipment.{name}")
    for happens, messages in ((True, ["a"]), (False, ["b"])):
        run = Driver(ruleset_of(*flows))
        buy(run)
        run.handle(untracked())
        run.advance(DAY)
        if happens:
            run.handle(parcel_at(name, hours=24))
        run.advance(9 * DAY)
        assert run.messages() == messages
        assert (("ends", "exit", rule) in run.decisions()) == happens
    assert RULES[rule]


@pytest.mark.parametrize("name", NAMES)
def test_simulated(name: str) -> None:
    """`takk simulate` counts the emails that the event starts."""
    flow = flow_text(
        f"trigger: {{on: shipment.{name}, once_per: parcel}}\nsteps: [{{wait: 1d}}, {{send: {{message: a}}}}]"
    )
    events: list[Event] = [OrderPlaced(order("o1", START), START), untracked(), parcel_at(name, hours=1)]
    history = History([(event.occurred_at, event) for event in events])
    found = simulate(ruleset_of(flow), history, 5)
    assert (found.by_flow, found.by_day) == ({"f/a": 1}, {"2026-03-03": 1})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_known_before", [False, True])
def test_order_that_is_no_longer_stored(name: str, is_known_before: bool) -> None:
    """The event starts a transactional flow once, whether it occurs before or after Takk drops the order."""
    flow = flow_text(f"trigger: {{on: shipment.{name}, once_per: parcel}}\n{SEND}", purpose="order")
    run = Driver(ruleset_of(flow, limits=Limits(orders=1, short_pieces=0)))
    buy(run)
    run.handle(untracked())
    if is_known_before:
        run.handle(parcel_at(name))
    buy(run, "o2")
    assert [state.order_id for state in run.customers["c1"].orders] == ["o2"]
    run.advance(2 * HOUR)
    run.handle(parcel_at(name, hours=1), parcel_at(name, hours=2), shipment("o1", "out_for_delivery", run.now))
    assert len(run.mails()) == 1


def test_data_of_a_pickup() -> None:
    """An email about a pickup has its place, code and last day, also some days later."""
    run = run_of(
        "trigger: {on: shipment.ready_for_pickup, once_per: parcel}\nsteps: [{wait: 2d}, {send: {message: a}}]"
    )
    buy(run)
    run.handle(parcel_at("ready_for_pickup"))
    run.advance(timedelta(days=2))
    (mail,) = run.mails()
    found = template_data(mail.content)["shipment"]
    assert found["status"] == "ready_for_pickup"
    assert (found["pickup"]["name"], found["pickup"]["code"], found["pickup"]["last_day"]) == (
        "Kiosk",
        "4711",
        "2026-03-09",
    )


def test_reason_of_an_exception() -> None:
    """A condition and an email know why a parcel is held up; a later exception for another reason still starts the flow."""
    run = run_of(
        f"trigger: {{on: shipment.exception, once_per: parcel, where: shipment.exception_reason == 'address'}}\n{SEND}"
    )
    buy(run)
    run.handle(parcel_at("exception"))
    assert run.decisions() == [("f", "skip", "where")]
    run.handle(replace(parcel_at("exception", hours=1), details=ParcelDetails("address")))
    (mail,) = run.mails()
    assert template_data(mail.content)["shipment"]["exception_reason"] == "address"


def test_two_words_for_one_event() -> None:
    """Flows may write `shipment.tracking_known` or `shipment.tracked` in each place; both are read as the same flow."""
    body = (
        "trigger: {{on: shipment.{0}, once_per: parcel}}\n"
        "exit_on: [shipment.{0}]\nsteps: [{{wait_for: {{event: shipment.{0}, up_to: 3d}}}}, {{send: {{message: a}}}}]"
    )
    one, two = (ruleset_of(flow_text(body.format(word))).flows for word in TRACKING)
    assert one == two
