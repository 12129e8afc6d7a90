"""Sample data for checks of messages: the data of a send with every optional part, and with as few as possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import orjson
from msgspec.structs import replace

from streams.core.conditions.names import EVENT_DATA
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.model.effects import Content
from streams.core.model.orders.order import (
    TRACKED,
    Address,
    GiftRecipient,
    LineDetails,
    OrderDetails,
    OrderDiscount,
    OrderLine,
    OrderTax,
    Parcel,
    ParcelDetails,
    PickupPoint,
    ShipmentStatus,
)
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.traits import NO_TRAITS, Attribute, Traits
from streams.core.offers.candidates import SOURCES
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow, Reward, Send
from streams.core.rules.trigger_names import (
    CATALOGUE_CHANGES,
    OF_REQUESTS,
    PRICE_DROPPED,
    REPLACED,
    REWARD_EXPIRING,
    is_about_order,
)
from streams.core.sending.content import template_data
from streams.definitions.checks.paths import reachable
from streams.definitions.language import keys
from streams.mail.command import Command
from streams.mail.links import Links
from streams.mail.tokens import Use


def _seal(use: Use, target: str) -> str:
    return f"https://links.example/{use}"


LINKS = Links(
    unsubscribe=_seal("u", ""), pixel=_seal("o", ""), seal=_seal,
    preferences=_seal("p", ""), reorder=_seal("b", ""), referral=_seal("f", ""), confirm=_seal("a", ""),
)  # fmt: skip
FEWEST_LINKS = Links(None, None, _seal)
_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_ZONE = ZoneInfo("Europe/Copenhagen")
_PRICE = {"minor": 9_900, "currency": "DKK"}
_FULL_PRODUCT = {
    "sku": "S-1", "title": "Tea", "url": "https://shop.example/s-1", "image_url": "https://shop.example/s-1.png", "price": _PRICE,
    "compared_price": {"minor": 12_900, "currency": "DKK"}, "reason": "complement",
}  # fmt: skip
_LEAST_PRODUCT = {**_FULL_PRODUCT, "url": None, "image_url": None, "compared_price": None, "reason": "category"}

_LINE_DETAILS = LineDetails("ground", 500, "kg", discount_minor=1_000, tax_rate=25_000)
_ADDRESS = Address("Åse Ørsted", "Café <Ø>", "Street 1", "2nd floor", "1165", "Copenhagen", "", "DK", "+45 12 34 56 78")
_DETAILS = OrderDetails(
    order_number="#1001", shipping_minor=4_900, shipping_method="PostNord", taxes=(OrderTax("VAT", 25_000, 7_118),),
    discounts=(OrderDiscount("TEA-10", "", 3_001),), paid_minor=35_589, payment_method="Visa 4242", invoice_number="F-17",
    billing_address=_ADDRESS, shipping_address=_ADDRESS, pickup_point=PickupPoint("Kiosk", _ADDRESS, "9-17"),
    status_url="https://shop.example/orders/1", note="Ring twice", company="Café <Ø>", vat_number="DK12345678", is_gift=True,
    gift_recipient=GiftRecipient("Bo", "", "Enjoy"), return_url="https://shop.example/returns",
    withdrawal_url="https://shop.example/withdrawal", shop_currency="EUR", shop_total_minor=4_770, invoiced_at=_AT, invoice_note="Reverse charge",
)  # fmt: skip

_PARCEL = ParcelDetails("", PickupPoint("Kiosk", _ADDRESS, "9-17"), "1234", "2026-03-05", "2026-03-04", "Handed over")

_TRAITS = Traits("1165", "Copenhagen", True, (Attribute("size", "M", _AT), Attribute("points", 120, _AT)))


def template_sample(flow: Flow, step: Send, *, is_full: bool, has_reward: bool = True) -> dict[str, Any]:
    """Return sample data for the message of a step.

    Args:
        flow: the flow of the step.
        step: the send.
        is_full: with every optional part, or with as few as possible.
        has_reward: whether the customer has a code, if the flow gives one.
    """
    compiled = CompiledFlow(flow)
    parcel_event = _parcel_event(compiled, step, is_full)
    order = _order(is_full, _status_after(parcel_event)) if is_about_order(flow.trigger.on) else None
    gives_reward = flow.trigger.on == REWARD_EXPIRING
    gives_reward = gives_reward or any(isinstance(other, Reward) for other in compiled.steps.values())
    content = Content(
        customer_id="c1",
        name="Åse Ørsted" if is_full else "",
        locale="da",
        country="DK",
        purchases=2,
        greeted_at=_AT,
        zone=_ZONE,
        order=order,
        parcel=order.parcels[0] if order is not None and parcel_event else None,
        reward="ABCD-1234" if has_reward and gives_reward else "",
        traits=_TRAITS if is_full else NO_TRAITS,
        reward_name="ten" if has_reward and gives_reward else "",
        reward_ends_at="2026-04-01T09:00:00+00:00" if has_reward and gives_reward else "",
        placed=2,
        spend_minor=99_500 if is_full else 0,
        currency="DKK",
        fields=(("loyalty", "silver"),) if is_full else (),
        event=_event(compiled, step),
        shop_country="DK",
        shop_locale="da",
        rounds=step.rounds,
        request_id="erase-0123456789abcdef" if flow.trigger.on in OF_REQUESTS else "",
        chosen=_products(step, is_full=is_full) if step.products else None,
        favourites=(("tea", 3), ("cups", 1)) if is_full else (),
        product=_own_products(flow, is_full=is_full)[0] if flow.trigger.once_per == "product" else None,
        together=_own_products(flow, is_full=is_full) if step.together else None,
        chosen_categories=_categories(is_full=is_full) if step.recommends.categories else None,
    )
    return template_data(content)


def _products(step: Send, *, is_full: bool) -> tuple[dict[str, Any], ...]:
    """Return one product of each source that the step names, so that the text of each reason is rendered."""
    product = _FULL_PRODUCT if is_full else _LEAST_PRODUCT
    if not step.recommends.sources:
        return (product,)
    return tuple([{**product, "reason": SOURCES[source][0]} for source in step.recommends.sources])


def _own_products(flow: Flow, *, is_full: bool) -> tuple[dict[str, Any], ...]:
    """Return the products that the flow is about. A product that was only viewed has no price."""
    on = flow.trigger.on
    product = {
        "sku": "S-1", "title": "Tea", "category": "tea", "variant": "ground", "quantity": 2, "price": _PRICE,
        "url": "https://shop.example/s-1", "image_url": "https://shop.example/s-1.png", "order_number": "#1001",
        "old_price": {"minor": 12_900, "currency": "DKK"} if on == PRICE_DROPPED else None, "replaces": "S-0" if on == REPLACED else "",
    }  # fmt: skip
    if is_full:
        return product, {**product, "sku": "S-2"}
    least = {
        **product,
        "category": "",
        "variant": "",
        "quantity": 1,
        "url": None,
        "image_url": None,
        "order_number": "",
    }
    return (least if is_about_order(on) or on in CATALOGUE_CHANGES else {**least, "price": None},)


def _categories(*, is_full: bool) -> tuple[dict[str, Any], ...]:
    reasons = ("favourite", "bestseller") if is_full else ("bestseller",)
    product = _FULL_PRODUCT if is_full else _LEAST_PRODUCT
    return tuple([{"category": "tea", "reason": reason, "product": product | {"reason": reason}} for reason in reasons])


def command(flow: Flow, step: Send, language: str, context: dict[str, Any]) -> Command:
    """Return a command to send the message of a step in a language, with `context` as its data."""
    return Command(
        send_id="s1", customer_id="c1", instance_id="i1", flow=flow.name, flow_version=flow.version, step=step.path,
        message=step.message, purpose=step.purpose, priority=step.priority, not_after=_AT, to_address="a@post.example", to_name="",
        locale=language, time_zone=_ZONE.key, country="DK", order_id="o1", attach=step.attach,
        context_json=orjson.dumps(context).decode(), tracking=True, attempt=1, commanded_at=_AT, raw=b"",
    )  # fmt: skip


def _event(compiled: CompiledFlow, step: Send) -> tuple[tuple[str, str], ...]:
    """Return the data of the events that all customers at a step have: that of the trigger, and of the waits that the step is in."""
    waits = [other for other in compiled.steps.values() if isinstance(other, WaitFor)]
    around = [other.event for other in waits if step.path.startswith(f"{other.path}.0.")]
    names = {name for event in (compiled.flow.trigger.on, *around) for name in keys.EVENT_NAMES.get(event, ())}
    known = {name.removeprefix("event.") for name in names}.intersection(EVENT_DATA)
    return tuple([(name, "9" if name in ("number", "stars") else "yes") for name in EVENT_DATA if name in known])


def _parcel_event(compiled: CompiledFlow, step: Send, is_full: bool) -> str:
    """Return the event of the parcel that customers at a step have, "" if they have none.

    They have one if the flow started with it, or on the branch of a wait_for whose parcel event occurred. After such a wait only some
    customers have one.
    """
    if compiled.flow.trigger.on.startswith("shipment."):
        return compiled.flow.trigger.on
    for other in compiled.steps.values():
        if isinstance(other, WaitFor) and other.event.startswith("shipment."):
            then = compiled.branch(other, 0)
            if step.path.startswith(f"{other.path}.0.") or (
                is_full and then and step.path in reachable(compiled, then)
            ):
                return other.event
    return ""


def _status_after(event: str) -> str:
    """Return the status of a parcel after an event, so that the part of a message about that status is rendered."""
    status = event.removeprefix("shipment.")
    return status if status in get_args(ShipmentStatus) else "shipped" if status == TRACKED else "delivered"


def _order(is_full: bool, status: str) -> OrderState:
    line = OrderLine("S-1", "Tea & <more>", "tea", 2, 12_345) if is_full else OrderLine("S-1", "", "", 1, 0)
    weighed = OrderLine("S-2", "Coffee", "coffee", 1, 20_000, details=_LINE_DETAILS)
    facts = OrderFacts(
        "a@post.example", "Åse Ørsted", "da", "DK", "DK", "DKK", 35_589 if is_full else 0, _AT, None,
        (line, weighed) if is_full else (line,), 1_000 if is_full else 0, _DETAILS if is_full else None,
    )  # fmt: skip
    until = _AT + timedelta(days=2)
    details = replace(_PARCEL, exception_reason="address") if status == "exception" else _PARCEL
    parcel = (
        Parcel("p1", status, _AT, "PostNord", "T1", "https://track.example/1", _AT, until, (("S-1", 2),), (), details)
        if is_full
        else Parcel("p1", status, _AT, "", "", "", None, None, (), ())
    )
    return OrderState("o1", facts, _AT, True, parcels=(parcel,), parcels_in_order=1)
