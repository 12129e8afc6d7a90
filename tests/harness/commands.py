"""Commands for the tests of the mailer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.mail.command import Command
from streams.mail.links import Sender
from streams.mail.rendering.template_folders import flow_folders
from streams.mail.tokens import LinkKeys
from streams.settings import PROJECT_ROOT

TEMPLATES = PROJECT_ROOT / "templates"
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SECRET = b"a secret of the tests, long enough"
KEYS = LinkKeys("shop", SECRET)
SENDER = Sender.parse("Butik Ø <hej@shop.example>", "shop.example", "https://links.example", KEYS)


def example(flow: str, message: str = "") -> dict[str, Any]:
    """Return the example data of a flow's messages: that of one message if it has its own, else its example.json."""
    folder = flow_folders(TEMPLATES)[flow]
    own = folder / f"example.{message}.json"
    context: dict[str, Any] = json.loads(
        (own if own.is_file() else folder / "example.json").read_text(encoding="utf-8")
    )
    return context


def _wrong_invoice() -> dict[str, Any]:
    context = example("order-confirmation")
    context["order"]["subtotal"]["minor"] += 1
    return context


#: The data of an order confirmation whose lines do not give the subtotal.
WRONG_INVOICE = _wrong_invoice()


def command(**changes: Any) -> Command:
    """Return the command of an order confirmation in Danish, with `changes`, among them `context`: the data for the templates."""
    flow = changes.get("flow", "order-confirmation")
    fields: dict[str, Any] = {
        "send_id": "s1",
        "customer_id": "c1",
        "instance_id": "i1",
        "flow": flow,
        "flow_version": 1,
        "step": "0",
        "message": "confirmation",
        "purpose": "order",
        "priority": 100,
        "not_after": NOW + timedelta(days=2),
        "to_address": "anna@post.example",
        "to_name": "Anna Jensen",
        "locale": "da",
        "time_zone": "Europe/Copenhagen",
        "country": "DK",
        "order_id": "1001",
        "tracking": False,
        "attempt": 1,
        "commanded_at": NOW,
        "raw": b"",
    }
    fields |= changes
    context = fields.pop("context", None)
    if context is None:
        context = example(flow if flow.replace("-", "").isalpha() else "order-confirmation")
    return Command(**{"context_json": json.dumps(context)} | fields)
