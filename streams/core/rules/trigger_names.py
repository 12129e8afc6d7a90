"""The names of the events that start, resume and end flows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: The triggers. The first word names the subject of the event, which decides about the names that conditions may use.
TRIGGERS = (
    "order.placed", "order.paid", "order.changed", "order.cancelled", "order.refunded",
    "shipment.shipped", "shipment.out_for_delivery", "shipment.delivered", "shipment.delayed", "shipment.returned",
    "shipment.in_transit", "shipment.ready_for_pickup", "shipment.exception", "shipment.returned_to_sender", "shipment.cancelled",
    "shipment.tracking_known", "shipment.tracked",
    "mail.delivered", "mail.opened", "mail.clicked",
    "product.viewed", "product.added_to_cart", "product.launch", "product.wished", "product.liked",
    "product.back_in_stock", "product.price_dropped", "product.replaced",
    "review.written", "referral.redeemed", "contest.entered",
    "survey.answered", "profile.completed", "customer.birthday", "customer.anniversary", "customer.date", "customer.reached",
    "segment.entered", "segment.left", "date", "request.asked", "request.confirmed",
    "reward.expiring",
)  # fmt: skip
#: What a customer does in the shop besides buying. A flow can wait for what happens after its start.
ACTIVITIES = (
    "product.viewed", "product.added_to_cart", "product.wished", "product.liked",
    "review.written", "referral.redeemed", "contest.entered",
)  # fmt: skip
#: The activities that concern a product, always with its SKU.
OF_PRODUCTS = frozenset(ACTIVITIES[:5])
#: The events that a flow can wait for: emails of the flow itself, any order or activity of the customer, parcels of the flow's order.
AWAITED = (
    "order.placed", "order.paid", "order.cancelled", "order.refunded",
    "shipment.shipped", "shipment.out_for_delivery", "shipment.delivered", "shipment.delayed", "shipment.returned",
    "shipment.in_transit", "shipment.ready_for_pickup", "shipment.exception", "shipment.returned_to_sender", "shipment.cancelled",
    "shipment.tracking_known", "shipment.tracked",
    "mail.delivered", "mail.opened", "mail.clicked", "survey.answered", *ACTIVITIES,
)  # fmt: skip
#: Two words for one event: flows may use the first one, and the state and decisions contain the second one.
SYNONYMS: Mapping[str, str] = MappingProxyType({"shipment.tracking_known": "shipment.tracked"})
#: The exit event of flows about an abandoned cart.
CART_EMPTIED = "cart.emptied"
#: Exit events that the state does not keep. They end an instance at once, so they count only while it waits.
MOMENTARY = (
    "order.changed", "shipment.tracking_known", "shipment.tracked", "mail.delivered", "mail.opened", "mail.clicked",
    "survey.answered", "review.written",
    "referral.redeemed", "contest.entered", "product.viewed", "product.added_to_cart", "product.wished", "product.liked",
    "profile.completed",
)  # fmt: skip
EXITS = (
    "order.placed", "order.paid", "order.cancelled", "order.refunded",
    "shipment.shipped", "shipment.in_transit", "shipment.out_for_delivery", "shipment.ready_for_pickup", "shipment.delivered",
    "shipment.delayed", "shipment.exception", "shipment.returned", "shipment.returned_to_sender", "shipment.cancelled",
    "customer.unsubscribed", CART_EMPTIED, *MOMENTARY,
)  # fmt: skip
#: Triggers that fire every year on a date of the customer.
DATES = frozenset(("customer.birthday", "customer.anniversary", "customer.date"))
#: Two of them: the customer's birthday, and a date with a name that the shop gave it.
BIRTHDAY, NAMED_DATE = "customer.birthday", "customer.date"
#: The trigger that fires when a condition about the customer becomes true.
REACHED = "customer.reached"
#: The triggers that fire when the customer becomes a member of a segment or no longer is one. A threshold is a segment of one flow.
MEMBERSHIPS = ("segment.entered", "segment.left", REACHED)
#: The triggers that may start for the customers for whom they are true already.
BACKFILLED = ("segment.entered", REACHED)
#: The trigger of campaigns: it fires once, at a moment of the calendar, for the members of a segment.
CAMPAIGN = "date"
#: The trigger that fires once, at the launch of a product that the customer viewed before.
LAUNCH = "product.launch"
#: The triggers that fire when the catalogue changes: for customers who wish for the product, or who bought the one that it replaces.
BACK_IN_STOCK, PRICE_DROPPED, REPLACED = "product.back_in_stock", "product.price_dropped", "product.replaced"
OF_WISHES = (BACK_IN_STOCK, PRICE_DROPPED)
CATALOGUE_CHANGES = (*OF_WISHES, REPLACED)
#: The trigger that fires some days before the code of a reward ends, unless the customer has used it.
REWARD_EXPIRING = "reward.expiring"


#: The triggers of emails about a request. They start once per request, and the email goes to the address that the request concerns.
REQUEST_ASKED, REQUEST_CONFIRMED = "request.asked", "request.confirmed"
OF_REQUESTS = frozenset((REQUEST_ASKED, REQUEST_CONFIRMED))


def is_about_order(on: str) -> bool:
    """Return whether events of the trigger `on` are about an order."""
    return on.startswith(("order.", "shipment."))
