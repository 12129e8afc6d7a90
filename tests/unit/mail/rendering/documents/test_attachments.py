"""The PDF of a document: the same bytes, every letter, every page, and a file name that is safe everywhere."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO

import pytest
from babel import Locale
from msgspec.structs import replace
from pypdf import PdfReader

from streams.core.model.orders.order import LineDetails, OrderLine, OrderTax
from streams.mail.rendering.brand import Colors
from streams.mail.rendering.documents import attachments, printable
from streams.mail.rendering.documents.attachments import DOCUMENT_TEXTS, SHARED_TEXTS, safe_name
from streams.mail.rendering.documents.pages import letters
from streams.mail.rendering.filters import formats_of
from streams.mail.rendering.logo import Logo
from streams.mail.rendering.render_errors import IncorrectDocument, RenderError
from tests.harness.commands import command
from tests.harness.documents import ADDRESS, BRAND, LINES, LOCALES, document_of, order_of, text_of

TITLES = {"da": "Faktura", "nb": "Faktura", "sv": "Faktura", "nl": "Factuur", "en": "Invoice"}
RECEIPTS = {"da": "Kvittering", "nb": "Kvittering", "sv": "Kvitto", "nl": "Bon", "en": "Receipt"}
#: A red PNG picture of 1 x 1 pixel.
PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")


@pytest.mark.parametrize("language", LOCALES)
def test_the_same_order_gives_the_same_bytes(language: str) -> None:
    """Nothing in a document comes from a clock or from chance, with a logo or without."""
    for brand in (BRAND, replace(BRAND, logo=Logo(PNG, "image/png", 120, 40))):
        assert document_of(order_of(), language, brand) == document_of(order_of(), language, brand)


@pytest.mark.parametrize("language", LOCALES)
def test_information_of_a_document(language: str) -> None:
    """Title, author, language and date are those of the invoice. All fonts are in the file."""
    document = document_of(order_of(), language)
    assert document.name == f"{TITLES[language]}-F-17.pdf"
    reader = PdfReader(BytesIO(document.data))
    assert reader.metadata is not None
    assert reader.metadata.title == f"{TITLES[language]} F-17 · Nordlys Handel ApS"
    assert reader.metadata.creation_date_raw == "D:20261123083000Z"
    assert reader.trailer["/Root"]["/Lang"] == language
    assert {str(font) for page in reader.pages for font in page._get_fonts()[0]} >= {"/AAAAAA+TakkDocuments-Regular"}
    assert not {font for page in reader.pages for font in page._get_fonts()[1]}


@pytest.mark.parametrize("language", LOCALES)
def test_a_receipt_is_not_called_an_invoice(language: str) -> None:
    """Without a number of the shop, neither the file nor the page says invoice."""
    document = document_of(order_of(invoice_number=""), language)
    assert document.name == f"{RECEIPTS[language]}-1001.pdf"
    text = text_of(document)
    assert RECEIPTS[language] in text
    assert not re.search(rf"(?i)\b{TITLES[language]}\b", text)


def test_all_letters_of_the_languages_are_shown() -> None:
    """Letters of European languages, typographic signs and currencies are themselves, and nothing is markup."""
    title = "Æblegrød æøå ÄÖäöß ëïé ŁŹČŠĐ ğıİ Ελληνικά Кириллица “”‘’„«» – — … • € £ § (a\\b) <b>&amp;"
    document = document_of(order_of(lines=(replace(LINES[0], title=title), LINES[1])))
    shown = re.sub(r"\s+", " ", text_of(document))
    assert printable.BOX not in shown
    for word in title.split():
        assert word in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("王小明", "□□□"), ("Tea 🍵!", "Tea □!"), ("👩‍👧", "□□"), ("ﬁne", "fine"), ("₺ 5", "TRY 5"), ("a\u202fb\u2009c", "a\xa0b\xa0c"),
        ("a\nb\tc", "a b c"), ("A\u030a", "Å"), ("שלום", "□□□□"), ("\u202eevil", "evil"), ("so\xadft", "soft"),
        ("\ud83d", "□"), ("e\u0323\u0302", "ệ"),
    ],
)  # fmt: skip
def test_other_letters_become_boxes(text: str, shown: str) -> None:
    """A letter that the fonts lack is spelt with others if that is usual, and else is a box. Direction marks have no effect."""
    assert printable.printable(text, letters()) == shown


def test_many_lines_take_several_pages() -> None:
    """Each page repeats the head of the table and the foot, and has its number. No line is missing."""
    lines = tuple(
        [OrderLine(f"S-{n}", f"Vare nr. {n}", "", 1, 100, details=LineDetails(tax_rate=25_000)) for n in range(1000)]
    )
    order = order_of(lines, 100_000 - 6_490 + 4_900, taxes=(OrderTax("moms", 25_000, 19_682),), paid_minor=98_410)
    document = document_of(order)
    pages = [page.extract_text() for page in PdfReader(BytesIO(document.data)).pages]
    assert 20 < len(pages) < 80
    assert len(document.data) < 500_000
    whole = "\n".join(pages)
    assert all(f"Vare nr. {n}\n" in whole for n in range(1000))
    assert all("Beløb inkl. moms" in page for page in pages[:-1])
    for number, page in enumerate(pages, 1):
        assert f"{number}/{len(pages)}" in page
        assert "CVR 12345678" in page


def test_a_long_address_does_not_displace_the_vat_number_of_the_buyer() -> None:
    """An invoice with reverse charge is not one without it. An address that takes too many lines is cut instead."""
    address = replace(ADDRESS, company="Nordic wholesalers of woollen socks " * 5, line1="Building 7, third floor " * 7)
    shown = text_of(document_of(order_of(billing_address=address, vat_number="SE556677889901")))
    assert "SE556677889901" in shown


def test_a_document_that_is_too_large_never_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """An email server would refuse it."""
    monkeypatch.setattr(attachments, "MAX_BYTES", 10_000)
    with pytest.raises(IncorrectDocument, match="kB"):
        document_of(order_of())


def test_light_colors_of_a_brand_are_readable_on_paper() -> None:
    """A brand for dark cards has light texts, which paper would swallow."""
    brand = replace(BRAND, colors=Colors(accent="#ffee88", text="#fafafa", muted="#dddddd", card="#101010"))
    page = PdfReader(BytesIO(document_of(order_of(), brand=brand).data)).pages[0]
    content = page.get_contents()
    assert content is not None
    fills = {
        tuple(map(float, rgb))
        for rgb in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) rg", content.get_data().decode("latin-1"))
    }
    assert max(sum(rgb) for rgb in fills) < 1.6


def test_other_documents_are_unknown() -> None:
    """A newer worker may name one. Its email waits for nobody, and says what is missing."""
    with pytest.raises(RenderError, match="unknown document 'credit-note'"):
        attachments.attachment_of(command(attach="credit-note"), BRAND, lambda key: key, formats_of(Locale("da")), "da")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Faktura 2026/17", "Faktura-2026-17"), ("../../etc/passwd", "etc-passwd"), ('a"b\r\nc;d', "a-b-c-d"), ("Kvittering #1", "Kvittering-1"),
        ("...", "document"), ("Räkning Ø", "Räkning-Ø"), ("x" * 200, "x" * 80),
    ],
)  # fmt: skip
def test_safe_names(name: str, safe: str) -> None:
    """A file name has no path, no quotes and no line ends, and a length that every system stores."""
    assert safe_name(name) == safe


def test_texts_of_documents_are_listed_once() -> None:
    """Each text that a document shows is in one of the lists, which are complete before anything is drawn."""
    assert len({*DOCUMENT_TEXTS, *SHARED_TEXTS}) == len(DOCUMENT_TEXTS) + len(SHARED_TEXTS)
