"""Postal codes as numbers, so that a condition can compare them with a range."""

from __future__ import annotations

import re

#: The name of the customer's postal code: a text, or its number beside a number.
POSTAL_CODE = "customer.postal_code"
#: A country before the code, as in `DK-8000`; the digits; and the rest of a Polish code such as `00-950`.
_CODE = re.compile(r"(?:[A-Za-z]{1,3}-)?([0-9]{2})(?:-([0-9]{3})\Z|([0-9]{0,13}))")


def number_of(code: str) -> int:
    """Return the number at the start of a postal code: 1012 of `1012 AB`, 11120 of `111 20`; 0 if it begins with something else."""
    match = _CODE.match(compact(code))
    return int(match[1] + (match[2] or match[3] or "")) if match is not None else 0


def compact(code: str) -> str:
    """Return a postal code without spaces."""
    return "".join(code.split())
