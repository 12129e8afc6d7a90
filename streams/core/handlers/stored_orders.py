"""The part of an order's description that the state keeps: the data for later emails and decisions, in bounded size.

The receipt has everything, since it is written from the event itself. Later emails do without the billing address, the customer's note and
the pictures, which the catalogue has too.
"""

from __future__ import annotations

from msgspec.structs import astuple, replace

from streams.core.model.orders.order import NO_DETAILS, NO_LINE_DETAILS, Address, OrderDetails, OrderLine
from streams.core.model.unit_of_work import UnitOfWork

#: Discounts, taxes, returns and tags that are kept.
MOST_ROWS = 4
#: Characters of a text that is kept, and of opening hours.
MAX_TEXT, MAX_HOURS = 60, 200
#: Characters of a link that is kept. Part of a longer one is of no use, so it is left out.
MAX_LINK = 300


def stored_lines(uow: UnitOfWork, lines: tuple[OrderLine, ...]) -> tuple[OrderLine, ...]:
    """Return the lines that the state keeps: a limited number, with titles of limited length. Return `lines` itself if all fit."""
    length, kept = uow.ruleset.limits.title, lines[: uow.ruleset.limits.lines_per_order]
    if all(line.details is None and len(line.title) <= length and len(line.category) <= length for line in kept):
        return kept
    return tuple([_stored_line(line, length) for line in kept])


def _stored_line(line: OrderLine, length: int) -> OrderLine:
    details = line.details
    if details is not None:
        details = replace(details, variant=details.variant[:length], image_url="", product_url="")
        details = None if details == NO_LINE_DETAILS else details
    return replace(line, title=line.title[:length], category=line.category[:length], details=details)


def stored_details(details: OrderDetails | None) -> OrderDetails | None:
    """Return the details that the state keeps; None for an order without details."""
    if details is None:
        return None
    point = details.pickup_point
    kept = replace(
        details,
        order_number=details.order_number[:MAX_TEXT],
        shop_id=details.shop_id[:MAX_TEXT],
        shipping_method=details.shipping_method[:MAX_TEXT],
        payment_method=details.payment_method[:MAX_TEXT],
        invoice_number=details.invoice_number[:MAX_TEXT],
        discounts=tuple(
            [
                replace(one, code=one.code[:MAX_TEXT], title=one.title[:MAX_TEXT])
                for one in details.discounts[:MOST_ROWS]
            ]
        ),
        taxes=tuple([replace(one, title=one.title[:MAX_TEXT]) for one in details.taxes[:MOST_ROWS]]),
        returns=tuple(
            [replace(one, return_id=one.return_id[:MAX_TEXT], lines=()) for one in details.returns[-MOST_ROWS:]]
        ),
        tags=tuple([tag[:MAX_TEXT] for tag in details.tags[:MOST_ROWS]]),
        billing_address=None,
        shipping_address=_address(details.shipping_address),
        pickup_point=(
            replace(
                point,
                name=point.name[:MAX_TEXT],
                address=_address(point.address),
                opening_hours=point.opening_hours[:MAX_HOURS],
            )
            if point is not None
            else None
        ),
        note="",
        company="",
        vat_number="",
        invoice_note="",
        gift_recipient=None,
        status_url=_link(details.status_url),
        return_url=_link(details.return_url),
        withdrawal_url=_link(details.withdrawal_url),
    )
    return None if kept == NO_DETAILS else kept


def _address(address: Address | None) -> Address | None:
    return Address(*[part[:MAX_TEXT] for part in astuple(address)]) if address is not None else None


def _link(url: str) -> str:
    return url if len(url) <= MAX_LINK else ""
