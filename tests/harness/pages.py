"""A gateway whose pages know some customers, and the forms of its pages."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from aiohttp import FormData
from PIL import Image

from streams.core.model.customer_page import CustomerPage, PageLine, PageOrder
from streams.core.offers.catalogue import Product
from streams.gateway.context import Products
from tests.harness.gateway_fakes import NOW, FakeGateway

_CHECK = re.compile(r'name="check" value="([^"]+)"')

ORDER = PageOrder(
    order_id="o-1",
    number="1001",
    currency="DKK",
    city="Aarhus",
    lines=(
        PageLine(sku="TEA-1", title="Darjeeling, first flush", variant="250 g", quantity="2", unit_price_minor=12_500),
        PageLine(sku="POT-2", title="Teapot <b>blue</b>", quantity="1", unit_price_minor=34_900),
    ),
)
ANNA = CustomerPage(
    customer_id="c-1",
    first_name="Anna",
    locale="da-DK",
    country="DK",
    masked_address="a•••@e•••.com",
    answers={"marketing": True, "review": True, "service": True},
    tracking=True,
    birthday="1984-05-01",
    dates={"anniversary": "--06-21"},
    wishes=("POT-2", "CUP-9"),
    likes=("TEA-1",),
    order=ORDER,
    updated_at=NOW,
)


TEA = Product(
    sku="TEA-1", title="Darjeeling", category="tea", unit_price_minor=13_900, currency="DKK", image_url="https://shop.example/tea.jpg", stock=4
)  # fmt: skip


class KnownPeople(dict[str, CustomerPage]):
    """Customer pages by customer id."""


class Pages(FakeGateway):
    """A gateway with a list of customers, and no limit of requests.

    Args:
        uploads: the folder of photos.
        settings: more settings.

    Attributes:
        people: what is known of customers.
        products: what is known of products: nothing at first.
    """

    def __init__(self, uploads: Path | None = None, **settings: Any) -> None:
        super().__init__(gateway_uploads_dir=uploads, gateway_requests_per_minute=1_000_000, **settings)
        self.people = KnownPeople({"c-1": ANNA})
        self.products = dict[str, Product]()
        self.context = replace(self.context, people=self.people, products=cast(Products, self.products))

    def topics(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return topic and decoded value of what was published."""
        return list(zip([record.topic for record in self.publisher.records], self.sent(), strict=True))

    def ids(self) -> list[str]:
        """Return the ids in the headers of what was published."""
        return [dict(record.headers)["ce_id"].decode() for record in self.publisher.records]


async def opened(client: Any, path: str, **options: Any) -> str:
    """Return a page's HTML; it must be found."""
    response = await client.get(path, **options)
    assert response.status == 200, await response.text()
    return str(await response.text())


def check_of(html: str) -> str:
    """Return the hidden value of a page's form."""
    found = _CHECK.search(html)
    assert found is not None
    return found[1]


async def submit(client: Any, path: str, fields: Mapping[str, Any] | Sequence[tuple[str, str]], **options: Any) -> Any:
    """Open a page and submit its form with `fields`. Return the response, without following a redirection."""
    html = await opened(client, path)
    pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
    return await client.post(path, data=[("check", check_of(html)), *pairs], allow_redirects=False, **options)


async def submit_photo(client: Any, path: str, fields: Mapping[str, str], photo: bytes, name: str = "me.jpg") -> Any:
    """Open a page and submit its form with a file."""
    html = await opened(client, path)
    form = FormData()
    for key, value in {"check": check_of(html), **fields}.items():
        form.add_field(key, value, content_type="text/plain")
    form.add_field("photo", photo, filename=name, content_type="image/jpeg")
    return await client.post(path, data=form, allow_redirects=False)


def picture(size: tuple[int, int] = (640, 480), format: str = "JPEG", **options: Any) -> bytes:
    """Return the bytes of a picture."""
    out = io.BytesIO()
    mode = options.pop("mode", "RGB")
    Image.new(mode, size, options.pop("color", "teal")).save(out, format, **options)
    return out.getvalue()
