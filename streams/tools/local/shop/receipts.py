"""The parts of a receipt besides its lines: numbers, prices of shipping, discounts, taxes, addresses and payment.

The amounts add up as `schemas/order.avsc` says. A choice depends on the order's id only, so all records of an order agree.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from streams.tools.local.shop.people import Person

#: Share of the lines that are on sale, and by how many percent.
SALE_SHARE, SALE_PERCENT = 0.1, 20
#: Share of the orders with a code, and the codes with their percent.
CODE_SHARE, CODES = 0.15, (("WELCOME10", 10), ("THANKS15", 15), ("FRIEND5", 5))
#: Delivery methods with their price in euro cents, and their weights.
METHODS, METHOD_WEIGHTS = (("Home delivery", 590), ("Pickup point", 390), ("Express delivery", 1290)), (45, 45, 10)
#: Sum of the lines, in euro cents, from which all but express delivery is free.
FREE_FROM_CENTS = 15_000
#: Share of the orders that are paid some days later.
LATER_SHARE = 0.08
#: Share of the orders with a note of the buyer.
NOTE_SHARE = 0.05
NOTES = ("Please leave the parcel at the door.", "The bell is broken, please knock.", "No paper invoice, thank you.")
#: Share of the orders that get an invoice besides their confirmation.
INVOICE_SHARE = 0.25
#: The variants of products. Others have none.
VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "LMP-001": ("E27", "E14"),
        "CHR-001": ("natural", "black"),
        "CHR-002": ("cognac", "black"),
        "SHF-001": ("white", "oak"),
        "TXT-002": ("sand", "dusty blue"),
        "TXT-003": ("white", "sage"),
        "KIT-003": ("grey", "blue"),
        "VAS-001": ("clear", "amber"),
    }
)


class Place(Struct, frozen=True):
    """The taxes, payments and streets of a country.

    Attributes:
        tax: the name of the tax.
        tax_rate: its rate in thousandths of a percent.
        payments: ways to pay with the order.
        invoice: the name of the way to pay later.
        streets: streets with a place for the number, postal codes and cities.
        adds_tax: whether the tax is added to the prices.
    """

    tax: str
    tax_rate: int
    payments: tuple[str, ...]
    invoice: str
    streets: tuple[tuple[str, str, str], ...]
    adds_tax: bool = False


_CARDS = ("Visa ending in 4242", "Mastercard ending in 4444")
PLACES: Mapping[str, Place] = MappingProxyType({
    "DK": Place("moms", 25_000, ("MobilePay", *_CARDS), "Faktura", (("Nørrebrogade {}", "2200", "København N"), ("Vestergade {}", "8000", "Aarhus C"),
                                                       ("Algade {}", "4000", "Roskilde"))),
    "GB": Place("VAT", 20_000, ("PayPal", *_CARDS), "Invoice", (("{} Mill Street", "LS1 4DT", "Leeds"), ("{} Church Lane", "BS8 1TH", "Bristol"))),
    "DE": Place("MwSt.", 19_000, ("PayPal", "Klarna", *_CARDS), "Rechnung",
                (("Lindenstraße {}", "10969", "Berlin"), ("Am Markt {}", "28195", "Bremen"))),
    "SE": Place("moms", 25_000, ("Swish", "Klarna", *_CARDS), "Faktura",
                (("Storgatan {}", "411 24", "Göteborg"), ("Kungsgatan {}", "753 18", "Uppsala"))),
    "NO": Place("mva.", 25_000, ("Vipps", *_CARDS), "Faktura", (("Storgata {}", "0184", "Oslo"), ("Strandgaten {}", "5013", "Bergen"))),
    "NL": Place("btw", 21_000, ("iDEAL", *_CARDS), "Factuur", (("Kerkstraat {}", "1017 GC", "Amsterdam"), ("Molenweg {}", "9712 AB", "Groningen"))),
    "IE": Place("VAT", 23_000, ("PayPal", *_CARDS), "Invoice", (("{} Main Street", "T12 XY00", "Cork"),)),
    "US": Place("Sales tax", 8_250, ("PayPal", *_CARDS), "Invoice", (("{} Oak Avenue", "78701", "Austin"), ("{} Elm Street", "60614", "Chicago")),
                adds_tax=True),
})  # fmt: skip


def add_receipt(order: dict[str, Any], buyer: Person, number: int) -> None:
    """Add to an order what its receipt shows, and set its total. It may be called again when the lines have changed.

    Args:
        order: the record of the order, changed in place. Its lines are replaced by new ones.
        buyer: who placed it.
        number: the number of the order in the shop.
    """
    rng = random.Random(order["order_id"])
    here, place = PLACES[buyer.country], PLACES[order["ship_country"]]
    rate = None if here.adds_tax else here.tax_rate
    lines = [_line(line, rate, rng.random() < SALE_SHARE, rng.random()) for line in order["lines"]]
    subtotal = sum([line["quantity"] * line["unit_price_minor"] - line["discount_minor"] for line in lines])
    method, cents = rng.choices(METHODS, METHOD_WEIGHTS)[0]
    is_free = subtotal >= FREE_FROM_CENTS * buyer.rate and not method.startswith("Express")
    shipping = 0 if is_free else _rounded(cents * buyer.rate)
    code, percent = rng.choice(CODES) if rng.random() < CODE_SHARE else ("", 0)
    discount = _rounded(subtotal * percent / 100)
    net = subtotal - discount + shipping
    tax = round(net * here.tax_rate / (100_000 if here.adds_tax else 100_000 + here.tax_rate))
    total = net + tax if here.adds_tax else net
    address = _address(buyer.name, buyer.country, here, rng)
    is_gift = order["ship_country"] != buyer.country
    recipient = buyer.name.split()[-1]
    delivery = _address(f"M. {recipient}", order["ship_country"], place, rng) if is_gift else address
    order |= {
        "lines": lines,
        "order_number": f"#{1000 + number}",
        "subtotal_minor": subtotal,
        "shipping_minor": shipping,
        "shipping_method": method,
        "discounts": [{"code": code, "title": "", "amount_minor": discount}] if discount else [],
        "discount_minor": discount + sum([line["discount_minor"] for line in lines]),
        "taxes": [{"title": here.tax, "tax_rate": here.tax_rate, "amount_minor": tax}],
        "tax_minor": tax,
        "prices_include_tax": not here.adds_tax,
        "total_minor": total,
        "paid_minor": total,
        "payment_method": rng.choice(here.payments),
        "payment_status": "paid",
        "payment_at": order["placed_at"],
        "billing_address": address,
        "shipping_address": delivery,
        "pickup_point": _pickup_point(order["ship_country"], place, rng) if method == "Pickup point" else None,
        "is_gift": is_gift,
        "gift_recipient": {"name": delivery["name"], "message": "Enjoy!"} if is_gift else None,
        "note": rng.choice(NOTES) if rng.random() < NOTE_SHARE else "",
        "status_url": f"https://shop.example/orders/{order['order_id']}",
        "return_url": "https://shop.example/returns",
        "withdrawal_url": "https://shop.example/withdrawal",
    }
    if rng.random() < INVOICE_SHARE:
        order |= {"invoice_number": f"F-{1000 + number}", "invoiced_at": order["placed_at"]}
    if rng.random() < LATER_SHARE:
        order |= {"payment_method": here.invoice, "payment_status": "pending", "payment_at": None, "paid_minor": 0}


def is_unpaid(order: Mapping[str, Any]) -> bool:
    """Return whether an order with a receipt is paid later."""
    return str(order["payment_status"]) == "pending"


def outcome(order: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the fields of the payment after an order was cancelled or refunded; none for other kinds of events."""
    if kind == "cancelled":
        return {"payment_status": "voided", "paid_minor": 0}
    if kind == "refunded":
        return {"payment_status": "refunded", "refunded_minor": order["total_minor"]}
    return {}


def _line(line: dict[str, Any], tax_rate: int | None, is_on_sale: bool, choice: float) -> dict[str, Any]:
    """Return a line with what a receipt shows. Where tax is added, `tax_rate` is None, and the amounts of the line follow from its price."""
    price = line["quantity"] * line["unit_price_minor"]
    discount = _rounded(price * SALE_PERCENT / 100) if is_on_sale else 0
    total = price - discount
    variants, path = VARIANTS.get(line["sku"], ("",)), line["sku"].lower()
    more: dict[str, Any] = {
        "variant": variants[int(choice * len(variants))],
        "image_url": f"https://shop.example/pictures/{path}.jpg",
        "product_url": f"https://shop.example/{path}",
        "kind": "product",
        "discount_minor": discount,
    }
    if tax_rate is not None:
        more |= {
            "total_minor": total,
            "tax_rate": tax_rate,
            "tax_minor": round(total * tax_rate / (100_000 + tax_rate)),
        }
    return line | more


def _rounded(minor: float) -> int:
    """Return an amount in whole tens of minor units, as shops write prices."""
    return round(minor / 10) * 10


def _address(name: str, country: str, place: Place, rng: random.Random) -> dict[str, Any]:
    street, postal_code, city = rng.choice(place.streets)
    line1 = street.format(rng.randint(1, 180))
    return {"name": name, "line1": line1, "postal_code": postal_code, "city": city, "country": country}


def _pickup_point(country: str, place: Place, rng: random.Random) -> dict[str, Any]:
    address = _address("", country, place, rng)
    return {"name": f"Parcel shop {address['city']}", "address": address, "opening_hours": "8–22"}
