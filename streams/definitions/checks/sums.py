"""Receipts that do not add up: an email that shows the lines and the total of an order, and not everything in between."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streams.mail.rendering.filters import plain_amount


def missing_amounts(text: str, order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the kind of each amount of an order that its total needs and that an email does not show.

    An email that shows no line, or no total, is not a receipt, and misses nothing.

    Args:
        text: the words of the email, without markup.
        order: the order of the sample data, with amounts that differ.
    """
    lines = [line["amount"] for line in order["lines"] if int(line["amount"]["minor"])]
    if not _shows(text, order["total"]) or not any(_shows(text, amount) for amount in lines):
        return
    for amount in lines:
        if not _shows(text, amount):
            yield "line"
    for row in order["adjustments"]:
        if int(row["amount"]["minor"]) and not _shows(text, row["amount"]):
            yield str(row["kind"])


def _shows(text: str, amount: Mapping[str, Any]) -> bool:
    """Return whether a text has an amount, whatever its language writes between and around the digits."""
    whole, _, part = plain_amount(abs(int(amount["minor"])), str(amount["currency"])).partition(".")
    grouped = r"[.,'\s\u2019]?".join(whole)
    return re.search(rf"(?<!\d){grouped}{rf'[.,]{part}' if part else ''}(?!\d)", text) is not None
