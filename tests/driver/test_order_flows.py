"""The shipped flows on what happens to an order and its parcels, played on the templates of the repository."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from streams.core.model.events import ShipmentStatus, ShipmentUpdated
from streams.core.model.orders.order import OrderDetails, ParcelDetails, PickupPoint
from streams.mail.rendering.documents.invoice import invoice_of
from streams.settings import PROJECT_ROOT
from streams.testing import Scenario
from tests.harness.documents import DETAILS as INVOICED
from tests.harness.documents import LINES, SELLER

TEMPLATES = PROJECT_ROOT / "templates"
#: The flows on what happens to an order. Those of other groups write too, for reasons of their own.
SPECIAL = {folder.name for folder in (TEMPLATES / "flows/transactional").iterdir()} - {"order-confirmation"}


@pytest.fixture
def shop() -> Scenario:
    """A shop with one order of Anna."""
    shop = Scenario(TEMPLATES)
    shop.order("anna", total="500 DKK")
    shop.after(hours=1)
    return shop


def special(shop: Scenario) -> list[str]:
    """The emails about what happened to the order, without the one that every order gets."""
    return [mail for mail in shop.mails("anna") if mail.partition("/")[0] in SPECIAL]


def report(shop: Scenario, status: ShipmentStatus, **details: str) -> None:
    """Report a status of the parcel with details."""
    event = ShipmentUpdated(
        customer_id="anna", order_id="anna-1", parcel_id="p1", parcels_in_order=1, carrier="PostNord", tracking_number="p1",
        tracking_url="", status=status, window_from=None, window_to=None, lines=(), occurred_at=shop.now,
    )  # fmt: skip
    shop.tell(replace(event, details=ParcelDetails(**details)))


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (lambda shop: shop.order("anna", kind="cancelled"), ["order-cancelled/cancelled"]),
        (lambda shop: shop.order("anna", kind="refunded"), ["order-refunded/refunded-all"]),
        (lambda shop: shop.order("anna", kind="refunded", refunded_minor=10_000), ["order-refunded/refunded-part"]),
        (lambda shop: shop.order("anna", kind="refunded", refunded_minor=0), []),
        (lambda shop: shop.order("anna", kind="changed"), ["order-changed/changed"]),
        (lambda shop: shop.order("anna", kind="paid"), []),
        (lambda shop: report(shop, "out_for_delivery"), ["out-for-delivery/today"]),
        (lambda shop: report(shop, "delayed"), ["delayed/delayed"]),
        (lambda shop: report(shop, "exception", exception_reason="address"), ["delivery-problem/address"]),
        (lambda shop: report(shop, "exception", exception_reason="recipient_absent"), ["delivery-problem/absent"]),
        (lambda shop: report(shop, "exception", exception_reason="payment_due"), ["delivery-problem/customs"]),
        (lambda shop: report(shop, "exception", exception_reason="lost"), ["delivery-problem/other"]),
        (lambda shop: report(shop, "exception", exception_reason="refused"), []),
        (lambda shop: report(shop, "delivered"), ["delivered/delivered"]),
        (lambda shop: report(shop, "returned"), ["returned/received"]),
        (lambda shop: report(shop, "returned_to_sender"), ["returned-to-sender/back"]),
    ],
)
def test_one_email(shop: Scenario, happens: Callable[[Scenario], object], expected: list[str]) -> None:
    """Each event has its email, and only one; a refund of nothing and a refused parcel have none."""
    happens(shop)
    shop.after(days=3)
    assert special(shop) == expected


def test_refunds_of_several_parts(shop: Scenario) -> None:
    """Refunds within half an hour are one email. A later one gets another, about the whole order if nothing is left."""
    for minor in (10_000, 20_000):
        shop.order("anna", kind="refunded", refunded_minor=minor)
        shop.after(minutes=10)
    shop.after(hours=1)
    assert special(shop) == ["order-refunded/refunded-part"]
    shop.order("anna", kind="refunded", refunded_minor=50_000)
    shop.after(hours=1)
    assert special(shop) == ["order-refunded/refunded-part", "order-refunded/refunded-all"]


def test_payment_by_invoice() -> None:
    """A payment that comes after the order is confirmed, if the method is one of those in the flow."""
    shop = Scenario(TEMPLATES)
    shop.order("anna")
    shop.after(days=2)
    shop.order("anna", kind="changed", details=OrderDetails(payment_method="Faktura"))
    shop.order("anna", kind="paid")
    shop.after(hours=1)
    assert "payment-received/received" in special(shop)


@pytest.mark.parametrize(
    ("changes", "is_sent"),
    [
        ({}, True),
        ({"invoice_number": ""}, False),
        ({"invoiced_at": None}, False),
        ({"billing_address": None}, False),
    ],
)
def test_invoice(changes: dict[str, object], is_sent: bool) -> None:
    """An order with an invoice of the shop gets it in an email of its own, with all that the document shows."""
    shop = Scenario(TEMPLATES)
    details = replace(INVOICED, **{"invoiced_at": shop.now, **changes})
    shop.order("anna", total="633.10 DKK", details=details, lines=LINES)
    shop.after(hours=1)
    assert ("invoice/invoice" in special(shop)) == is_sent
    if is_sent:
        mail = shop.mail("anna", "invoice")
        assert mail.attach == "invoice"
        assert invoice_of(mail.context["order"], "DK", SELLER).is_invoice
        assert shop.mail("anna", "confirmation").attach == ""


@pytest.mark.parametrize("is_collected", [False, True])
def test_pickup(is_collected: bool) -> None:
    """Customers are reminded of a parcel, and not if they have collected it."""
    shop = Scenario(TEMPLATES)
    shop.order("anna", details=OrderDetails(pickup_point=PickupPoint("Corner shop")))
    report(shop, "out_for_delivery")
    report(shop, "ready_for_pickup")
    shop.after(days=2)
    assert special(shop) == ["pickup/ready"]
    if is_collected:
        report(shop, "delivered")
    shop.after(days=10)
    assert special(shop) == ["pickup/ready"] + ["pickup/remind"] * (not is_collected)


def test_imported_orders_get_no_email() -> None:
    """Events of an order that was imported send nothing."""
    shop = Scenario(TEMPLATES)
    shop.order("anna", is_imported=True)
    for kind in ("changed", "refunded", "cancelled"):
        shop.order("anna", kind=kind)
    shop.after(days=2)
    assert shop.mails("anna") == []
