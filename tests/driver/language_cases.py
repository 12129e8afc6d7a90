"""Cases of the words of the language that the shop's own flows do not use, each with its flow. They run where those of `cases.py` do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from streams.core.offers.code_pool_records import Code
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.wire import topics
from tests.driver.cases import CONFIRMED, FIRST, RETURNING, Case, CaseEvent, CaseRun, engagement, order, parcel, profile
from tests.harness import records
from tests.harness.events import flow_from, shop_flows, shop_ruleset
from tests.harness.flow_texts import MESSAGES, flow_text

#: Flow -> its purpose, and its trigger and steps. A contest of that name starts it, where the trigger is not the word that is tested.
_FLOWS: Mapping[str, tuple[str, str]] = {
    "repeated": (
        "marketing",
        "trigger: {on: contest.entered, where: event.contest == 'repeated'}\n"
        "steps:\n  - repeat: {times: 4, every: 1d, until: customer.attributes.stop == 'yes', steps: [{send: {message: a}}]}\n"
        "  - send: {message: b}\n",
    ),
    "points": (
        "marketing",
        "trigger: {on: survey.answered, where: event.question == 'points', again_after: 1h}\n"
        "steps:\n  - add: {name: points, value: 5}\n  - add: {name: points, from: event.number, expires: 3d}\n"
        "  - split: [{when: field.points >= 20, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]\n",
    ),
    "kept": (
        "marketing",
        "trigger: {on: survey.answered, where: event.question == 'kept'}\n"
        "steps:\n  - set: {name: kept, from: event.answer}\n  - wait: 1d\n"
        "  - split: [{when: field.kept == 'yes', steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]\n",
    ),
    "waiting": (
        "marketing",
        "trigger: {on: contest.entered, where: event.contest == 'waiting'}\n"
        "steps:\n  - wait_for: {event: product.added_to_cart, up_to: 3d, then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}\n",
    ),
    "leaving": (
        "marketing",
        "trigger: {on: contest.entered, where: event.contest == 'leaving'}\n"
        "exit_on: [product.wished, product.viewed, review.written, survey.answered, referral.redeemed]\n"
        "steps: [{wait: 3d}, {send: {message: a}}]\n",
    ),
    "leaving-order": (
        "service",
        "trigger: {on: order.placed, where: \"'leaves' in order.tags\"}\n"
        "exit_on: [order.changed, shipment.in_transit]\nsteps: [{wait: 3d}, {send: {message: a}}]\n",
    ),
    "reached": (
        "marketing",
        "trigger: {on: customer.reached, threshold: customer.orders_in(20d) >= 2 and customer.attributes.case == 'reached'}\n"
        "steps: [{send: {message: a}}]\n",
    ),
    "together": (
        "marketing",
        "trigger: {on: order.placed, once_per: product, where: \"'together' in order.tags\"}\n"
        "steps: [{wait: 2d}, {send: {message: a, together: true}}]\n",
    ),
    "pool": (
        "marketing",
        "trigger: {on: contest.entered, where: event.contest == 'pool'}\n"
        "steps:\n  - send: {message: a}\n  - send: {message: b}\n  - reward: {name: spring, pool: spring, within: 2d}\n"
        "  - split: [{when: reward.is_given, steps: [{send: {message: c}}]}]\n",
    ),
    "back": ("marketing", "trigger: {on: product.back_in_stock}\nsteps: [{send: {message: a}}]\n"),
    "cheaper": (
        "marketing",
        "trigger: {on: product.price_dropped, where: product.price_drop_percent >= 10}\nsteps: [{send: {message: a}}]\n",
    ),
    "given": (
        "marketing",
        "trigger: {on: contest.entered, where: event.contest == 'given'}\nsteps: [{reward: {name: gift, expires: 3d}}]\n",
    ),
    "ending": (
        "marketing",
        "trigger: {on: reward.expiring, before: 1d, where: reward.name == 'gift'}\nsteps: [{send: {message: a}}]\n",
    ),
    "pickup": (
        "service",
        "trigger: {on: shipment.ready_for_pickup, once_per: parcel}\nsteps: [{send: {message: a}}]\n",
    ),
    "held-up": (
        "service",
        "trigger: {on: shipment.exception, where: shipment.exception_reason == 'address'}\nsteps: [{send: {message: a}}]\n",
    ),
    "tracked": (
        "service",
        "trigger: {on: shipment.tracking_known, once_per: parcel, where: \"'tracked' in order.tags\"}\n"
        "steps: [{send: {message: a}}]\n",
    ),
    "referred": ("marketing", "trigger: {on: referral.redeemed}\nsteps: [{send: {message: a}}]\n"),
    "reviewed": (
        "marketing",
        "trigger: {on: review.written, where: event.stars >= 4}\nsteps: [{send: {message: a}}]\n",
    ),
}
#: Flow -> the content of its file. On a real broker a day is so short that a delayed event would be too old.
FLOWS: Mapping[str, str] = MappingProxyType(
    {name: flow_text(f"max_age: 4000d\n{body}", name, purpose=purpose) for name, (purpose, body) in _FLOWS.items()}
)
#: The pool from which the flows take codes.
POOL = "spring"


def language_flows() -> tuple[Flow, ...]:
    """The flows of the cases."""
    return tuple(flow_from(text, name, MESSAGES) for name, text in FLOWS.items())


def language_ruleset(**settings: Any) -> Ruleset:
    """The shop's ruleset with the flows of these cases."""
    return shop_ruleset(reward_key=b"key", **settings).with_flows([*shop_flows(), *language_flows()])


def language_run(case: Case) -> CaseRun:
    """A case of these or of `cases.CASES` on the driver, with the flows of these cases and codes in the pool."""
    run = CaseRun(case, language_ruleset())
    run.driver.stock(*[Code(POOL, f"{case.name}-{number}") for number in range(2)])
    return run


def agreed(at: float, **values: Any) -> CaseEvent:
    """The profile of a customer who agreed to marketing."""
    return profile(at, email="", country="DK", marketing_consent=True, **values)


def contest(at: float, name: str) -> CaseEvent:
    """An entry in a contest."""
    return engagement(at, "contest_entered", contest=name)


def answer(at: float, question: str, text: str | None = None, thousandths: int | None = None) -> CaseEvent:
    """An answer to a question."""
    return engagement(at, "answered", question=question, answer=text, answer_thousandths=thousandths)


def browse(at: float, kind: str) -> CaseEvent:
    """A view of a product, or a change of the cart."""
    return CaseEvent(at, topics.BROWSING, {"kind": kind, "sku": "lamp"})


def product(at: float, **values: Any) -> CaseEvent:
    """A record of a product."""
    return CaseEvent(at, topics.PRODUCTS, {"sku": "lamp", **values})


def wish(at: float) -> CaseEvent:
    """A wish for the product."""
    return engagement(at, "wished", sku="lamp")


def leaving(name: str, rule: str, event: CaseEvent, *mails: tuple[str, str]) -> Case:
    """A case in which an event ends the flow `leaving`. `mails` are the emails that the event itself starts."""
    return Case(
        f"leaving-by-{name}",
        f"The flow ends with the event {rule}, before its email.",
        (agreed(0), contest(0.5, "leaving"), event),
        mails,
        frozenset({("leaving", "exit", rule)}),
    )


def leaving_order(name: str, rule: str, event: CaseEvent) -> Case:
    """A case in which an event ends the flow `leaving-order`."""
    return Case(
        f"leaving-by-{name}",
        f"The flow of an order ends with the event {rule}, before its email.",
        (order(0, tags=["leaves"]), event),
        (CONFIRMED, FIRST),
        frozenset({("leaving-order", "exit", rule)}),
    )


LANGUAGE_CASES: tuple[Case, ...] = (
    Case(
        "repeated",
        "A repetition sends a round per day until its condition is true; then the flow continues after it.",
        (agreed(0), contest(0.5, "repeated"), profile(2.0, attributes={"stop": "yes"})),
        (("repeated", "a"), ("repeated", "a"), ("repeated", "b")),
        frozenset({("repeated", "skip", "repeat_until")}),
    ),
    Case(
        "points",
        "Points are added up, by a number and by an answer; those of the first answers have expired at the third.",
        (
            agreed(0),
            answer(0.5, "points", thousandths=8_000),
            answer(2.0, "points", thousandths=8_000),
            answer(6.0, "points", thousandths=4_000),
        ),
        (("points", "b"), ("points", "a"), ("points", "b")),
    ),
    Case(
        "kept",
        "An answer that a field keeps decides a day later.",
        (agreed(0), answer(0.5, "kept", "yes")),
        (("kept", "a"),),
    ),
    Case(
        "waiting",
        "The awaited event continues the flow.",
        (agreed(0), contest(0.5, "waiting"), browse(1.5, "added_to_cart")),
        (("waiting", "a"),),
    ),
    Case(
        "waiting-in-vain",
        "Without the awaited event the flow continues in time.",
        (agreed(0), contest(0.5, "waiting"), browse(1.5, "viewed")),
        (("waiting", "b"),),
    ),
    leaving("wish", "product.wished", wish(1.5)),
    leaving("view", "product.viewed", browse(1.5, "viewed")),
    leaving("review", "review.written", engagement(1.5, "reviewed", stars=2)),
    leaving("answer", "survey.answered", answer(1.5, "happy", "no")),
    leaving("referral", "referral.redeemed", engagement(1.5, "referral_redeemed"), ("referred", "a")),
    leaving_order("change", "order.changed", order(1.5, kind="changed", tags=["leaves"])),
    leaving_order("parcel", "shipment.in_transit", parcel(1.5, "in_transit")),
    Case(
        "reached",
        "The second order within the period starts the flow.",
        (profile(0, attributes={"case": "reached"}), order(0.5), order(2.0, "o2")),
        (CONFIRMED, FIRST, CONFIRMED, ("reached", "a"), RETURNING),
    ),
    Case(
        "together",
        "The three products of an order have one email.",
        (order(0, tags=["together"], lines=[records.line(sku=sku) for sku in ("s1", "s2", "s3")]),),
        (CONFIRMED, FIRST, ("together", "a")),
        frozenset({("together", "skip", "joined")}),
    ),
    Case(
        "pool",
        "While the cap defers the email, no code is taken; it is taken with the email.",
        (agreed(0), contest(0.5, "pool")),
        (("pool", "a"), ("pool", "b"), ("pool", "c")),
        frozenset({("pool", "defer", "cap")}),
        claims=1,
    ),
    Case(
        "pool-refused",
        "A customer who unsubscribes while the cap defers the email takes no code.",
        (agreed(0), contest(0.5, "pool"), engagement(1.0, "unsubscribed", scope="marketing")),
        (("pool", "a"), ("pool", "b")),
        frozenset({("pool", "defer", "cap"), ("pool", "skip", "unsubscribed")}),
    ),
    Case(
        "back",
        "A product on the wish list is in stock again.",
        (agreed(0), product(0, stock=0), wish(0.5), product(1.5, stock=3)),
        (("back", "a"),),
    ),
    Case(
        "cheaper",
        "A product on the wish list costs less.",
        (agreed(0), product(0), wish(0.5), product(1.5, unit_price_minor=8_000)),
        (("cheaper", "a"),),
    ),
    Case(
        "ending",
        "The flow starts before the code of another flow ends.",
        (agreed(0), contest(0.5, "given")),
        (("ending", "a"),),
    ),
    Case(
        "pickup",
        "A parcel can be collected.",
        (order(0), parcel(1.5, "ready_for_pickup")),
        (CONFIRMED, FIRST, ("pickup", "a")),
    ),
    Case(
        "held-up",
        "A parcel is held up because of its address.",
        (order(0), parcel(1.5, "exception", exception_reason="address")),
        (CONFIRMED, FIRST, ("held-up", "a")),
    ),
    Case(
        "tracked",
        "The page of a parcel becomes known after the parcel.",
        (
            order(0, tags=["tracked"]),
            parcel(1.5, "created", tracking_number="", tracking_url=""),
            parcel(2.5, "created"),
        ),
        (CONFIRMED, FIRST, ("tracked", "a")),
    ),
    Case(
        "referred",
        "A friend orders with the customer's referral.",
        (agreed(0), engagement(0.5, "referral_redeemed", order_id="friends")),
        (("referred", "a"),),
    ),
    Case(
        "reviewed",
        "A review with enough stars starts the flow.",
        (agreed(0), engagement(0.5, "reviewed", sku="s1", stars=5)),
        (("reviewed", "a"),),
    ),
)
