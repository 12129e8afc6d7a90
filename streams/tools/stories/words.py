"""Stories in words: events, the path through a flow, and lengths of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Send, Step
from streams.core.values import money
from streams.core.values.text import counted
from streams.definitions.views.words import branch_labels, step_text
from streams.tools.stories.story import PARCEL_KINDS, StoryEvent

if TYPE_CHECKING:
    from streams.tools.stories.shop_records import StoryShop

_PARCEL = {
    "shipped": "is shipped",
    "in_transit": "is on its way",
    "out_for_delivery": "is out for delivery",
    "ready_for_pickup": "can be collected",
    "delivered": "is delivered",
    "delayed": "is delayed",
    "exception": "is held up",
    "returned": "comes back from the customer",
    "returned_to_sender": "goes back undelivered",
}
_ORDER = {"paid": "is paid", "changed": "is changed", "cancelled": "is cancelled", "refunded": "is refunded"}
_ACTS = {"views": "looks at", "adds_to_cart": "puts into the cart", "wishes": "wishes for", "likes": "likes"}
_EMAILS = {"opens": "opens", "clicks": "clicks a link in", "complains": "reports as spam"}


def event_text(shop: StoryShop, event: StoryEvent, email: str | None = None) -> str:
    """Return an event as a sentence without its subject's last word: "Anna orders 1 × Boots".

    Args:
        shop: the shop of the story, after the event.
        event: the event.
        email: the email that the event is a reaction to, as flow/message; "" without such an email. None for other events.
    """
    kind, values = event.kind, event.values
    name = shop.story.customer.name.split()[0]
    if kind == "order":
        total = money.major(shop.total_minor(values), shop.currency)
        payment = "" if values["is_paid"] else ", not paid yet"
        pickup = ", to a pickup point" if values["delivery"] == "pickup" else ""
        return f"{name} orders {_lines(shop, values['lines'])}{pickup} (order {shop.order_number(values)}, {total:,.2f} {shop.currency}{payment})"
    if kind in _ORDER:
        lines = f" in part: {_lines(shop, values['lines'])}" if values.get("lines") and kind == "refunded" else ""
        return f"Order {shop.order_number(values)} {_ORDER[kind]}{lines}"
    if kind in PARCEL_KINDS:
        return _parcel_text(shop, event)
    if kind in _EMAILS:
        if not email:
            named = f"the email {values['message']}" if values["message"] else "an email"
            return f"{name} would react to {named}, but has not got it"
        return f"{name} {_EMAILS[kind]} {email}"
    if kind in _ACTS:
        return f"{name} {_ACTS[kind]} {shop.title(values['sku'])}"
    texts = {
        "unsubscribes": lambda: f"{name} unsubscribes from {values['scope']} emails",
        "answers": lambda: (
            f"{name} answers " + ", ".join(f"{question}: {answer}" for question, answer in values.items())
        ),
        "reviews": lambda: f"{name} writes a review with {counted(values['stars'], 'star')}",
        "product": lambda: f"{shop.title(values['sku'])} {_changes(shop, values)}",
        "record": lambda: f"The shop sends a record: {values.get('kind') or values.get('status') or 'customer'}",
    }
    return texts[kind]()


def cause_text(shop: StoryShop, event: StoryEvent, text: str) -> str:
    """Return an event as the cause of an email, within a sentence. `text` is the event as `event_text` returns it."""
    if event.kind == "order":
        return f"order {shop.order_number(event.values)} is placed"
    return text[0].lower() + text[1:] if text.startswith(("The ", "Order ", "Parcel ")) else text


def _parcel_text(shop: StoryShop, event: StoryEvent) -> str:
    values = event.values
    order = shop.order_number(values)
    is_split = max(values.get("parcels", 1), values.get("parcel", 1)) > 1
    parcel = f"Parcel {values.get('parcel', 1)} of order {order}" if is_split else f"The parcel of order {order}"
    more = f" ({values.get('reason', 'other').replace('_', ' ')})" if event.kind == "exception" else ""
    return f"{parcel} {_PARCEL[event.kind]}{more}"


def _lines(shop: StoryShop, lines: Mapping[str, int]) -> str:
    return ", ".join(f"{quantity} × {shop.title(sku)}" for sku, quantity in lines.items())


def _changes(shop: StoryShop, values: Mapping[str, Any]) -> str:
    parts = []
    if "price" in values:
        price = money.major(shop.price_minor(values["sku"]), shop.currency)
        parts.append(f"now costs {price:,.0f} {shop.currency}")
    if "stock" in values:
        parts.append("is in stock" if values["stock"] else "is sold out")
    return " and ".join(parts) or "is updated"


def path_text(flow: CompiledFlow, path: str) -> str:
    """Return the waits and the branches that lead to a step, or ""."""
    return ", ".join(_path(flow.flow.steps, [int(part) for part in path.split(".")], flow)) if path else ""


def _path(steps: tuple[Step, ...], numbers: list[int], flow: CompiledFlow) -> Iterator[str]:
    here, *inner = numbers
    for step in steps[:here]:
        if not isinstance(step, Send) and not step.inner:
            yield step_text(step, flow.flow)
    if inner:
        branch, *rest = inner
        labels = branch_labels(steps[here])
        if branch < len(labels):
            yield labels[branch]
        yield from _path(steps[here].inner[branch], rest, flow)


def length_text(length: timedelta) -> str:
    """Return about how long something took, such as `2 days` or `at once` for less than a minute."""
    minutes = round(length.total_seconds() / 60)
    if minutes < 1:
        return "at once"
    if minutes < 90:
        return counted(minutes, "minute")
    hours = round(minutes / 60)
    if hours < 36 and hours % 24:
        return counted(hours, "hour")
    return counted(round(length.total_seconds() / 86_400), "day")


def day_text(at: datetime) -> str:
    """Return a day, such as `Mon 2 Mar`."""
    return f"{at:%a} {at.day} {at:%b}"
