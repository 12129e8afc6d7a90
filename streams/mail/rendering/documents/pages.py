"""Pages of a PDF: texts, rules and a picture at their places. The only module that knows the PDF library, ReportLab.

The same content gives the same bytes: dates come from the content, and ids from a hash of it. Markup is not used: a text is a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from streams.mail.rendering.documents.printable import printable

#: Points of A4, and of the margins at the sides.
WIDTH, HEIGHT, MARGIN = 595.28, 841.89, 51.0
_FONTS = Path(__file__).parent / "fonts"
_REGULAR, _BOLD = "TakkDocuments-Regular", "TakkDocuments-Bold"
#: Streams without a second encoding as text, which emails add anyway.
rl_config.useA85 = 0
Align: TypeAlias = Literal["left", "right"]


class Style(Struct, frozen=True):
    """The look of a text: points, color as `#rrggbb`, weight."""

    size: float
    color: str
    is_bold: bool = False

    @property
    def leading(self) -> float:
        """Points from one line to the next."""
        return round(self.size * 1.35, 2)

    @property
    def font(self) -> str:
        """The name of the font."""
        return _BOLD if self.is_bold else _REGULAR


class Information(Struct, frozen=True):
    """The description of a PDF: title, author, language (BCP 47) and the time of its content (UTC)."""

    title: str
    author: str
    language: str
    at: datetime


@cache
def letters() -> frozenset[str]:
    """Return the letters that the fonts have. The first call registers them."""
    for name in (_REGULAR, _BOLD):
        pdfmetrics.registerFont(TTFont(name, str(_FONTS / f"{name}.ttf")))
    return frozenset(map(chr, pdfmetrics.getFont(_REGULAR).face.charToGlyph))


def clean(text: str) -> str:
    """Return a text in one line, in the letters that the fonts have."""
    return printable(text, letters())


def width_of(text: str, style: Style) -> float:
    """Return the points that a text takes. It must be clean."""
    letters()
    return float(pdfmetrics.stringWidth(text, style.font, style.size))


def wrapped(text: str, style: Style, width: float) -> list[str]:
    """Return a text as lines of at most `width` points. Words that are wider are cut into pieces."""
    lines: list[str] = []
    line = ""
    for word in clean(text).split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer, style) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *pieces, line = _pieces(word, style, width)
        lines += pieces
    return [*lines, line] if line else lines


def _pieces(word: str, style: Style, width: float) -> list[str]:
    if width_of(word, style) <= width:
        return [word]
    pieces, piece, taken = [], "", 0.0
    for letter in word:
        taken += width_of(letter, style)  # the letters are not kerned
        if piece and taken > width:
            pieces.append(piece)
            piece, taken = "", width_of(letter, style)
        piece += letter
    return [*pieces, piece]


class Pages:
    """Pages that are drawn once all of them are known.

    Attributes:
        count: the number of pages so far.
    """

    def __init__(self) -> None:
        self._drawings: list[list[Callable[[Canvas], Any]]] = [[]]

    @property
    def count(self) -> int:
        """The number of pages so far."""
        return len(self._drawings)

    def add_page(self) -> None:
        """Continue on a new page."""
        self._drawings.append([])

    def text(self, x: float, y: float, text: str, style: Style, align: Align = "left", page: int | None = None) -> None:
        """Draw one line of text. `y` is its base line, from the bottom; `page` a number from 0, or None for the newest."""
        shown = clean(text)
        x = x - width_of(shown, style) if align == "right" else x

        def draw(canvas: Canvas) -> None:
            canvas.setFillColor(HexColor(style.color))
            canvas.setFont(style.font, style.size)
            canvas.drawString(round(x, 2), round(y, 2), shown)

        self._drawings[-1 if page is None else page].append(draw)

    def rule(
        self, left: float, right: float, y: float, color: str, thickness: float = 0.6, page: int | None = None
    ) -> None:
        """Draw a horizontal line."""

        def draw(canvas: Canvas) -> None:
            canvas.setStrokeColor(HexColor(color))
            canvas.setLineWidth(thickness)
            canvas.line(round(left, 2), round(y, 2), round(right, 2), round(y, 2))

        self._drawings[-1 if page is None else page].append(draw)

    def picture(self, x: float, y: float, width: float, height: float, data: bytes) -> None:
        """Draw a PNG or JPEG picture."""
        image = _image(data)
        self._drawings[-1].append(lambda canvas: canvas.drawImage(image, x, y, width, height, mask="auto"))

    def write(self, information: Information) -> bytes:
        """Return the PDF."""
        letters()
        buffer = BytesIO()
        canvas = Canvas(
            buffer,
            pagesize=(WIDTH, HEIGHT),
            invariant=1,
            pageCompression=1,
            lang=information.language,
            initialFontName=_REGULAR,
        )
        canvas.setTitle(clean(information.title))
        canvas.setAuthor(clean(information.author))
        canvas.setSubject(clean(information.title))
        canvas.setKeywords("")
        canvas.setCreator("Takk")
        canvas.setProducer("ReportLab")
        canvas.setDateFormatter(lambda *_: f"D:{information.at:%Y%m%d%H%M%S}Z")
        canvas.setViewerPreference("DisplayDocTitle", "true")
        for drawings in self._drawings:
            for draw in drawings:
                draw(canvas)
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()


@cache
def _image(data: bytes) -> ImageReader:
    """Return the picture of a logo. A process has few of them."""
    return ImageReader(BytesIO(data))


def stacked(pages: Pages, x: float, y: float, lines: Sequence[str], style: Style) -> float:
    """Draw lines below each other, and return the base line of the next one."""
    for line in lines:
        pages.text(x, y, line, style)
        y -= style.leading
    return y
