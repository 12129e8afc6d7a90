"""The records of customer pages, as the gateway reads them. The flows agent has validated what they contain."""

from __future__ import annotations

from streams.core.model.customer_page import CustomerPage, PageLine, PageOrder
from streams.wire.validation import Record, parse_id, parse_time


def to_customer_page(record: Record) -> CustomerPage:
    """Return the page of a record. Raise ValidationFailed."""
    parse_id(record, "customer_id")
    order = record["order"]
    return CustomerPage(
        **{
            **record,
            "wishes": tuple(record["wishes"]),
            "likes": tuple(record["likes"]),
            "order": None if order is None else _order(order),
            "updated_at": parse_time(record["updated_at"], "updated_at", None),
        }
    )


def _order(record: Record) -> PageOrder:
    return PageOrder(**{**record, "lines": tuple([PageLine(**line) for line in record["lines"]])})
