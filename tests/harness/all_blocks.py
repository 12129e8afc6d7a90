"""A message with all blocks of the shared templates, most of which the shipped messages use too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.harness.commands import TEMPLATES, example

#: The blocks that the parts of the message include, with the values that each needs.
_VALUES = {
    "big-number": 'value = "2.648", label = "points"',
    "button": 'url = "https://shop.example/tea", text = "Tea"',
    "button-center": 'url = "https://shop.example/tea", text = "Tea"',
    "code": 'code = "HEJ10-ABCD", ends_at = "2026-12-24"',
    "hero-picture": 'picture = "https://shop.example/pictures/shop-shelf.png", alt = "The shop"',
    "image": 'picture = "https://shop.example/pictures/shop-shelf.png", alt = "The shop", url = "https://shop.example/"',
    "nps": 'question = "nps"',
    "pickup": "point = shipment.pickup",
    "product": "product = products[0]",
    "progress": 'stage = "underway"',
    "quote": 'quote = "The best socks that I have ever had.", author = "Bo, Aarhus"',
    "share": 'url = "https://shop.example/tea", letter = "Have a look:"',
    "steps": 'steps = ["One", "Two", "Three"]',
}
_ALONE = (
    "addresses",
    "contents",
    "help",
    "items",
    "order-lines",
    "parcel",
    "places",
    "product-list",
    "products",
    "stars",
    "totals",
)
#: The blocks that other blocks and the layout include.
INNER = {"address", "footer", "shop", "tile"}
#: The blocks that have no text.
WITHOUT_TEXT = {"hero-picture", "shop", "tile"}
ALL = {*_VALUES, *_ALONE, *INNER}
FLOW = "flow: blocks\nversion: 1\nstatus: draft\npurpose: marketing\ntrigger: {on: order.placed}\nsteps: [{send: {message: all}}]\n"


def write_message(folder: Path) -> Path:
    """Copy the templates into `folder`, add the flow `blocks` with the message `all`, and return the copy."""
    root = Path(shutil.copytree(TEMPLATES, folder / "templates"))
    flow = root / "flows" / "asking" / "blocks"
    (flow / "copy").mkdir(parents=True)
    (flow / "flow.yaml").write_text(FLOW)
    for ending in ("html", "txt"):
        (flow / f"all.{ending}.j2").write_text(
            f'{{% extends "shared/layout.{ending}.j2" %}}\n{{% block content %}}\n{_includes(ending)}{{% endblock %}}\n'
        )
    for copy in (root / "copy").glob("*.yaml"):
        (flow / "copy" / copy.name).write_text("all.subject: All blocks\nall.preview: Of this library\n")
    return root


def _includes(ending: str) -> str:
    found = ""
    for name in sorted(ALL - INNER - (WITHOUT_TEXT if ending == "txt" else set())):
        include = f'{{% include "shared/blocks/{name}.{ending}.j2" %}}\n'
        found += f"{{% with {_VALUES[name]} %}}\n{include}{{% endwith %}}\n" if name in _VALUES else include
    return found


def data() -> dict[str, Any]:
    """Return data with everything that a block shows: discounts, fees, a pickup point, old prices, and a line and a product without a picture."""
    context = example("order-confirmation") | {
        name: value for flow in ("shipment-confirmation", "goes-well-with") for name, value in example(flow).items() if name != "order"
    }  # fmt: skip
    order, shipment = context["order"], context["shipment"]
    money = {"minor": 1_000, "currency": "DKK"}
    sock = order["lines"][0]
    order["lines"] += [
        {**sock, "sku": "S-3", "title": "Lædersål", "image_url": "", "discount": money, "quantity_decimal": "0.5", "unit": "m"},
        {**sock, "sku": "", "title": "", "kind": "fee", "image_url": "", "amount": money},
    ]  # fmt: skip
    order["refunded"] = money
    order["billing_address"] = {**order["shipping_address"], "company": "Café <Ø>"}
    shipment["pickup"] = {
        "name": "Kiosken", "address": order["shipping_address"], "opening_hours": "9–17", "code": "4711", "last_day": "2026-11-30",
    }  # fmt: skip
    context["products"] = [
        {**each, "old_price": {"minor": 19_900, "currency": "DKK"} if number else None, "image_url": each["image_url"] if number != 2 else ""}
        for number, each in enumerate(context["products"])
    ]  # fmt: skip
    return context
