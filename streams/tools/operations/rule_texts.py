"""The meaning of every rule that a decision can name, in one sentence for the people who answer customers.

A decision's `detail` adds the specifics, so the texts contain no names, numbers or dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        # permission
        "transactional": "transactional emails need no consent",
        "consent": "the customer agreed to such emails",
        "own_opt_in": "the customer opted in to this kind of email",
        "soft_opt_in": "the customer bought something and did not object to emails about similar products",
        "allowed": "such emails need no consent in the customer's country",
        "draft": "the flow is a draft: nothing is sent",
        # consent and address
        "unsubscribed": "the customer unsubscribed",
        "hard_bounced": "the email address does not exist",
        "bad_address": "the newest email address from the shop, or that of the order, is not one; the order is processed without it",
        "bad_attribute": "attributes, dates or ids of the customer's record are invalid, too long or too many; they were cut or left out",
        "complained": "the customer reported an email as spam",
        "soft_bounces": "the last emails to this address all bounced",
        "no_consent": "the customer has not agreed to such emails",
        "no_own_opt_in": "the customer has not opted in to this kind of email",
        "no_soft_opt_in": "the customer has neither bought anything nor agreed to such emails",
        "soft_opt_in_ended": "the last purchase is too long ago to send without consent",
        "under_age": "the customer is younger than the minimum age of the country, and gets only transactional emails",
        "shared_id": "several people share this customer id: it gets only transactional emails, each at the address of its order",
        "no_address": "the customer's email address is unknown",
        "merged": "two customer ids were merged, because both are one person",
        "merge_refused": "the merge is impossible: a customer is merged once, and not in a circle",
        "merged_ids": "more customers were merged into one than it remembers: flows of the oldest may start again",
        "forgotten_orders": "two merged customers had both forgotten the same order: it counts twice in the totals",
        "already_in_flow": "two merged customers were in the same flow: it continues once",
        "erased": "the customer was erased, as the shop or the customer asked for",
        "test_order": "the order is a test, and only the addresses in TAKK_TEST_RECIPIENTS get its emails",
        # requests of the customer
        "request_confirmed": "the customer confirmed a request by the link of an email; it is carried out",
        "request_unknown": "a request was confirmed that is not known, or that belongs to another customer",
        "request_expired": "a request was confirmed too late; the customer can ask again",
        "request_limit": "the customer asked too often within a day; the request was not accepted",
        "request_unanswered": "no flow starts with `request.asked`, so the customer got no link to confirm the request",
        # the order
        "does_not_add_up": "the lines, discounts, shipping and tax of the order give another total than the shop's",
        # the flow
        "where": "the flow does not apply to this order or customer",
        "no_arm": "no branch of the split matches",
        "experiment": "an experiment chose the branch",
        "holdout": "the customer is in the holdout group, which measures the effect of the emails",
        "paused": "the flow is paused; it is evaluated again later",
        "migrated": "moved to a newer version of the flow",
        "parcel_added": "a parcel was added to the order; the flow starts over when it arrives too",
        "left_segment": "the customer had left the segment of the campaign before it started",
        "moment_moved": "the time that the flow waits for has changed",
        "flow_gone": "the flow or the step no longer exists",
        "flow_unknown": "the worker does not know the flow, or only older versions of it; another worker continues",
        "pool_empty": "no code was left: the flow continued without one",
        "no_pool": "no pool of codes belongs to the customer's value: the flow continued without a code",
        "code_too_late": "a code arrived that the flow could not use any more; it was returned to its pool",
        "code_expired": "the code had expired when it arrived: the flow continued without one",
        "already_delivered": "the parcel had already been delivered",
        "too_old": "it happened too long ago to start the flow; the customer's history was updated",
        "imported": "it was imported from an earlier system; the customer's history was updated",
        "reward_used": "the customer has used the code that the flow is about",
        "joined": "the email is part of another one: both were due on the same day, and the flow sends such emails together",
        "repeat_until": "the condition that ends a repetition was true",
        # sending rules
        "cap": "the frequency cap is reached",
        "fewer": "the customer asked for fewer emails, and got one recently",
        "quiet_hours": "it was within the customer's quiet hours",
        "order_late": "an order is late: no marketing emails until it arrives or can be collected, for two weeks at most",
        "refunded": "an order was refunded recently: no marketing emails for a while",
        "calm_series": "the customer has an open case, such as a complaint: no marketing emails until it is closed",
        "clash": "another flow or series excludes this email while it can still send",
        "not_before": "`not_before` has not been reached",
        "expired": "it could not be sent before it expired",
        # exits
        "goal": "the goal of the flow was reached",
        "order.placed": "the customer bought again",
        "order.paid": "the order was paid",
        "order.cancelled": "the order was cancelled",
        "order.refunded": "the order was refunded",
        "order.changed": "the order was changed",
        "shipment.shipped": "the parcel was shipped",
        "shipment.in_transit": "the parcel was on its way",
        "shipment.out_for_delivery": "the parcel was on its last leg",
        "shipment.ready_for_pickup": "the parcel could be collected",
        "shipment.delivered": "the parcel was delivered",
        "shipment.delayed": "the parcel was delayed",
        "shipment.exception": "the parcel was held up",
        "shipment.returned": "the parcel was returned",
        "shipment.returned_to_sender": "the parcel went back undelivered",
        "shipment.cancelled": "the parcel was not shipped",
        "shipment.tracking_known": "the tracking of the parcel became known",
        "shipment.tracked": "the tracking of the parcel became known",
        "mail.delivered": "an email of the flow was delivered",
        "mail.opened": "the customer opened an email of the flow",
        "mail.clicked": "the customer clicked in an email of the flow",
        "survey.answered": "the customer answered a survey",
        "review.written": "the customer wrote a review",
        "referral.redeemed": "a friend used the customer's referral",
        "contest.entered": "the customer entered a contest",
        "product.viewed": "the customer viewed a product",
        "product.added_to_cart": "the customer put a product into the cart",
        "product.wished": "the customer put a product on the wish list",
        "product.liked": "the customer liked a product",
        "profile.completed": "the customer's profile was completed",
        "customer.unsubscribed": "the customer unsubscribed",
        "cart.emptied": "the customer emptied the cart",
        "date_removed": "the birthday or date that the flow is about was removed",
        # limits
        "steps_per_wake_up": "the flow executed too many steps at once",
        "instances": "the customer is in too many flows at once",
        "launches": "the customer waits for too many launches at once",
        "rewards": "the customer has too many codes whose end is waited for",
        "held_events": "too many events arrived before the worker knew the flow's version: the newest were dropped",
        "held_clicks": "so many links were clicked within seconds that no person can have done it",
        "orders": "the customer has too many orders: the oldest are no longer stored",
        "traits": "the customer's attributes, dates, ids, wishes and likes do not all fit: the oldest were forgotten",
        "lines_per_order": "the order has too many lines",
        "lines_per_parcel": "the parcel has too many lines",
        "parcels_per_order": "the order has too many parcels",
        # the mailer
        "accepted": "the mail server accepted it",
        "sent_again": "it was sent again: a crash left unclear whether the first attempt had succeeded",
        "resent": "it was sent again by hand with `takk resend`",
        "4xx": "the mail server asked to retry later",
        "refused_us": "the mail server refused the sender, not the recipient: it is tried again",
        "no_answer": "the mail server did not answer this email, or closed the connection: it is tried again, unless it arrived",
        "newer_templates": "the mailer has older templates, without this version or message: it is tried again",
        "example_brand": "the legal lines of the shop's emails are still those of the example: such emails wait until it has its own",
        "put_off": "the mail server asked to retry later",
        "not_after": "it was too late to send it",
        "withdrawn": "it was no longer allowed when it was about to be sent",
        "address_suppressed": "the address refused such emails, perhaps under another customer id, or reported spam, or does not exist",
        "address_cap": "the address got as many emails as the frequency cap allows, all its customer ids together",
        "address_limit": "the address got as many transactional emails as one address gets per day",
        "too_few_products": "there were too few products to recommend",
        "unsendable": "the email could not be composed: an address or the subject contains invalid characters",
        "crashed": "the email ended the process that renders it, twice",
        "unrenderable": "the email could not be rendered: a template is missing or invalid",
        "incorrect_document": "its invoice would be wrong: the amounts of the order contradict each other",
        "5xx": "the mail server rejected it permanently",
        "failed": "the mailer met an error that concerns this email alone",
        "gave_up": "the mail server deferred it until it was too late",
        "in_flight_after_crash": "the mailer crashed while sending it: it may have arrived",
        "connection_lost": "the connection broke after the email was handed over, or the mail server did not answer: it may have arrived",
    }
)

#: The meaning of each outcome of the mailer.
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "sent": "the mail server accepted it",
        "deferred": "the mail server asked to retry later",
        "refused": "the mail server rejected it",
        "expired": "it was too late to send it",
        "suppressed": "it was not sent",
        "unknown": "it may or may not have arrived",
    }
)

#: The meaning of each kind of attributed engagement.
ENGAGEMENT: Mapping[str, str] = MappingProxyType(
    {
        "delivered": "the receiving mail server confirmed the delivery",
        "opened": "the email was opened",
        "clicked": "a link in the email was clicked",
        "bounced": "the email bounced",
        "complained": "the customer reported the email as spam",
        "unsubscribed": "the customer unsubscribed",
        "answered": "the customer answered a question",
        "ordered": "the customer bought after a click in this email",
        "ordered_held_out": "the customer bought without the email, which was held out",
    }
)


def decision_text(rule: str, detail: str) -> str:
    """Return the meaning of a decision: that of its rule, with the specifics in parentheses."""
    meaning = RULES.get(rule, rule)
    return f"{meaning} ({detail})" if detail and detail != meaning else meaning


def value_text(value: object) -> str:
    """Return the value of a name in a condition as its reader writes it."""
    if value is None:
        return "unknown"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, str):
        return f"'{value}'"
    return f"{value:f}" if isinstance(value, Decimal) else str(value).lower()
