"""The shop's flows over days and weeks, on a virtual clock."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.clicks import HOLD
from streams.core.model.customer import Customer
from streams.core.model.customer_codec import encode_customer
from streams.core.model.events import (
    ContactPressed,
    CustomerActed,
    MailBounced,
    MailClicked,
    MailDelivered,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ProductBrowsed,
    ProfileUpdated,
    RetryDue,
    ShippedLine,
    Unsubscribed,
)
from streams.core.offers.code_pool_records import Code
from streams.core.rules.ruleset import Limits, Ruleset
from streams.core.sending.content import template_data
from tests.driver.cases import CASES, Case, CaseRun
from tests.harness.driver import START, Driver
from tests.harness.events import flow_from, order, shipment, shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SEND = "steps: [{send: {message: a}}]"


@pytest.fixture
def run() -> Driver:
    """A driver with the shop's flows."""
    return Driver(shop_ruleset())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    """The events of a case give exactly the emails, decisions and attributions of the table."""
    case_run = CaseRun(case).finish()
    assert case_run.mails == list(case.mails)
    assert {decision for decision in case_run.decisions if decision[1] != "send"} == case.not_sent
    assert case_run.ordered == case.ordered


def placed(order_id: str, at: datetime, **changes: object) -> OrderPlaced:
    return OrderPlaced(order(order_id, at, **changes), at)


def test_order_from_confirmation_to_review(run: Driver) -> None:
    """One order gives each email once, the review two days after the delivery of the last parcel."""
    run.handle(placed("o1", START))
    assert run.messages() == ["confirmation"]
    run.advance(2 * DAY)
    run.handle(shipment("o1", "shipped", run.now, "p1", 2), shipment("o1", "shipped", run.now, "p2", 2))
    run.handle(shipment("o1", "delivered", run.now, "p1", 2))
    run.advance(5 * DAY)
    assert run.messages() == ["confirmation", "first-time", "shipped", "shipped"]
    run.handle(shipment("o1", "delivered", run.now, "p2", 2))
    delivered = run.now
    run.advance(2 * DAY - timedelta(seconds=1))
    assert "ask-first-time" not in run.messages()
    run.advance(90 * DAY)
    assert run.messages()[-1] == "ask-first-time"
    assert run.mails()[-1].not_after == delivered + 7 * DAY
    assert run.customers["c1"].instances == ()
    assert Counter(outcome for _, outcome, _ in run.decisions()) == {"send": 5}


@pytest.mark.parametrize("kind", [OrderRefunded, OrderCancelled])
@pytest.mark.parametrize("is_early", [True, False])
def test_no_review_after_a_refund(run: Driver, kind: type[OrderRefunded | OrderCancelled], is_early: bool) -> None:
    """A refund before the delivery or during the wait ends the review, with a decision."""
    run.handle(placed("o1", START))
    run.advance(2 * DAY)
    gone = kind(order("o1", START), run.now)
    delivered = shipment("o1", "delivered", run.now)
    run.handle(*([gone, delivered] if is_early else [delivered, gone]))
    run.advance(90 * DAY)
    assert not {"ask", "ask-first-time"} & set(run.messages())
    rule = "order.refunded" if kind is OrderRefunded else "order.cancelled"
    assert ("review", "exit", rule) in run.decisions()


def test_thank_you_variants() -> None:
    """First-time, returning and VIP customers get their own messages."""
    run = Driver(shop_ruleset())
    run.handle(placed("o1", START))
    run.advance(10 * DAY)
    run.handle(placed("o2", run.now))
    run.advance(10 * DAY)
    run.handle(placed("o3", run.now, total_minor=150_000, currency="EUR"))
    run.advance(10 * DAY)
    assert [name for name in run.messages() if name != "confirmation"] == ["first-time", "returning", "vip"]
    assert run.customers["c1"].spend == (("DKK", 100_000), ("EUR", 150_000))


def test_parcels_wait_for_their_order(run: Driver) -> None:
    """A parcel event that arrives before its order applies when the order arrives."""
    run.handle(shipment("o1", "shipped", START))
    assert run.effects == []
    run.advance(HOUR)
    run.handle(placed("o1", START - HOUR))
    assert run.messages() == ["confirmation", "shipped"]
    assert template_data(run.mails()[1].content)["shipment"]["tracking_number"] == "Tp1"
    run.handle(shipment("o1", "delivered", run.now))
    run.advance(3 * DAY)
    assert "ask-first-time" in run.messages()


def test_delivered_before_shipped(run: Driver) -> None:
    """A delivered parcel is not announced as shipped; a decision has the reason."""
    run.handle(placed("o1", START), shipment("o1", "delivered", START + HOUR), shipment("o1", "shipped", START))
    assert run.messages() == ["confirmation"]
    assert ("shipment-confirmation", "skip", "already_delivered") in run.decisions()


def test_changes_at_the_same_time(run: Driver) -> None:
    """Of two changes at the same time the later in the log counts, also if both are repeated."""
    first = OrderChanged(order("o1", START, total_minor=70_000), START + HOUR)
    second = OrderChanged(order("o1", START, total_minor=30_000), START + HOUR)
    run.handle(placed("o1", START), first, second)
    before, effects_before = run.customers["c1"], len(run.effects)
    assert before.spend == (("DKK", 30_000),)
    run.handle(first, second, first)
    assert run.customers["c1"] == before
    assert run.effects[effects_before:] == []


def test_changes_before_the_order(run: Driver) -> None:
    """A change that arrives before the order itself counts."""
    run.handle(OrderChanged(order("o1", START, total_minor=70_000), START + HOUR))
    assert run.effects == []
    run.handle(placed("o1", START))
    assert template_data(run.mails()[0].content)["order"]["total"] == {"minor": 70_000, "currency": "DKK"}
    assert run.customers["c1"].spend == (("DKK", 70_000),)


def test_duplicates_change_nothing(run: Driver) -> None:
    """Repeated events in another order leave the state unchanged and have no effects."""
    facts = [placed("o1", START), shipment("o1", "shipped", START), shipment("o1", "delivered", START)]
    run.handle(*facts)
    state, count = run.customers["c1"], len(run.effects)
    run.handle(*reversed(facts), *facts)
    assert run.customers["c1"] is state
    assert len(run.effects) == count


def test_unsubscribed_while_waiting(run: Driver) -> None:
    """Consent is checked when the email is due."""
    run.handle(placed("o1", START))
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=START))
    run.advance(2 * DAY)
    assert run.messages() == ["confirmation"]
    assert ("thank-you", "skip", "unsubscribed") in run.decisions()
    run.handle(placed("o2", run.now))
    assert run.messages() == ["confirmation", "confirmation"]


def test_seven_soft_bounces_and_a_delivery(run: Driver) -> None:
    """Seven soft bounces in a row stop marketing emails; a delivery ends the row."""
    run.handle(placed("o1", START))
    send = run.mails()[0].send_id
    for minute in range(7):
        at = START + timedelta(minutes=minute)
        run.handle(MailBounced(customer_id="c1", send_id=send, hard=False, reason="4.2.2", occurred_at=at))
    run.advance(2 * DAY)
    assert ("thank-you", "skip", "soft_bounces") in run.decisions()
    run.handle(MailDelivered(customer_id="c1", send_id=send, occurred_at=run.now), placed("o2", run.now))
    run.advance(2 * DAY)
    assert "returning" in run.messages()


@pytest.mark.parametrize("is_late", [False, True])
def test_attribution(run: Driver, is_late: bool) -> None:
    """An order after a click of a person is attributed to the email once, also if the click arrives later."""
    run.handle(placed("o1", START))
    send = run.mails()[0]
    run.advance(HOUR)
    click = MailClicked(customer_id="c1", send_id=send.send_id, link="shop", agent="human", occurred_at=run.now)
    bought = placed("o2", run.now + HOUR)
    run.handle(*([bought, click] if is_late else [click, bought]), click, bought)
    run.advance(HOLD)
    credited = [effect for effect in run.attributions() if effect.kind == "ordered"]
    assert [(one.send_id, one.order_id, one.revenue_minor) for one in credited] == [(send.send_id, "o2", 50_000)]
    clicks = [effect for effect in run.attributions() if effect.kind == "clicked"]
    assert [(one.flow, one.message, one.order_id) for one in clicks] == [("order-confirmation", "confirmation", "o1")]
    run.handle(placed("o3", run.now + 4 * DAY))
    assert len([effect for effect in run.attributions() if effect.kind == "ordered"]) == 1


def test_clicks_of_scanners(run: Driver) -> None:
    """A click of a mail scanner is published, but no order is attributed to it."""
    run.handle(placed("o1", START))
    send = run.mails()[0].send_id
    run.handle(MailClicked(customer_id="c1", send_id=send, link="shop", agent="scanner", occurred_at=START))
    run.handle(placed("o2", START + HOUR))
    assert [effect.kind for effect in run.attributions()] == ["clicked"]


def test_retries(run: Driver) -> None:
    """A retry is sent again once, unless the email has expired or lacks consent."""

    def retry(attempt: int, purpose: str, not_after: datetime) -> RetryDue:
        return RetryDue(
            customer_id="c1",
            timer_id=f"t{attempt}",
            send_id="s",
            attempt=attempt,
            purpose=purpose,
            not_after=not_after,
            command=b"c",
            due_at=START,
            occurred_at=START,
        )

    run.handle(placed("o1", START))
    run.effects.clear()
    run.handle(retry(2, "order", START + HOUR), retry(2, "order", START + HOUR), retry(3, "order", START - HOUR))
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=START))
    run.handle(retry(4, "review", START + HOUR), retry(5, "order", START + HOUR))
    rules = [(outcome, rule) for _, outcome, rule in run.decisions()]
    assert rules == [("retry", "put_off"), ("skip", "expired"), ("skip", "unsubscribed"), ("retry", "put_off")]


def test_draft_and_paused_flows() -> None:
    """A draft decides and sends nothing. A paused flow is checked every hour, and continues once it is live."""
    text = "flow: f\nversion: 1\nstatus: {}\npurpose: order\ntrigger: {{on: order.placed}}\nsteps:\n  - send: {{message: m}}\n"
    draft = Driver(shop_ruleset_of(text.format("draft")))
    draft.handle(placed("o1", START))
    assert draft.mails() == []
    assert draft.decisions() == [("f", "draft", "draft")]
    paused = Driver(shop_ruleset_of(text.format("paused")))
    paused.handle(placed("o1", START))
    paused.advance(3 * HOUR)
    assert paused.decisions() == [("f", "defer", "paused")] * 4
    paused.ruleset = shop_ruleset_of(text.format("live"))
    paused.advance(10 * HOUR)
    assert paused.messages() == ["m"]


def shop_ruleset_of(text: str) -> Ruleset:
    return Ruleset([flow_from(text, "f", ["m"])])


def test_limits_are_logged() -> None:
    """Orders, lines and instances over a limit are decisions, and the state stays small."""
    run = Driver(shop_ruleset(limits=Limits(instances=0, orders=3, short_pieces=0, lines_per_order=1)))
    for number in range(8):
        run.handle(placed(f"o{number}", START + timedelta(minutes=number)))
    assert len(run.mails()) == 8
    assert all(len(template_data(mail.content)["order"]["lines"]) == 2 for mail in run.mails())
    assert {rule for _, outcome, rule in run.decisions() if outcome == "limit"} == {
        "instances",
        "lines_per_order",
        "orders",
    }
    assert len(run.customers["c1"].orders) == 3
    two = (ShippedLine("s1", 1), ShippedLine("s2", 1))
    run.handle(replace(shipment("o7", "shipped", START), lines=two))
    assert ("", "limit", "lines_per_parcel") in run.decisions()
    assert len(run.customers["c1"].orders[-1].parcels[0].lines) == 1
    decided = len(run.decisions())
    run.handle(placed("o2", START + timedelta(minutes=2)))
    assert len(run.decisions()) == decided
    assert run.customers["c1"].purchases == 8


def test_day_scale() -> None:
    """With days of a second, a wait of two days takes two seconds."""
    run = Driver(shop_ruleset(day_scale=1 / 86_400))
    run.handle(placed("o1", START), shipment("o1", "delivered", START))
    run.advance(timedelta(seconds=1.9))
    assert "ask-first-time" not in run.messages()
    run.advance(timedelta(seconds=0.2))
    assert "ask-first-time" in run.messages()


def test_ninety_days_of_a_shop() -> None:
    """Three hundred orders in ninety days give every email once, and no instance is left."""
    run = Driver(shop_ruleset())
    for number in range(300):
        customer = f"c{number % 120}"
        run.handle(placed(f"o{number}", run.now, customer_id=customer))
        run.handle(shipment(f"o{number}", "shipped", run.now, customer_id=customer))
        run.advance(timedelta(hours=7))
        run.handle(shipment(f"o{number}", "delivered", run.now, customer_id=customer))
    run.advance(10 * DAY)
    counts = Counter(mail.flow for mail in run.mails())
    assert counts == {"order-confirmation": 300, "shipment-confirmation": 300, "thank-you": 300, "review": 300}
    assert len({mail.send_id for mail in run.mails()}) == 1200
    assert all(isinstance(one, Customer) and one.instances == () for one in run.customers.values())


def test_growing_orders() -> None:
    """The state stays under 64 kB while orders get more parcels, and keeps the order of an instance."""
    waits = flow_text("trigger: {on: order.placed, once_per: customer}\nsteps: [{wait: 9d}, {send: {message: a}}]")
    run = Driver(ruleset_of(waits))
    for number in range(16):
        run.handle(OrderPlaced(order(f"order-{number:06d}", run.now), run.now))
    lines = tuple(ShippedLine(f"sku-number-{number}", 1) for number in range(20))
    for number in range(16):
        for parcel in range(20):
            update = shipment(f"order-{number:06d}", "shipped", run.now, f"parcel-{number}-{parcel}", 20)
            run.handle(replace(update, lines=lines))
            assert len(encode_customer(run.customers["c1"])) < 65_536
    kept = {order_state.order_id: len(order_state.parcels) for order_state in run.customers["c1"].orders}
    assert kept["order-000000"] == kept["order-000015"] == 20


@pytest.mark.parametrize("letters", [20, 32])
def test_size_of_a_large_customer(letters: int) -> None:
    """Years of large orders with long names, parcels, emails, codes and launches stay under 64 kB, and the receipt has every line.

    So they do beside attributes, dates, ids, wishes and likes of full length, of which the newest stay, and with periods and views. Fields,
    lists, points with an end, and codes whose end a flow waits for take their room from these.
    """
    launch = f"trigger: {{on: product.launch}}\n{SEND}"
    code = "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: ten}}, {wait: 300d}, {send: {message: a}}]"
    ruleset = shop_ruleset(address_key=bytes(32))
    periods = (
        "trigger: {on: customer.reached, threshold: customer.spend_in(1y) > 999999999}\n"
        "steps: [{send: {message: a, products: 3, from: [browsed, favourites]}}]"
    )
    more = ruleset_of(
        flow_text(launch, name="launch"),
        flow_text(code, name="code"),
        flow_text(periods, name="periods", purpose="marketing"),
    )
    kept = ", ".join(
        f"{{set: {{name: kept_{number}, value: '{'v' * 30}'}}}}, {{add_to_list: l{number}}}" for number in range(9)
    )
    given = "{add: {name: points, value: 9, expires: 9d}}, {reward: {name: gift, expires: 300d}}"
    points = f"trigger: {{on: order.placed}}\nsteps: [{kept}, {given}]"
    early = ruleset_of(
        flow_text(points, name="points", purpose="marketing"),
        flow_text(f"trigger: {{on: reward.expiring, before: 7d}}\n{SEND}", name="ending", purpose="marketing"),
    )
    run = Driver(early)
    for number in range(12):
        run.handle(OrderPlaced(order(f"early-{number}", run.now), run.now))
    assert sum(each.waits_for_expiry for each in run.customers["c1"].instances) == ruleset.limits.rewards
    run.ruleset = ruleset.with_flows([*ruleset.flows, *more.flows, *early.flows])
    name = "Vandrestøvler i læder, brune, størrelse 43, med ekstra snørebånd " * 3
    _state_traits(run)
    for number in range(1_000):
        run.stock(Code("ten", f"{number:0{letters}d}"))
        lines = tuple(
            OrderLine(f"sku-{number}-{n}", name, f"shoes/{number % 20}", 1, 89_900, 400)
            for n in range(40 if number % 3 else 2)
        )
        run.handle(OrderPlaced(order(f"order-{number:06d}", run.now, lines=lines), run.now))
        for parcel in range(3):
            run.handle(shipment(f"order-{number:06d}", "shipped", run.now, f"parcel-{number}-{parcel}", 3))
        run.handle(OrderPaid(order(f"order-{number:06d}", run.now, lines=lines, discount_minor=10_000), run.now))
        run.handle(
            ContactPressed(
                customer_id="c1",
                source="a-newsletter-with-a-long-name-of-its-own",
                kind="sent",
                purpose="marketing",
                until=None,
                occurred_at=run.now,
            )
        )
        run.handle(
            ProductBrowsed(
                customer_id="c1",
                kind="viewed",
                sku=f"sku-of-what-is-to-come-{number}",
                occurred_at=run.now,
                launches_at=run.now + timedelta(days=300),
            )
        )
        if number == 998:
            receipt = next(mail for mail in run.mails() if mail.order_id == f"order-{number:06d}")
            assert [line["title"] for line in template_data(receipt.content)["order"]["lines"]] == [name] * len(lines)
        run.advance(timedelta(hours=20))
        run.effects.clear()
        assert len(encode_customer(run.customers["c1"])) < 65_536
    state = run.customers["c1"]
    assert state.purchases == 1_012
    assert {name for name, _ in state.fields if "@" not in name} == {f"kept_{number}" for number in range(9)}
    assert len([name for name, _ in state.fields if "@" in name]) > 9
    assert state.purchase_log is not None
    assert (len(state.purchase_log.recent), len(state.viewed)) == (40, 10)
    assert state.profile.traits.attribute(f"{'n' * 37}199") == "\N{SOCKS}" * 100


def _state_traits(run: Driver) -> None:
    """State as many attributes, dates and ids as are kept, and wish for and like as many products, with letters of four bytes."""
    limits, socks = run.ruleset.limits, "\N{SOCKS}"

    def named(count: int, value: Any) -> tuple[tuple[str, Any], ...]:
        return tuple((f"{'n' * 37}{100 + number}", value) for number in range(count))

    run.handle(
        ProfileUpdated(
            customer_id="c1",
            occurred_at=run.now,
            attributes=named(limits.attributes, socks * 100),
            dates=named(limits.dates, run.now.date()),
            external_ids=named(limits.external_ids, socks * 200),
        ),
        *[
            CustomerActed(customer_id="c1", kind=kind, sku=f"{socks * 197}{number}", occurred_at=run.now)
            for number in range(limits.collected)
            for kind in ("wished", "liked")
        ],
        ProfileUpdated(customer_id="c1", occurred_at=run.now + HOUR, attributes=((f"{'n' * 37}199", socks * 100),)),
    )
