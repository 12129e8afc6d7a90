"""Helpers for events, and the shop's flows, sending rules and consent policy."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from msgspec.structs import replace

from streams.core.model.events import Order, OrderLine, ShipmentStatus, ShipmentUpdated, ShippedLine
from streams.core.rules.consent_policy import ConsentPolicy
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.sending_rules import SendingRules
from streams.definitions.language.flow import parse_flow
from streams.definitions.loader import read_templates
from streams.mail.rendering.template_folders import flow_folders
from streams.settings import PROJECT_ROOT

TEMPLATES = PROJECT_ROOT / "templates"
FOLDERS = flow_folders(TEMPLATES)
MESSAGES = {
    "order-confirmation": ["confirmation"],
    "shipment-confirmation": ["shipped"],
    "thank-you": ["first-time", "first-time-subscriber", "returning", "thanks", "vip"],
    "review": ["ask", "ask-first-time"],
}


def flow_from(text: str, folder: str, messages: list[str], segments: Collection[str] = ()) -> Flow:
    """The flow in `text`, which must be valid."""
    parsed = parse_flow(text, messages, folder, segments)
    assert isinstance(parsed, Flow), parsed
    return parsed


@cache
def shop_flows() -> tuple[Flow, ...]:
    """Four flows of the repository."""
    return tuple(
        flow_from((FOLDERS[name] / "flow.yaml").read_text(encoding="utf-8"), name, messages)
        for name, messages in MESSAGES.items()
    )


@cache
def shop_policy() -> ConsentPolicy:
    """The consent policy of the repository."""
    return read_templates(TEMPLATES).consent


@cache
def shop_rules() -> SendingRules:
    """The sending rules of the repository for a shop whose first customers these are, without quiet hours: with days of seconds there is
    no time of day.
    """
    return replace(read_templates(TEMPLATES).rules, quiet=None, history="complete")


def shop_ruleset(**settings: Any) -> Ruleset:
    """A ruleset with four flows, the consent policy and the sending rules of the repository."""
    return Ruleset(shop_flows(), **{"consent_policy": shop_policy(), "rules": shop_rules(), **settings})


def order(order_id: str, placed_at: datetime, **changes: Any) -> Order:
    """An order of two lines for 500 kroner."""
    values: dict[str, Any] = {
        "customer_id": "c1",
        "email": "anna@example.com",
        "name": "Anna Holm",
        "locale": "da",
        "country": "DK",
        "ship_country": "DK",
        "currency": "DKK",
        "total_minor": 50_000,
        "lines": (OrderLine("s1", "Tea", "tea", 2, 15_000), OrderLine("s2", "Cup", "cups", 1, 20_000)),
    }
    return Order(order_id=order_id, placed_at=placed_at, **(values | changes))


def shipment(
    order_id: str, status: ShipmentStatus, at: datetime, parcel: str = "p1", parcels: int = 1, customer_id: str = "c1"
) -> ShipmentUpdated:
    """An event of a parcel."""
    return ShipmentUpdated(
        customer_id=customer_id,
        order_id=order_id,
        parcel_id=parcel,
        parcels_in_order=parcels,
        carrier="PostNord",
        tracking_number=f"T{parcel}",
        tracking_url=f"https://track.example/{parcel}",
        status=status,
        window_from=None,
        window_to=None,
        lines=(ShippedLine("s1", 1),),
        occurred_at=at,
    )
