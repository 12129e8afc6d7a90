"""Orders as shops really send them, from the record to the rendered email: the receipt adds up, or says that it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NAMES
from streams.core.model.customer import Profile
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import LogDecision, SendMail
from streams.core.model.events import Event
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending.content import template_data
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.commands import SENDER, TEMPLATES
from tests.harness.driver import START, Driver
from tests.harness.events import shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
DAY = timedelta(days=1)
#: Two lines of 649 kroner together.
LINES = [
    records.line(sku="s1", title="Uldsokker", quantity=2, unit_price_minor=12_500),
    records.line(sku="s2", title="Støvler", unit_price_minor=39_900),
]


def event(topic: str, record: dict[str, Any]) -> Event:
    """Return the event of a record, which passes through its bytes."""
    return DECODER.event(topic, b"c1", CODEC.encode(topics.SCHEMA_OF[topic], record), 0)


def order(run: Driver, kind: str = "placed", **changes: Any) -> Event:
    """Return an event of the order o1 at the present time."""
    record = {"placed_at": START, "occurred_at": run.now, "lines": LINES, "total_minor": 64_900, "kind": kind}
    return event(topics.ORDERS, records.order(**(record | changes)))


def rendered(run: Driver, mail: SendMail) -> RenderedEmail:
    """Return the email of a command, which passes through its bytes."""
    command = DECODER.command(ENCODER.effects.encode(mail, run.now).value)
    return Renderer(TEMPLATES, EmailBrand(name="Butik Ø")).render(command, SENDER.links(command))


def notes(run: Driver) -> list[str]:
    """Return the rules of the notes so far."""
    return [each.rule for each in run.effects if isinstance(each, LogDecision) and each.outcome == "note"]


def rows(email: RenderedEmail) -> list[str]:
    """Return the lines of the text part that contain an amount."""
    return [line.replace("\xa0", " ").strip() for line in email.text.splitlines() if "kr." in line]


def test_a_receipt_shows_shipping_discount_and_tax_and_adds_up() -> None:
    """Both parts show each amount between the lines and the total, and the subject has the number that the customer knows."""
    run = Driver(shop_ruleset())
    run.handle(
        order(
            run,
            order_id="gid://shop/Order/5678901234567",
            order_number="#1001",
            total_minor=59_900,
            shipping_minor=5_000,
            shipping_method="PostNord",
            discounts=[{"code": "HEJ100", "title": "", "amount_minor": 10_000}],
            taxes=[{"title": "", "tax_rate": 25_000, "amount_minor": 11_980}],
        )
    )
    [mail] = run.mails()
    email = rendered(run, mail)
    assert email.subject == "Tak for din ordre #1001"
    assert rows(email) == [
        "2 × Uldsokker: 250,00 kr.",
        "1 × Støvler: 399,00 kr.",
        "Varer i alt: 649,00 kr.",
        "Rabat (HEJ100): −100,00 kr.",
        "Levering (PostNord): 50,00 kr.",
        "I alt: 599,00 kr.",
        "Heraf moms 25 %: 119,80 kr.",
    ]
    for text in ("Uldsokker", "2 × 125,00", "(HEJ100)", "−100,00", "(PostNord)", "50,00", "649,00", "599,00", "119,80"):
        assert text in email.html.replace("\xa0", " ")
    assert "gid://" not in email.subject + email.text
    assert notes(run) == []


def test_tax_is_added_where_prices_exclude_it() -> None:
    """Prices without tax: the tax is a row that leads to the total."""
    run = Driver(shop_ruleset())
    taxes = [{"title": "Moms", "tax_rate": 25_000, "amount_minor": 17_475}]
    run.handle(order(run, prices_include_tax=False, shipping_minor=5_000, taxes=taxes, total_minor=87_375))
    assert rows(rendered(run, run.mails()[0]))[2:] == [
        "Varer i alt: 649,00 kr.",
        "Levering: 50,00 kr.",
        "Moms 25 % (Moms): 174,75 kr.",
        "I alt: 873,75 kr.",
    ]
    assert notes(run) == []


def test_an_order_of_the_former_schema_that_charges_shipping_is_not_marked() -> None:
    """Its total has 49 kroner for shipping, and its record has no field that could say so."""
    run = Driver(shop_ruleset())
    run.handle(order(run, total_minor=69_800))
    assert run.messages() == ["confirmation"]
    assert notes(run) == []
    assert not run.customers["c1"].orders[0].does_not_add_up


def test_an_order_that_does_not_add_up_is_marked_and_still_confirmed() -> None:
    """The shop's own amounts are shown, and a decision, logged once, says that they do not add up."""
    run = Driver(shop_ruleset())
    wrong = order(run, total_minor=59_900, shipping_minor=4_900)
    run.handle(wrong, wrong)
    assert run.messages() == ["confirmation"]
    assert "I alt: 599,00 kr." in rows(rendered(run, run.mails()[0]))
    assert notes(run) == ["does_not_add_up"]
    assert run.customers["c1"].orders[0].does_not_add_up
    run.advance(DAY)
    run.handle(order(run, "changed", total_minor=69_800, shipping_minor=4_900))
    assert not run.customers["c1"].orders[0].does_not_add_up


def test_a_partial_refund_keeps_the_flows_and_reduces_the_spend() -> None:
    """100 of 400 refunded: the review is still asked for, the spend is 300, conditions see the amount. The rest refunded: all ends."""
    lines = [records.line(quantity=1, unit_price_minor=40_000)]
    run = Driver(shop_ruleset())
    run.handle(order(run, lines=lines, total_minor=40_000))
    waiting = {instance.flow for instance in run.customers["c1"].instances}
    run.advance(timedelta(hours=1))
    part = order(run, "refunded", lines=lines, total_minor=40_000, refunded_minor=10_000)
    run.handle(part, part)
    customer = run.customers["c1"]
    assert customer.spend == (("DKK", 30_000),)
    assert customer.spend_converted_minor == 30_000
    assert {instance.flow for instance in customer.instances} == waiting != set()
    context = EvalContext(UnitOfWork(run.ruleset, customer, run.now), customer.orders[0])
    assert NAMES["order.refunded"][1](context) == 100
    assert not NAMES["order.is_refunded"][1](context)
    run.advance(timedelta(hours=1))
    run.handle(order(run, "refunded", lines=lines, total_minor=40_000, refunded_minor=40_000))
    customer = run.customers["c1"]
    assert (customer.spend, customer.purchases) == ((), 1)
    assert customer.orders[0].refunded_at == run.now


def test_a_flow_on_refunds_starts_at_the_first_refund_of_a_part() -> None:
    """The flow starts once, also if the refund arrives before the order, and its data has the amount."""
    flow = flow_text("trigger: {on: order.refunded}\nsteps:\n  - send: {message: a}\n")
    for is_early in (False, True):
        run = Driver(ruleset_of(flow))
        story = [order(run), order(run, "refunded", refunded_minor=10_000)]
        run.handle(*(reversed(story) if is_early else story))
        [mail] = run.mails()
        assert template_data(mail.content)["order"]["refunded"] == {"minor": 10_000, "currency": "DKK"}


def test_lines_that_are_no_products_are_kept_as_what_they_are() -> None:
    """A discount line, a removed line, a line without a sku, a fee and half a kilo: the order is taken, and the receipt adds up."""
    run = Driver(shop_ruleset())
    lines = [
        *LINES,
        records.line(sku="", title="Kundeklub", category="", unit_price_minor=-4_900),
        records.line(sku="s3", title="Fjernet", quantity=0, unit_price_minor=9_900),
        records.line(sku="", title="Gavepose", unit_price_minor=500),
        records.line(sku="", title="", kind="fee", unit_price_minor=2_900),
        records.line(sku="s4", title="Ost", quantity_thousandths=500, unit="kg", unit_price_minor=20_000),
        records.line(sku="s5", title="Prøve", kind="gift", unit_price_minor=0),
    ]
    run.handle(order(run, lines=lines, total_minor=73_400))
    email = rendered(run, run.mails()[0])
    assert rows(email) == [
        "2 × Uldsokker: 250,00 kr.",
        "1 × Støvler: 399,00 kr.",
        "Kundeklub: −49,00 kr.",
        "1 × Gavepose: 5,00 kr.",
        "Gebyr: 29,00 kr.",
        "0,5 kg × Ost: 100,00 kr.",
        "1 × Prøve: 0,00 kr.",
        "I alt: 734,00 kr.",
    ]
    assert notes(run) == []
    customer = run.customers["c1"]
    context = EvalContext(UnitOfWork(run.ruleset, customer, run.now), customer.orders[0])
    assert NAMES["order.skus"][1](context) == ("s1", "s2", "s4", "s5")
    assert "Fjernet" not in email.html


@pytest.mark.parametrize("address", ["anna@example.com ", "\u00a0anna@example.com\n"])
def test_blanks_around_an_address_are_removed(address: str) -> None:
    """The email goes to the address that was meant."""
    run = Driver(shop_ruleset())
    run.handle(order(run, email=address))
    assert [mail.to_address for mail in run.mails()] == ["anna@example.com"]
    assert notes(run) == []


@pytest.mark.parametrize(
    "address", ["anna@example.com, bo@example.com", "none", "Anna <anna@example.com>", "a@b\nBcc: c@d"]
)
def test_an_order_with_an_unusable_address_is_taken_without_one(address: str) -> None:
    """It counts, a decision, logged once, says why no email follows, and an address that the customer has is used."""
    run = Driver(shop_ruleset())
    bad = order(run, email=address)
    run.handle(bad, bad)
    assert (run.mails(), notes(run)) == ([], ["bad_address"])
    assert ("order-confirmation", "skip", "no_address") in run.decisions()
    assert run.customers["c1"].purchases == 1
    known = Driver(shop_ruleset())
    known.handle(
        event(topics.CUSTOMERS, records.profile(email="anna@example.org", occurred_at=START)),
        order(known, email=address),
    )
    assert [mail.to_address for mail in known.mails()] == ["anna@example.org"]


def test_a_domain_with_other_letters_is_sent_to_in_ascii() -> None:
    """The command has the form of the wire."""
    run = Driver(shop_ruleset())
    run.handle(order(run, email="info@exämple.de"))
    assert [mail.to_address for mail in run.mails()] == ["info@xn--exmple-cua.de"]


def parcel(run: Driver, **changes: Any) -> Event:
    """Return an event of the parcel o1-p1 at the present time."""
    return event(
        topics.SHIPMENTS,
        records.shipment(**({"occurred_at": run.now, "window_from": None, "window_to": None} | changes)),
    )


def test_a_parcel_without_a_tracking_number_has_no_empty_label() -> None:
    """The label is that of the carrier without a number; without both there is no row."""
    for changes, shown in (
        ({"tracking_number": ""}, "Sendes med: PostNord"),
        ({}, "Pakkenummer: PostNord, 001"),
        ({"carrier": ""}, "Pakkenummer: 001"),
        ({"carrier": "", "tracking_number": ""}, ""),
    ):
        run = Driver(shop_ruleset())
        run.handle(order(run, order_number="#7"), parcel(run, **changes, estimated_day="2026-03-05"))
        email = rendered(run, run.mails()[-1])
        assert "Pakkenummer: \n" not in email.text
        assert ("PostNord" in email.text) == ("PostNord" in shown)
        assert shown in email.text.splitlines() or not shown
        assert "Ordre #7" in email.text
        assert "torsdag den 5. marts 2026" in email.text


@pytest.mark.parametrize("is_early", [True, False])
def test_a_flow_starts_when_the_tracking_becomes_known(is_early: bool) -> None:
    """A parcel first without and then with a number starts it once, also if the order arrives last."""
    run = Driver(
        ruleset_of(flow_text("trigger: {on: shipment.tracked, once_per: parcel}\nsteps:\n  - send: {message: a}\n"))
    )
    unknown = {"tracking_number": "", "tracking_url": ""}
    story = [
        order(run),
        parcel(run, **unknown),
        parcel(run, status="in_transit"),
        parcel(run, status="out_for_delivery"),
    ]
    run.handle(*([*story[1:], story[0]] if is_early else story))
    assert [template_data(mail.content)["shipment"]["tracking_number"] for mail in run.mails()] == ["001"]


def test_new_statuses_of_a_parcel_start_flows_with_their_data() -> None:
    """Ready for pickup brings the place, an exception its reason; a cancelled parcel is not waited for."""
    flows = [
        flow_text(f"trigger: {{on: shipment.{status}, once_per: parcel}}\nsteps:\n  - send: {{message: a}}\n", name)
        for status, name in (("ready_for_pickup", "pickup"), ("exception", "exception"), ("returned_to_sender", "back"))
    ]
    run = Driver(ruleset_of(*flows))
    place = {
        "name": "Kiosken",
        "line1": "Torvet 1",
        "postal_code": "8000",
        "city": "Aarhus",
        "code": "4711",
        "last_day": "2026-03-09",
    }
    run.handle(
        order(run), parcel(run, status="in_transit"), parcel(run, status="exception", exception_reason="customs")
    )
    assert run.customers["c1"].orders[0].is_late(run.now, timedelta(days=14))
    run.advance(DAY)
    run.handle(parcel(run, status="ready_for_pickup", pickup=place))
    assert not run.customers["c1"].orders[0].is_late(run.now, timedelta(days=14))
    run.advance(DAY)
    run.handle(parcel(run, status="returned_to_sender"))
    held, waits, _ = (template_data(mail.content)["shipment"] for mail in run.mails())
    assert [mail.flow for mail in run.mails()] == ["exception", "pickup", "back"]
    assert (held["exception_reason"], held["pickup"]) == ("customs", None)
    assert waits["pickup"]["name"] == "Kiosken"
    assert (waits["pickup"]["address"]["city"], waits["pickup"]["code"], waits["pickup"]["last_day"]) == (
        "Aarhus",
        "4711",
        "2026-03-09",
    )
    assert waits["lines"] == [{"sku": "s1", "quantity": 1, "title": "Uldsokker"}]


def test_an_order_is_delivered_without_its_cancelled_parcel() -> None:
    """Of two parcels one is cancelled: the review follows the delivery of the other."""
    run = Driver(shop_ruleset())
    run.handle(order(run), parcel(run, parcel_id="p1", parcels_in_order=2, status="cancelled"))
    run.handle(parcel(run, parcel_id="p2", parcels_in_order=2, status="delivered"))
    assert run.customers["c1"].orders[0].all_parcels("delivered")
    run.advance(10 * DAY)
    assert "ask-first-time" in run.messages()


def test_a_test_order_counts_nowhere_and_mails_only_the_test_recipients() -> None:
    """The customer gets nothing and is as before; a listed address gets the emails. Nothing is remembered of either."""
    run = Driver(shop_ruleset(test_recipients=("ann@shop.example",)))
    run.handle(order(run, is_test=True), parcel(run))
    customer = run.customers["c1"]
    assert run.mails() == []
    assert {rule for _, outcome, rule in run.decisions() if outcome == "skip"} == {"test_order"}
    assert (customer.purchases, customer.spend, customer.last_order_at, customer.profile) == (0, (), None, Profile())
    assert run.attributions() == []
    staff = Driver(shop_ruleset(test_recipients=("ann@shop.example",)))
    staff.handle(order(staff, is_test=True, email="Ann@Shop.example"), parcel(staff))
    assert [mail.to_address for mail in staff.mails()] == ["Ann@Shop.example"] * 2
    assert template_data(staff.mails()[0].content)["order"]["is_test"]
    assert staff.customers["c1"].sends == ()


def test_a_test_order_does_not_touch_the_flows_of_real_ones() -> None:
    """Flows that end with the next order go on, sales are not counted, and the next real order is the first."""
    flow = flow_text(
        "trigger: {on: order.placed}\nexit_on: [order.placed]\nsteps:\n  - wait: {days: 2}\n  - send: {message: a}\n"
    )
    run = Driver(ruleset_of(flow))
    run.handle(order(run))
    run.advance(timedelta(hours=1))
    run.handle(order(run, order_id="o2", is_test=True, placed_at=run.now))
    assert ("f", "exit", "order.placed") not in run.decisions()
    assert run.customers["c1"].purchases == 1
    run.advance(3 * DAY)
    assert run.messages() == ["a"]


def test_an_imported_order_counts_and_starts_nothing() -> None:
    """The history of a shop makes a customer a returning one, and mails nobody."""
    run = Driver(shop_ruleset())
    run.handle(order(run, is_imported=True))
    run.advance(10 * DAY)
    assert run.messages() == []
    assert run.customers["c1"].purchases == 1


def test_a_typical_customer_stays_small() -> None:
    """Three orders with all details take less than 4 kB, and the later emails still know number, delivery and pages."""
    run = Driver(shop_ruleset())
    address = {
        "name": "Anna Jensen",
        "line1": "Nørregade 1",
        "line2": "2. tv.",
        "postal_code": "1165",
        "city": "København K",
        "country": "DK",
    }
    for number in range(3):
        run.handle(
            order(
                run,
                order_id=f"{5678901234 + number}",
                order_number=f"#{1001 + number}",
                placed_at=run.now,
                shipping_minor=0,
                shipping_method="PostNord, hjemmelevering",
                billing_address=address,
                shipping_address=address,
                taxes=[{"title": "", "tax_rate": 25_000, "amount_minor": 12_980}],
                payment_method="Visa 4242",
                paid_minor=64_900,
                note="Ring på døren. " * 20,
                status_url="https://shop.example/account/orders/5678901234/authenticate?key=0123456789abcdef",
                return_url="https://shop.example/returns",
            )
        )
        run.advance(20 * DAY)
    customer = run.customers["c1"]
    assert len(encode_customer(customer)) < 4_000
    details = customer.orders[-1].facts.details
    assert (details.order_number, details.shipping_address.city, details.return_url) == (
        "#1003",
        "København K",
        "https://shop.example/returns",
    )
    assert (details.billing_address, details.note) == (None, "")
