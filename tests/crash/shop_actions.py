"""The actions of a scenario's shop besides its orders: refusals by address, newer consents, orders of guests, merges, imports, tests,
and requests of customers.

Each kind of action is one function in `ACTIONS`. It gets what the shop knows, and returns the records that it writes.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from streams.core.values import ids
from streams.wire import topics

Record: TypeAlias = dict[str, Any]

#: Settings of the processes: addresses have limits, and this address gets the emails of test orders.
TEST_RECIPIENT = "tests@shop.example"
ADDRESS_SETTINGS = {
    "TAKK_ADDRESS_SECRET": "0b5c1d7f3a9e46d2b8c7e5f4a1d09c36",
    "TAKK_TEST_RECIPIENTS": TEST_RECIPIENT,
}
#: Share of the orders that are followed by an action. With 30 orders per second that is one of each kind per second.
SHARE = 0.25
#: Orders and refusing addresses that the shop remembers: those of the last seconds, so that their emails are still on the way.
REMEMBERED = 200
#: Days ago at which imported orders were placed.
IMPORTED_DAYS = 400
#: Customer ids that the shop merges into one person at most: fewer than Takk recognises.
MOST_IDS = 12


class ShopActions:
    """The actions of one shop. The seed and the shop's orders determine them.

    Args:
        seed: of the random choices.
        day_s: seconds that one day takes.

    Attributes:
        rng: makes all random choices.
        orders: the newest orders.
        refused: the newest orders whose address has refused something.
        guests: the newest orders of guests, each with the id of the customer who has the same address.
        merged: each merged customer id with the one that it was first merged into.
        in_circle: ids that were the customer's when one of their aliases was named as their target. They are merged nowhere else, so that it
            is known which merges are refused.
        count: the number of orders that actions have placed.
    """

    def __init__(self, seed: int, day_s: float) -> None:
        self.rng = random.Random(f"actions/{seed}")
        self.day_s = day_s
        self.orders: deque[Record] = deque(maxlen=REMEMBERED)
        self.refused: deque[Record] = deque(maxlen=REMEMBERED)
        self.guests: deque[tuple[Record, str]] = deque(maxlen=REMEMBERED)
        self.merged: dict[str, str] = {}
        self.in_circle: set[str] = set()
        self.count = 0

    def after(self, topic: str, record: Record) -> list[tuple[str, Record]]:
        """Return the further records, by topic, that the shop writes after this one."""
        if topic != topics.ORDERS or record["kind"] != "placed":
            return []
        self.orders.append(record)
        if self.rng.random() >= SHARE:
            return []
        return self.rng.choice(ACTIONS)(self, record["occurred_at"])

    def new_order(self, order: Record, at: datetime, **changes: Any) -> Record:
        """Return another order like `order`, placed at `at`, with `changes`."""
        self.count += 1
        return {**order, "order_id": f"{order['order_id']}-a{self.count}", "placed_at": at, "occurred_at": at} | changes

    def root(self, customer_id: str) -> str:
        """Return the customer that an id leads to by its merges."""
        while customer_id in self.merged:
            customer_id = self.merged[customer_id]
        return customer_id

    def may_merge(self, customer_id: str, into: str) -> bool:
        """Return whether `customer_id` can still become an alias of `into`."""
        root = self.root(into)
        if customer_id in self.merged or customer_id in self.in_circle or root == customer_id:
            return False
        roots = Counter(map(self.root, self.merged))
        return roots[customer_id] + roots[root] + 2 <= MOST_IDS


def bounce(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """The mail server reports that the address of a confirmation does not exist."""
    return _refuse(shop, at, "bounced", hard=True, reason="550 5.1.1 no such user")


def complain(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer reports a confirmation as spam."""
    return _refuse(shop, at, "complained")


def unsubscribe(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer unsubscribes from everything, or from review requests."""
    return _refuse(shop, at, "unsubscribed", scope=shop.rng.choice((None, "marketing", "review")))


def consent(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer agrees to marketing again, with evidence: mostly one who has refused."""
    order = shop.rng.choice(shop.refused or shop.orders)
    profile = {
        "customer_id": order["customer_id"],
        "email": order["email"],
        "marketing_consent": True,
        "consent_notice": "2026-1",
        "consent_source": "preference page",
        "consent_wording": "Yes, send me offers",
        "occurred_at": at,
    }
    return [(topics.CUSTOMERS, profile)]


def order_as_guest(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """Somebody orders as a guest with the address of another customer id: mostly one that has refused."""
    order = shop.rng.choice(shop.refused or shop.orders)
    placed = shop.new_order(order, at, customer_id=f"guest-{order['customer_id']}-{shop.count + 1}")
    shop.guests.append((placed, order["customer_id"]))
    return [(topics.ORDERS, placed)]


def merge(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """Two customer ids turn out to be one person: mostly a guest who gets an account, sometimes two accounts, or ids that were merged before.

    Orders and a parcel under both ids may come before the merge and after it, and on other partitions, so in any order.
    """
    rng = shop.rng
    if shop.guests and rng.random() < 0.7:
        order, into = rng.choice(shop.guests)
        other = order
    else:
        order, other = rng.choice(shop.orders), rng.choice(shop.orders)
        into = other["customer_id"]
    customer_id = order["customer_id"]
    if shop.merged and rng.random() < 0.2:
        into = rng.choice(list(shop.merged))  # an alias of an alias
    elif shop.merged and rng.random() < 0.2:
        customer_id = shop.root(rng.choice(list(shop.merged)))  # who has aliases becomes one
    if not shop.may_merge(customer_id, into):
        return merge_again(shop, at)
    shop.merged[customer_id] = into
    before = [
        (topics.ORDERS, shop.new_order(order, at, customer_id=customer_id)),
        (topics.SHIPMENTS, _shipped(order, at, customer_id=order["customer_id"])),
    ]
    after = [
        (topics.ORDERS, shop.new_order(order, at, customer_id=customer_id)),
        (topics.ORDERS, shop.new_order(other, at, customer_id=into)),
        (topics.SHIPMENTS, _shipped(order, at, customer_id=shop.root(order["customer_id"]))),
    ]
    refusal = {"marketing_consent": False} if rng.random() < 0.1 else {}
    return [
        *[each for each in before if rng.random() < 0.5],
        _merger(customer_id, into, at, **refusal),
        *[each for each in after if rng.random() < 0.5],
    ]


def merge_again(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """The shop merges an id again: into the same customer, which changes nothing, or into another one or in a circle, which is refused.

    A circle may also arise from two merges at the same time.
    """
    choice = shop.rng.random()
    if choice < 0.25 or not shop.merged:
        one, other = (shop.rng.choice(shop.orders)["customer_id"] for _ in range(2))
        if other in shop.merged or other in shop.in_circle or not shop.may_merge(one, other):
            return []
        shop.merged[one] = other
        shop.in_circle.add(other)
        return [_merger(one, other, at), _merger(other, one, at)]
    customer_id = shop.rng.choice(list(shop.merged))
    root = shop.root(customer_id)
    if choice < 0.5:
        return [_merger(customer_id, shop.merged[customer_id], at)]
    if root in shop.in_circle:
        return []
    if choice < 0.75:
        shop.in_circle.add(root)
        return [_merger(root, customer_id, at)]
    other = shop.rng.choice(shop.orders)["customer_id"]
    return [_merger(customer_id, other, at)] if other != customer_id else []


def import_order(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """An old order of a customer is imported."""
    placed_at = at - timedelta(seconds=IMPORTED_DAYS * shop.day_s)
    return [(topics.ORDERS, shop.new_order(shop.rng.choice(shop.orders), placed_at, is_imported=True))]


def place_test(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """The shop tests its checkout: half of the tests have the address of a customer, who must get no email."""
    address = shop.rng.choice(({"email": TEST_RECIPIENT}, {}))
    return [(topics.ORDERS, shop.new_order(shop.rng.choice(shop.orders), at, is_test=True, **address))]


def prefer(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer wants fewer emails, or answers the questions of the preference page."""
    answers = {purpose: shop.rng.random() < 0.5 for purpose in ("marketing", "review", "service")}
    details = shop.rng.choice(
        (
            {"kind": "frequency", "frequency": shop.rng.choice(("fewer", "normal"))},
            {"kind": "preferences", "answers": answers, "notice": "2026-1", "source": "preference page"},
        )
    )
    return [_request(shop, shop.rng.choice(shop.orders), at, **details)]


def change_address(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer asks for another address, and confirms it."""
    order = shop.rng.choice(shop.orders)
    details = {"kind": "change_address", "email": f"new-{order['email']}"}
    return [_request(shop, order, at, **details), _request(shop, order, at, kind="change_address", stage="confirmed")]


def erase(shop: ShopActions, at: datetime) -> list[tuple[str, Record]]:
    """A customer asks to be erased, and confirms it."""
    order = shop.rng.choice(shop.orders)
    return [_request(shop, order, at, kind="erase", stage=stage) for stage in ("asked", "confirmed")]


#: Every kind of action.
ACTIONS: tuple[Callable[[ShopActions, datetime], list[tuple[str, Record]]], ...] = (
    bounce,
    complain,
    unsubscribe,
    consent,
    order_as_guest,
    order_as_guest,  # twice, because these are the emails that the limits of addresses hold back
    merge,
    import_order,
    place_test,
    prefer,
    change_address,
    erase,
)


def _request(
    shop: ShopActions, order: Record, at: datetime, stage: str = "asked", **details: Any
) -> tuple[str, Record]:
    """Return a request of the customer of an order. The stages of one request have the same id."""
    record = {
        "request_id": f"{details['kind']}-{ids.digest(order['order_id'], str(at))}",
        "customer_id": order["customer_id"],
        "stage": stage,
        "occurred_at": at,
        **details,
    }
    return topics.REQUESTS, record


def _refuse(shop: ShopActions, at: datetime, kind: str, **more: Any) -> list[tuple[str, Record]]:
    """Return the engagement of a customer with the confirmation of an order, and remember the order."""
    order = shop.rng.choice(shop.orders)
    shop.refused.append(order)
    instance = ids.instance_id(order["customer_id"], "order-confirmation", order["order_id"])
    record = {
        "customer_id": order["customer_id"],
        "send_id": ids.send_id(instance, "0"),
        "kind": kind,
        "occurred_at": at,
        **more,
    }
    return [(topics.ENGAGEMENT, record)]


def _merger(customer_id: str, into: str, at: datetime, **more: Any) -> tuple[str, Record]:
    """Return the record that merges a customer."""
    return topics.CUSTOMERS, {"customer_id": customer_id, "merged_into": into, "occurred_at": at, **more}


def _shipped(order: Record, at: datetime, customer_id: str) -> Record:
    """Return the record of a parcel that the shop sends besides the others of the order, if it has others."""
    parcel_id = f"{order['order_id']}-again"
    return {
        "customer_id": customer_id,
        "order_id": order["order_id"],
        "parcel_id": parcel_id,
        "parcels_in_order": 1,
        "carrier": "GLS",
        "tracking_number": parcel_id,
        "tracking_url": f"https://gls.example/t/{parcel_id}",
        "status": "shipped",
        "window_from": None,
        "window_to": None,
        "lines": [],
        "occurred_at": at,
    }
