"""The looks of the texts of documents, in the colors of the brand."""

from __future__ import annotations

from typing import NamedTuple

from streams.mail.rendering.contrast import readable
from streams.mail.rendering.documents.pages import Style
from streams.mail.rendering.email_brand import EmailBrand


class Styles(NamedTuple):
    """The looks of texts, readable on white paper."""

    title: Style
    label: Style
    text: Style
    bold: Style
    small: Style
    total: Style
    paid: Style
    accent: str
    line: str

    @classmethod
    def of(cls, brand: EmailBrand) -> Styles:
        """Return the looks of a brand."""
        colors, paper = brand.colors.palette(), ("#ffffff",)
        accent, text, muted, success = (
            readable(colors[name], paper, is_lighter=False) for name in ("accent", "text", "muted", "success")
        )
        return cls(
            Style(21, text, True), Style(7.5, muted), Style(9.5, text), Style(9.5, text, True), Style(8, muted),
            Style(12, text, True), Style(9.5, success, True), accent, "#d9d6d1",
        )  # fmt: skip
