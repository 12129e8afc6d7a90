"""The documents of commands: the name in `attach` to the file that the email carries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from functools import partial

from msgspec import Struct

from streams.mail.command import Command
from streams.mail.rendering.documents.invoice import Invoice, invoice_of
from streams.mail.rendering.documents.layout import Words, draw_invoice
from streams.mail.rendering.documents.pages import Information
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.filters import Formats, long_day
from streams.mail.rendering.render_errors import IncorrectDocument, RenderError

#: Bytes of a document. As an email it takes a third more, and many servers refuse emails above 10 MB.
MAX_BYTES = 2 * 1024 * 1024
#: Characters of a file name that cannot be in one everywhere, or would hide another one.
_UNSAFE = re.compile(r"[^\w.()+-]+")
#: Characters of a file name without its ending.
_LONGEST_NAME = 80
#: The texts of documents in the copy, besides those that emails show too.
DOCUMENT_TEXTS = (
    "document.invoice", "document.receipt", "document.number", "document.date", "document.order", "document.ordered",
    "document.bill-to", "document.vat-number", "document.item", "document.quantity", "document.price", "document.net-price",
    "document.amount", "document.gross-amount", "document.net-amount", "document.taxable", "document.untaxed", "document.due",
)  # fmt: skip
#: The texts that documents share with emails.
SHARED_TEXTS = (
    "deliver-to", "paid-by", "line-discount", "subtotal", "total", "row.discount", "row.shipping", "row.fee", "row.tax", "included-tax",
    "paid", "refunded",
)  # fmt: skip


class Attachment(Struct, frozen=True):
    """A file that an email carries.

    Attributes:
        name: the file name, safe on every system.
        media_type: its type.
        data: its bytes.
        lacks: the parts that it lacks to be the invoice that the shop has issued, in words.
    """

    name: str
    media_type: str
    data: bytes
    lacks: tuple[str, ...] = ()


def attachment_of(
    command: Command, brand: EmailBrand, text: Callable[[str], str], formats: Formats, language: str
) -> Attachment:
    """Return the document of a command.

    Args:
        command: the command. Its document must be known.
        brand: the shop's brand.
        text: returns a text of the copy.
        formats: the formats of money and numbers.
        language: the language of the copy.

    Raises:
        RenderError: this version does not know the document, or the command has no order.
        IncorrectDocument: the document must not leave.
    """
    order = command.context.get("order")
    if command.attach != "invoice" or order is None:
        raise RenderError(
            f"unknown document {command.attach!r}" if order is not None else "a document without an order"
        )
    texts = {key: text(key) for key in (*DOCUMENT_TEXTS, *SHARED_TEXTS)}
    seller = brand.seller(command.country)
    invoice = invoice_of(order, command.context["shop"]["country"], seller)
    title = texts["document.invoice" if invoice.is_invoice else "document.receipt"]
    name = f"{title} {invoice.number or invoice.order_number}"
    at = datetime.fromisoformat(invoice.issued_at or invoice.placed_at)
    day = partial(long_day, zone=command.time_zone, locale=formats.locale)
    information = Information(f"{name} · {seller.company or brand.name}", seller.company or brand.name, language, at)
    data = draw_invoice(invoice, Words(texts.__getitem__, day, formats), brand, seller, information, title)
    if len(data) > MAX_BYTES:
        raise IncorrectDocument(f"the document has more than {MAX_BYTES // 1024:,} kB")
    # A shop that issues no invoices asks for receipts.
    lacks = invoice.lacks if order["invoice_number"] else ()
    return Attachment(f"{safe_name(name)}.pdf", "application/pdf", data, lacks)


def safe_name(name: str) -> str:
    """Return a file name without its ending that every system can store: letters, digits and a few signs."""
    safe = _UNSAFE.sub("-", unicodedata.normalize("NFC", name)).strip("-.")
    return safe[:_LONGEST_NAME].rstrip("-.") or "document"


__all__ = ("Attachment", "Invoice", "attachment_of", "safe_name", "DOCUMENT_TEXTS", "MAX_BYTES")
