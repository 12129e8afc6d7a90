"""The records that a shop would write for a story, as the API takes them: orders with a whole receipt, parcels, reactions and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from streams.tools.stories.receipts import SHOP_URL, Receipts
from streams.tools.stories.story import EMAIL_KINDS, PARCEL_KINDS, Story, StoryEvent

#: A record, and the endpoint of the API that takes it.
EndpointRecord: TypeAlias = tuple[str, dict[str, Any]]

#: The customer of each story. Different stories never meet.
CUSTOMER_ID = "customer"
CARRIER = "PostNord"
#: Days after a parcel that waits for the customer is sent back, if the story names no last day.
_PICKUP_DAYS = 7
_ENGAGEMENT = {"opens": "opened", "clicks": "clicked", "complains": "complained", "wishes": "wished", "likes": "liked"}
_BROWSING = {"views": "viewed", "adds_to_cart": "added_to_cart"}


class StoryShop(Receipts):
    """The shop of a story. It remembers the orders, so that later records agree with earlier ones.

    Args:
        story: the story.
        language: the language that the customer reads.
        first_day: the local date of day 0.
    """

    def __init__(self, story: Story, language: str, first_day: date) -> None:
        super().__init__(story, language)
        self.first_day = first_day
        self._customer = story.customer
        self._zone = ZoneInfo(story.customer.time_zone)
        self._orders: dict[str, dict[str, Any]] = {}
        self._newest = ""

    def time_of(self, event: StoryEvent) -> datetime:
        """Return the time of an event, in the time zone of the customer."""
        return datetime.combine(self.first_day + timedelta(days=event.day), event.at, self._zone)

    @property
    def email(self) -> str:
        """The address of the customer. No such host exists (RFC 2606)."""
        return f"{self.story.name}@post.example"

    def profile(self, at: datetime) -> EndpointRecord:
        """Return the record of the customer, as the shop knows them before the first event."""
        customer = self._customer
        record: dict[str, Any] = {
            "customer_id": CUSTOMER_ID,
            "email": self.email,
            "name": customer.name,
            "locale": self.language,
            "country": customer.country,
            "time_zone": customer.time_zone,
            "history": "complete",
            "orders_before": customer.orders_before,
            "spend_before_minor": customer.spend_before * 100,
            "occurred_at": _text(at),
            **{f"{name}_consent": value for name, value in customer.consents.items()},
        }
        if customer.birthday is not None:
            record["birthday"] = customer.birthday.isoformat()
        return "customers", record

    def records(self, event: StoryEvent, send_id: str | None = None) -> Iterator[EndpointRecord]:
        """Yield the records of an event, in order. Changes of products have none.

        Args:
            event: the event.
            send_id: the email that it is a reaction to, if it is one.
        """
        kind, values = event.kind, event.values
        at = {"customer_id": CUSTOMER_ID, "occurred_at": _text(self.time_of(event))}
        if kind == "order":
            yield "orders", self._placed(event)
        elif kind in ("paid", "changed", "cancelled", "refunded"):
            yield "orders", self._updated(kind, values) | at
        elif kind in PARCEL_KINDS:
            yield "shipments", self._parcel(event) | at
        elif kind in EMAIL_KINDS:
            link = {"link": f"{SHOP_URL}/"} if kind == "clicks" else {}
            yield "events", {"kind": _ENGAGEMENT[kind], "send_id": send_id, "agent": "human", **link} | at
        elif kind == "unsubscribes":
            yield "events", {"kind": "unsubscribed", "scope": values["scope"]} | at
        elif kind == "answers":
            for question, answer in values.items():
                number = {"answer_thousandths": int(answer) * 1000} if answer.isdecimal() and len(answer) < 7 else {}
                yield "events", {"kind": "answered", "question": question, "answer": answer, **number} | at
        elif kind == "reviews":
            order_id = self._order(values)["order_id"] if self._orders else None
            yield "events", {"kind": "reviewed", "stars": values["stars"], "order_id": order_id} | at
        elif kind in _ENGAGEMENT:
            yield "events", {"kind": _ENGAGEMENT[kind], "sku": values["sku"]} | at
        elif kind in _BROWSING:
            yield "events", {"kind": _BROWSING[kind], "sku": values["sku"]} | at
        elif kind == "record":
            yield "", at | dict(values)

    def order_number(self, values: Mapping[str, Any]) -> str:
        """Return the number of the order that an event is about."""
        return str(self._order(values)["order_number"])

    def total_minor(self, values: Mapping[str, Any]) -> int:
        """Return the total of the order that an event is about, in minor units."""
        return int(self._order(values)["total_minor"])

    # -- orders ------------------------------------------------------------------------------------------------------

    def _placed(self, event: StoryEvent) -> dict[str, Any]:
        values, customer = event.values, self._customer
        name = values["id"]
        number = str(1001 + len(self._orders))
        placed_at = _text(self.time_of(event))
        pays = (
            {"payment_status": "paid", "payment_at": placed_at} if values["is_paid"] else {"payment_status": "pending"}
        )
        address = {
            "name": customer.name, "line1": customer.street, "postal_code": customer.postal_code, "city": customer.city,
            "country": customer.country,
        }  # fmt: skip
        order = {
            "order_id": f"order-{number}",
            "order_number": number,
            "customer_id": CUSTOMER_ID,
            "kind": "placed",
            "email": self.email,
            "name": customer.name,
            "locale": self.language,
            "country": customer.country,
            "time_zone": customer.time_zone,
            "currency": self.currency,
            "placed_at": placed_at,
            "occurred_at": placed_at,
            "payment_method": values["payment"] or self._place.payment,
            **pays,
            "shipping_method": f"{CARRIER}, {_method(values['delivery'], self.language)}",
            "billing_address": address,
            "shipping_address": address,
            "note": values["note"],
            "status_url": f"{SHOP_URL}/orders/{number}",
            "return_url": f"{SHOP_URL}/returns",
            "withdrawal_url": f"{SHOP_URL}/withdrawal",
        }
        if values["delivery"] == "pickup":
            place = {name: address[name] for name in ("postal_code", "city", "country")} | {
                "line1": f"{customer.street.split()[0] if customer.street else 'Torvet'} 2"
            }
            order["pickup_point"] = {
                "name": f"{CARRIER} {customer.city}".strip(),
                "address": place,
                "opening_hours": "8–21",
            }
        self._orders[name] = order
        self._newest = name
        self.set_lines(order, values["lines"], values["discount"], values["code"])
        order["paid_minor"] = order["total_minor"] if values["is_paid"] else 0
        return dict(order)

    def _updated(self, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
        order = self._order(values)
        if kind == "paid":
            order |= {"payment_status": "paid", "paid_minor": order["total_minor"]}
        elif kind == "changed" and "lines" in values:
            self.set_lines(order, values["lines"])
            order["paid_minor"] = order["total_minor"] if order["payment_status"] == "paid" else 0
        elif kind == "cancelled":
            order |= {"payment_status": "voided", "paid_minor": 0}
        elif kind == "refunded":
            returned = values.get("lines", {})
            amount = sum(
                line["unit_price_minor"] * min(returned[line["sku"]], line["quantity"])
                for line in order["lines"]
                if line["sku"] in returned
            )
            refunded = (
                min(order["total_minor"], order.get("refunded_minor", 0) + amount) if returned else order["total_minor"]
            )
            is_all = refunded == order["total_minor"]
            order |= {"refunded_minor": refunded, "payment_status": "refunded" if is_all else "partially_refunded"}
        return order | {"kind": kind}

    def _order(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the order that an event is about."""
        return self._orders[values.get("order") or values.get("id") or self._newest]

    def _parcel(self, event: StoryEvent) -> dict[str, Any]:
        values, order = event.values, self._order(event.values)
        number = values.get("parcel", 1)
        tracking = f"00370{order['order_number']}{number:02}"
        lines = values.get("lines") or {line["sku"]: line["quantity"] for line in order["lines"]}
        parcel: dict[str, Any] = {
            "order_id": order["order_id"],
            "parcel_id": f"{order['order_id']}-p{number}",
            "parcels_in_order": max(values.get("parcels", 1), number),
            "carrier": CARRIER,
            "tracking_number": tracking,
            "tracking_url": f"https://track.example/{tracking}",
            "status": event.kind,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()],
        }
        if "expected" in values:
            parcel["estimated_day"] = (self.first_day + timedelta(days=values["expected"])).isoformat()
        if event.kind == "exception":
            parcel["exception_reason"] = values.get("reason", "other")
        if event.kind == "ready_for_pickup":
            last_day = values.get("last_day", event.day + _PICKUP_DAYS)
            point = order.get("pickup_point") or {
                "name": CARRIER,
                "address": order["shipping_address"],
                "opening_hours": "8–21",
            }
            place = {name: point["address"].get(name, "") for name in ("line1", "postal_code", "city", "country")}
            parcel["pickup"] = place | {
                "name": point["name"], "opening_hours": point["opening_hours"], "code": "4711",
                "last_day": (self.first_day + timedelta(days=last_day)).isoformat(),
            }  # fmt: skip
        return parcel


#: How a delivery is called, by language.
_METHODS = {
    "home": {"da": "hjemmelevering", "nb": "hjemlevering", "sv": "hemleverans", "nl": "thuisbezorgd", "en": "home delivery"},
    "pickup": {"da": "afhentning", "nb": "henting", "sv": "upphämtning", "nl": "afhaalpunt", "en": "pickup point"},
}  # fmt: skip


def _method(delivery: str, language: str) -> str:
    names = _METHODS[delivery]
    return names.get(language.partition("-")[0], names["en"])


def _text(at: datetime) -> str:
    return at.isoformat()
