"""Orders with amounts that add up, and the documents that the shipped templates make of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from msgspec.structs import replace
from pypdf import PdfReader

from streams.core.model.orders.order import (
    Address,
    LineDetails,
    OrderDetails,
    OrderDiscount,
    OrderLine,
    OrderTax,
)
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.sending.order_data import order_data
from streams.mail.rendering.brand import ANY_COUNTRY, Details
from streams.mail.rendering.copy import copy_texts
from streams.mail.rendering.documents.attachments import Attachment, attachment_of
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.filters import formats_of
from tests.harness.commands import TEMPLATES, command

AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
#: A shop with all that the law asks of a seller.
SELLER = Details(
    company="Nordlys Handel ApS", address="Vestergade 12, 8000 Aarhus C", registration="CVR 12345678", vat="Moms DK12345678",
    email="hej@nordlys.example", shop_url="https://nordlys.example/",
)  # fmt: skip
BRAND = EmailBrand(name="Nordlys", details={ANY_COUNTRY: SELLER})
ADDRESS = Address("Åse Ørsted", "", "Nørregade 1", "2. tv.", "1165", "København K", "", "DK", "")
#: Two lines, a code and shipping: 633.10 with 126.62 of tax.
DETAILS = OrderDetails(
    order_number="#1001", shipping_minor=4_900, shipping_method="PostNord", discounts=(OrderDiscount("HEJ10", "", 6_490),),
    taxes=(OrderTax("moms", 25_000, 12_662),), paid_minor=63_310, payment_method="Visa 4242", invoice_number="F-17",
    invoiced_at=AT, billing_address=ADDRESS, shipping_address=ADDRESS,
)  # fmt: skip
LINES = (
    OrderLine("S-1", "Uldsokker", "clothes", 2, 12_500, details=LineDetails("blå, 39–42", tax_rate=25_000)),
    OrderLine("S-2", "Vandrestøvler <let>", "shoes", 1, 39_900, details=LineDetails(tax_rate=25_000)),
)
#: The formats of each shipped language.
LOCALES = {"da": "da_DK", "nb": "nb_NO", "sv": "sv_SE", "nl": "nl_NL", "en": "en_GB"}


def order_of(
    lines: tuple[OrderLine, ...] = LINES,
    total_minor: int = 63_310,
    details: OrderDetails | None = DETAILS,
    **changes: Any,
) -> dict[str, Any]:
    """Return the data of an order, with `changes` of its details."""
    details = replace(details, **changes) if details is not None else None
    facts = OrderFacts(
        "a@post.example", "Åse Ørsted", "da", "DK", "DK", "DKK", total_minor, AT, None, lines, 0, details
    )
    return order_data(OrderState("o1", facts, AT, True), facts, ZoneInfo("Europe/Copenhagen"))


def document_of(
    order: Mapping[str, Any], language: str = "da", brand: EmailBrand = BRAND, shop_country: str = "DK"
) -> Attachment:
    """Return the document of an order in a shipped language."""
    texts = copy_texts((TEMPLATES / "copy" / f"{language}.yaml").read_text(encoding="utf-8"))
    context = {"order": order, "shop": {"country": shop_country}}
    formats = formats_of(Locale.parse(LOCALES[language]))
    return attachment_of(command(context=context, attach="invoice"), brand, texts.__getitem__, formats, language)


def text_of(document: Attachment) -> str:
    """Return the text of all pages, as another program reads it."""
    return "\n".join(page.extract_text(extraction_mode="layout") for page in PdfReader(BytesIO(document.data)).pages)
