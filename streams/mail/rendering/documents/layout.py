"""The layout of an invoice or a receipt on A4 pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from babel import Locale

from streams.mail.rendering.brand import Details
from streams.mail.rendering.documents.invoice import DocumentLine, Invoice
from streams.mail.rendering.documents.pages import HEIGHT, MARGIN, WIDTH, Information, Pages, Style, stacked, wrapped
from streams.mail.rendering.documents.text_styles import Styles
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.filters import Formats

#: Points from the bottom of the page to the foot, and to the lowest line above it.
_FOOT, _BOTTOM = 62.0, 84.0
_RIGHT = WIDTH - MARGIN
#: Columns of lines: the right edges of quantity, price, rate and amount, and the width of the description.
_QUANTITY, _PRICE, _RATE, _DESCRIPTION = _RIGHT - 222, _RIGHT - 134, _RIGHT - 92, 222.0
#: The left edge of the totals and of the details beside the address, and the width of a block of text there.
_HALF, _BLOCK = WIDTH / 2 + 20, 220.0
#: Points of a pixel of the logo.
_PIXEL = 0.75
#: Lines of the foot at most, and of a block beside the address.
_MOST_FOOT, _MOST_BLOCK = 4, 9


class Words(NamedTuple):
    """The writers of the words of a document: a text of the copy by key, a day, and the formats of numbers and money."""

    text: Callable[[str], str]
    day: Callable[[str], str]
    formats: Formats


class _Drawing:
    """One document while it is drawn, from top to bottom.

    Attributes:
        y: the base line of the next line.
    """

    def __init__(self, invoice: Invoice, words: Words, brand: EmailBrand, seller: Details) -> None:
        self.invoice = invoice
        self.words = words
        self.brand = brand
        self.seller = seller
        self.styles = Styles.of(brand)
        self.pages = Pages()
        self.y = HEIGHT - MARGIN

    def money(self, minor: int) -> str:
        return self.words.formats.amount(minor, self.invoice.currency)

    def percent(self, rate: str) -> str:
        return self.words.formats.percent(rate) if rate else ""

    # -- the head ----------------------------------------------------------------------------------------------------

    def head(self, title: str) -> None:
        """Draw the logo, the title, the addresses and the numbers."""
        styles, pages = self.styles, self.pages
        top = self.y
        logo = self.brand.logo
        if logo is not None:
            width, height = logo.width * _PIXEL, logo.height * _PIXEL
            pages.picture(MARGIN, top - height, width, height, logo.data)
            depth = height
        else:
            name = Style(15, styles.accent, True)
            lines = wrapped(self.brand.name, name, _BLOCK)[:2]
            stacked(pages, MARGIN, top - 13, lines, name)
            depth = name.leading * len(lines)
        pages.text(_RIGHT, top - 16, title, styles.title, "right")
        self.y = top - max(depth, 24) - 16
        pages.rule(MARGIN, _RIGHT, self.y, styles.accent, 1.5)
        self.y -= 24
        below = min(self._addresses(self.y), self._numbers(self.y))
        self.y = below - 14

    def _addresses(self, y: float) -> float:
        invoice, text = self.invoice, self.words.text
        buyer, delivery = self._address(invoice.buyer), self._address(invoice.delivery)
        number = [f"{text('document.vat-number')} {invoice.vat_number}"] if invoice.vat_number and buyer else []
        blocks = [(text("document.bill-to"), self._block(buyer) + self._block(number))]  # the law asks for the number
        if delivery and delivery != buyer:
            blocks.append((text("deliver-to"), self._block(delivery)))
        for label, lines in blocks:
            if not lines:
                continue
            self.pages.text(MARGIN, y, label, self.styles.label)
            y = stacked(self.pages, MARGIN, y - 14, lines, self.styles.text) - 8
        return y

    def _address(self, address: Mapping[str, str] | None) -> list[str]:
        if address is None:
            return []
        place = " ".join(filter(None, (address["postal_code"], address["city"])))
        lines = [*(address[part] for part in ("company", "name", "line1", "line2")), place, address["region"]]
        return [line for line in [*lines, self._country(address["country"])] if line]

    def _country(self, code: str) -> str:
        return str(self.words.formats.locale.territories.get(code, code))

    def _block(self, lines: Sequence[str]) -> list[str]:
        return [part for line in lines for part in wrapped(line, self.styles.text, _BLOCK)][:_MOST_BLOCK]

    def _numbers(self, y: float) -> float:
        invoice, text, day = self.invoice, self.words.text, self.words.day
        rows = [
            (text("document.number"), invoice.number),
            (text("document.date"), day(invoice.issued_at) if invoice.issued_at else ""),
            (text("document.order"), invoice.order_number),
            (text("document.ordered"), day(invoice.placed_at)),
            (text("paid-by"), invoice.payment_method),
        ]
        for label, value in rows:
            if not value:
                continue
            self.pages.text(_HALF, y, label, self.styles.small)
            lines = wrapped(value, self.styles.text, _RIGHT - _HALF - 96)[:3]
            y = stacked(self.pages, _HALF + 96, y, lines, self.styles.text) - 3
        return y

    # -- the lines ---------------------------------------------------------------------------------------------------

    def table(self) -> None:
        """Draw the lines, on as many pages as they take. Each page repeats the head of the table."""
        self._columns()
        for line in self.invoice.lines:
            self._line(line)

    def _columns(self) -> None:
        invoice, text, label = self.invoice, self.words.text, self.styles.label
        taxed = bool(invoice.taxes)
        price = (
            "document.net-price" if invoice.has_net_prices or (taxed and not invoice.includes_tax) else "document.price"
        )
        amount = "document.amount"
        if taxed:
            amount = "document.gross-amount" if invoice.includes_tax else "document.net-amount"
        self.pages.text(MARGIN, self.y, text("document.item"), label)
        self.pages.text(_QUANTITY, self.y, text("document.quantity"), label, "right")
        self.pages.text(_PRICE, self.y, text(price), label, "right")
        if taxed:
            self.pages.text(_RATE, self.y, text("row.tax"), label, "right")
        self.pages.text(_RIGHT, self.y, text(amount), label, "right")
        self.pages.rule(MARGIN, _RIGHT, self.y - 6, self.styles.accent, 0.8)
        self.y -= 20

    def _line(self, line: DocumentLine) -> None:
        styles, text = self.styles, self.words.text
        title = line.title or (text(f"row.{line.kind}") if line.kind in ("discount", "shipping", "fee") else "–")
        width = _DESCRIPTION if line.quantity else _RATE - MARGIN - 40
        titles, variants = wrapped(title, styles.text, width), wrapped(line.variant, styles.small, width)
        if line.discount_minor:
            variants += wrapped(f"{text('line-discount')} {self.money(line.discount_minor)}", styles.small, width)
        height = len(titles) * styles.text.leading + len(variants) * styles.small.leading + 10
        self.reserve(min(height, HEIGHT / 2), self._columns)
        y = self.y
        if line.quantity:
            amount = self.words.formats.number(line.quantity)
            self.pages.text(_QUANTITY, y, f"{amount}\xa0{line.unit}" if line.unit else amount, styles.text, "right")
        if line.unit_minor is not None:
            self.pages.text(_PRICE, y, self.money(line.unit_minor), styles.text, "right")
        self.pages.text(_RATE, y, self.percent(line.rate), styles.text, "right")
        self.pages.text(_RIGHT, y, self.money(line.amount_minor), styles.text, "right")
        for part, style in [*((each, styles.text) for each in titles), *((each, styles.small) for each in variants)]:
            self.reserve(style.leading, self._columns)  # a description can be longer than a page
            self.pages.text(MARGIN, self.y, part, style)
            self.y -= style.leading
        self.y -= 1
        self.pages.rule(MARGIN, _RIGHT, self.y + 4, styles.line, 0.4)
        self.y -= 9

    # -- the totals --------------------------------------------------------------------------------------------------

    def totals(self) -> None:
        """Draw what is added and subtracted, the total, its tax, and what has been paid."""
        invoice, text, styles = self.invoice, self.words.text, self.styles
        parts = len(invoice.rows) + len(invoice.taxed) + 6
        self.reserve(min(parts * styles.bold.leading * 1.6, HEIGHT / 2))  # together, unless there are many
        self.y -= 4
        if invoice.rows:
            self._sum(text("subtotal"), invoice.subtotal_minor)
        for kind, label, rate, amount in invoice.rows:
            name = " ".join(filter(None, (text(f"row.{kind}"), self.percent(rate))))
            self._sum(f"{name} ({label})" if label else name, amount)
        self.reserve(30)
        self.pages.rule(_HALF, _RIGHT, self.y + 8, styles.accent, 0.8)
        self.y -= 6
        self._sum(text("total"), invoice.total_minor, styles.total, styles.total)
        self.y -= 4
        self._taxes()
        if invoice.paid_minor is not None:
            self._payment(invoice.paid_minor)
        if invoice.note:
            self.y -= 10
            for line in wrapped(invoice.note, styles.text, _RIGHT - MARGIN):
                self.reserve(styles.text.leading)
                self.pages.text(MARGIN, self.y, line, styles.text)
                self.y -= styles.text.leading

    def _sum(self, label: str, minor: int, style: Style | None = None, amount_style: Style | None = None) -> None:
        style = style or self.styles.text
        amount = self.money(minor)
        lines = wrapped(label, style, _RIGHT - _HALF - 90)
        self.reserve(len(lines) * style.leading + 3)
        self.pages.text(_RIGHT, self.y, amount, amount_style or style, "right")
        self.y = stacked(self.pages, _HALF, self.y, lines, style) - 3

    def _taxes(self) -> None:
        """Draw the taxable amount and the tax of each rate, or what the shop states of them."""
        invoice, text, styles = self.invoice, self.words.text, self.styles
        small, middle = styles.small, _RIGHT - 80
        if invoice.taxed:
            self.reserve((len(invoice.taxed) + 1) * small.leading + 8)
            self.pages.text(_HALF, self.y, text("row.tax"), styles.label)
            self.pages.text(middle, self.y, text("document.taxable"), styles.label, "right")
            self.pages.text(_RIGHT, self.y, text("row.tax"), styles.label, "right")
            self.y -= small.leading + 1
            for each in invoice.taxed:
                self.reserve(small.leading)
                rate = self.percent(f"{float(each.rate):g}") if each.rate else text("document.untaxed")
                self.pages.text(_HALF, self.y, rate, small)
                self.pages.text(middle, self.y, self.money(each.net_minor), small, "right")
                self.pages.text(_RIGHT, self.y, self.money(each.tax_minor), small, "right")
                self.y -= small.leading
        elif invoice.includes_tax:
            for label, rate, amount in invoice.taxes:
                name = " ".join(filter(None, (text("included-tax"), self.percent(rate), f"({label})" if label else "")))
                self._sum(name, amount, small)
        self.y -= 8

    def _payment(self, paid: int) -> None:
        invoice, text, styles = self.invoice, self.words.text, self.styles
        self._sum(text("paid"), paid, styles.text if invoice.due_minor else styles.paid)
        if invoice.refunded_minor:
            self._sum(text("refunded"), invoice.refunded_minor)
        if invoice.due_minor:
            self._sum(text("document.due"), invoice.due_minor, styles.bold)

    # -- pages -------------------------------------------------------------------------------------------------------

    def reserve(self, height: float, on_page: Callable[[], None] | None = None) -> None:
        """Continue on a new page if the present one has less than `height` points left."""
        if self.y - height >= _BOTTOM:
            return
        self.pages.add_page()
        self.y = HEIGHT - MARGIN
        if on_page is not None:
            on_page()

    def feet(self, title: str) -> None:
        """Draw the shop and the number of the page at the foot of each page."""
        small, seller = self.styles.small, self.seller
        ways = " · ".join(filter(None, (seller.shop_url, seller.email, seller.phone)))
        lines = [*seller.legal_lines, ways] if seller.legal_lines else [self.brand.name, ways]
        shown = [part for line in lines for part in wrapped(line, small, _RIGHT - MARGIN - 40)][:_MOST_FOOT]
        for page in range(self.pages.count):
            self.pages.rule(MARGIN, _RIGHT, _FOOT + 12, self.styles.line, 0.4, page)
            for number, line in enumerate(shown):
                self.pages.text(MARGIN, _FOOT - number * small.leading, line, small, page=page)
            if self.pages.count > 1:
                self.pages.text(_RIGHT, _FOOT, f"{page + 1}/{self.pages.count}", small, "right", page)
                if page:
                    self.pages.text(_RIGHT, HEIGHT - MARGIN + 18, title, small, "right", page)


def draw_invoice(
    invoice: Invoice, words: Words, brand: EmailBrand, seller: Details, information: Information, title: str
) -> bytes:
    """Return an invoice or a receipt as PDF.

    Args:
        invoice: the content.
        words: writes its words.
        brand: the shop's brand.
        seller: the details of the shop in the country of the buyer.
        information: what the PDF says of itself.
        title: the word for what it is.
    """
    drawing = _Drawing(invoice, words, brand, seller)
    drawing.head(title)
    drawing.table()
    drawing.totals()
    drawing.feet(information.title)
    return drawing.pages.write(information)


def language_name(locale: Locale) -> str:
    """Return the language of a locale as PDF readers know it (BCP 47)."""
    return str(locale).replace("_", "-")
