"""A webhook of 20 kB: its body, its signature, and an endpoint that verifies the raw bytes before it parses them.

`install` adds the endpoint to a gateway, in the place where connectors for shop systems will be.
"""

from __future__ import annotations

import base64
import hmac
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from streams.gateway import server
from streams.gateway.api.body import read_body
from streams.gateway.api.keys import ApiKey
from streams.gateway.api.kinds import Target, targets_of
from streams.gateway.api.records import Result, judge, record_id
from streams.gateway.context import GATEWAY
from streams.runtime.avro.schemas import load_schemas

PATH = "/hooks/bench"
SECRET = b"5d6ad4a0c4b1f2e79a3c8d5e"
SIGNATURE = "X-Hmac-Sha256"
#: Bytes of the body, at least.
BODY_BYTES = 20_000
MAX_BYTES = 4 << 20
_SHOP = ApiKey("0" * 16, "", frozenset(("orders",)))
_PLACED_MS = 1_772_442_000_000


def order_of(number_of_lines: int) -> dict[str, Any]:
    """Return an order that adds up, with every field that the schema requires, so that a bare handler writes the same record."""
    lines = [
        {
            "sku": f"TEA-{number}-250", "title": f"Darjeeling, first flush, no. {number} of the garden", "category": "tea", "quantity": 2,
            "unit_price_minor": 12_500, "variant": "250 g, loose", "total_minor": 25_000, "tax_rate": 25_000, "tax_minor": 5_000,
            "image_url": f"https://shop.example/images/{number:032x}.jpg?width=600",
            "product_url": f"https://shop.example/products/darjeeling-first-flush-{number}",
        }
        for number in range(number_of_lines)
    ]  # fmt: skip
    address = {
        "name": "Anna Holm", "line1": "Vestergade 12, 3. th.", "postal_code": "8000", "city": "Aarhus C", "country": "DK",
        "phone": "+45 12 34 56 78",
    }  # fmt: skip
    return {
        "order_id": "5001", "order_number": "#5001", "customer_id": "c-77", "kind": "placed", "email": "anna@example.org",
        "name": "Anna Holm", "locale": "da-DK", "country": "DK", "ship_country": "DK", "currency": "DKK",
        "total_minor": 25_000 * number_of_lines, "placed_at": _PLACED_MS, "occurred_at": _PLACED_MS, "lines": lines,
        "shipping_minor": 0, "billing_address": address, "shipping_address": address, "payment_status": "paid",
    }  # fmt: skip


@cache
def body() -> bytes:
    """Return the body of the webhook."""
    number = 1
    while len(found := orjson.dumps(order_of(number))) < BODY_BYTES:
        number += 1
    return found


def signature_of(raw: bytes) -> str:
    """Return the signature of a body, as shop systems send it."""
    return base64.b64encode(hmac.digest(SECRET, raw, "sha256")).decode()


def check_signature(request: web.Request, raw: bytes) -> None:
    """Raise HTTPUnauthorized unless the body has the signature of its header."""
    if not hmac.compare_digest(signature_of(raw), request.headers.get(SIGNATURE, "")):
        raise web.HTTPUnauthorized


class Webhook:
    """The endpoint in the gateway."""

    def __init__(self) -> None:
        self._targets: tuple[Target, ...] = ()

    async def receive(self, request: web.Request) -> web.Response:
        """Verify the raw body, then check and publish its order as the JSON API does."""
        gateway = request.app[GATEWAY]
        if not self._targets:
            self._targets = targets_of(load_schemas(gateway.settings.schemas_dir))["orders"]
        raw = await read_body(request, MAX_BYTES)
        check_signature(request, raw)
        result = Result(record_id("orders", _SHOP, "", 0, raw), 1)
        judge(raw, result, self._targets, _SHOP, gateway.encoder, gateway.now())
        if result.record is None:
            raise web.HTTPUnprocessableEntity
        await gateway.publisher.publish([result.record])
        return web.json_response({"id": result.id}, status=202)


def install() -> None:
    """Add the endpoint to the gateway of this process, before it starts."""
    webhook = Webhook()
    server.ROUTES = (*server.ROUTES, lambda: [web.post(PATH, webhook.receive, name="bench_webhook")])
