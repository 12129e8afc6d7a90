"""The text of one invoice and one receipt, as another program reads it from the PDF.

`TAKK_GOLDEN=write make test ARGS=tests/golden/test_documents.py` writes the files again, after an intended change.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.harness.documents import document_of, order_of, text_of

HERE = Path(__file__).parent / "documents"


@pytest.mark.parametrize(("name", "language", "number"), [("invoice.da", "da", "F-17"), ("receipt.en", "en", "")])
def test_text(name: str, language: str, number: str) -> None:
    """All words and amounts of the page are as they were, in their places."""
    document = document_of(order_of(invoice_number=number, paid_minor=60_000), language)
    text = re.sub(r" +\n", "\n", text_of(document).replace("\xa0", " ")).strip() + "\n"
    text = re.sub(r"\n{3,}", "\n\n", text)
    path = HERE / f"{name}.txt"
    if os.environ.get("TAKK_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
