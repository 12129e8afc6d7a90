"""Consent and limits per address: what one customer id refused holds for every id of the same address, and a shared id gets only receipts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.effects import LogDecision, NoteAddress, SendMail, WithdrawMail
from streams.core.model.events import Event, MailBounced, MailComplained, MailDelivered, OrderPlaced, Unsubscribed
from streams.core.model.person_events import ProfileUpdated
from streams.core.values.addresses import address_hash, address_key
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEY = address_key(b"a secret of the tests, long enough")
NEWS = flow_text("trigger: {on: order.placed}\nsteps:\n  - send: {message: a}\n", name="news", purpose="marketing")


def shop(**settings: Any) -> Driver:
    """A driver with the shop's flows, which knows addresses."""
    return Driver(shop_ruleset(address_key=KEY, **settings))


def buy(run: Driver, customer: str, email: str, order_id: str | None = None) -> str:
    """Place an order now, and return its id."""
    order_id = order_id or f"o-{customer}"
    run.handle(OrderPlaced(order(order_id, run.now, customer_id=customer, email=email), run.now))
    return order_id


def deliver(run: Driver, customer: str, order_id: str) -> None:
    """Deliver the only parcel of an order now."""
    run.handle(shipment(order_id, "delivered", run.now, parcel=f"p-{order_id}", customer_id=customer))


def skipped(run: Driver, customer: str) -> set[str]:
    """Return the rules by which the customer got no email."""
    return {
        effect.rule
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "skip" and effect.customer_id == customer
    }


def refusals(run: Driver) -> dict[str, Event]:
    """Return each event by which anna refuses emails now."""
    send_id = next(mail.send_id for mail in run.mails("anna"))
    return {
        "unsubscribed": Unsubscribed(customer_id="anna", send_id=send_id, scope="marketing", occurred_at=run.now),
        "unsubscribed from reviews": Unsubscribed(
            customer_id="anna", send_id=None, scope="review", occurred_at=run.now
        ),
        "complained": MailComplained(customer_id="anna", send_id=send_id, occurred_at=run.now),
        "bounced": MailBounced(customer_id="anna", send_id=send_id, hard=True, reason="550", occurred_at=run.now),
        "answered no": ProfileUpdated(customer_id="anna", review_consent=False, occurred_at=run.now),
    }


@pytest.mark.parametrize("kind", ["unsubscribed", "unsubscribed from reviews", "complained", "bounced", "answered no"])
def test_a_refusal_holds_for_every_customer_id_of_the_address(kind: str) -> None:
    """Anna refuses, and orders as a guest with her address in capitals: the guest gets the receipt, and no review request."""
    run = shop()
    buy(run, "anna", "anna@example.com")
    run.handle(refusals(run)[kind])
    order_id = buy(run, "guest-17", " ANNA@Example.COM")
    other_id = buy(run, "guest-18", "bo@example.com")
    deliver(run, "guest-17", order_id)
    deliver(run, "guest-18", other_id)
    run.advance(30 * DAY)
    assert "confirmation" in run.messages("guest-17")
    assert not {"ask", "ask-first-time"} & set(run.messages("guest-17"))
    assert "address_suppressed" in skipped(run, "guest-17")
    assert "ask-first-time" in run.messages("guest-18")


def test_an_opt_out_of_service_emails_refuses_nothing_else() -> None:
    """Anna wants no service emails: a guest with her address is still asked for a review, and so is she, also at a new address."""
    run = shop()
    order_id = buy(run, "anna", "anna@example.com")
    run.handle(Unsubscribed(customer_id="anna", send_id=None, scope="service", occurred_at=run.now))
    run.handle(ProfileUpdated(customer_id="anna", email="new@example.com", occurred_at=run.now + HOUR))
    deliver(run, "anna", order_id)
    deliver(run, "guest-17", buy(run, "guest-17", "anna@example.com"))
    run.advance(30 * DAY)
    assert not [effect for effect in run.effects if isinstance(effect, NoteAddress) and effect.kind == "refused"]
    assert "ask-first-time" in run.messages("guest-17")
    assert "ask-first-time" in run.messages("anna")


def test_without_a_key_a_refusal_holds_for_its_customer_id_only() -> None:
    """A shop that has not set the secret gets what earlier versions did, and no event of an address is written."""
    run = Driver(shop_ruleset())
    buy(run, "anna", "anna@example.com")
    run.handle(refusals(run)["unsubscribed"])
    deliver(run, "guest-17", buy(run, "guest-17", "ANNA@EXAMPLE.COM"))
    run.advance(30 * DAY)
    assert "ask-first-time" in run.messages("guest-17")
    assert not [effect for effect in run.effects if isinstance(effect, NoteAddress)]


def test_a_refusal_belongs_to_the_address_that_got_the_email() -> None:
    """Anna changes her address, and refuses through an older email: both addresses refuse. A bounce is of the older one only."""
    run = shop()
    buy(run, "anna", "old@example.com")
    run.handle(ProfileUpdated(customer_id="anna", email="new@example.com", occurred_at=run.now + HOUR))
    events = refusals(run)
    run.handle(events["bounced"], events["unsubscribed"])
    notes = [effect for effect in run.effects if isinstance(effect, NoteAddress)]
    old, new = (address_hash(KEY, address).hex() for address in ("old@example.com", "new@example.com"))
    assert {(note.kind, note.address) for note in notes} == {
        ("bounced_hard", old), ("refused", old), ("refused", new),
    }  # fmt: skip
    run.handle(events["bounced"], events["unsubscribed"])
    assert len([effect for effect in run.effects if isinstance(effect, NoteAddress)]) == len(notes)


@pytest.mark.parametrize("kind", ["unsubscribed", "complained", "answered no"])
@pytest.mark.parametrize("is_key_late", [False, True])
def test_a_later_address_of_a_person_refuses_too(kind: str, is_key_late: bool) -> None:
    """Anna refused, and then gives a new address; or she refused before the shop had a key. Her next event makes it known, once."""
    run = Driver(shop_ruleset()) if is_key_late else shop()
    buy(run, "anna", "anna@example.com")
    run.handle(refusals(run)[kind])
    run.ruleset, run.addresses = shop().ruleset, shop().addresses
    run.effects.clear()
    run.advance(DAY)
    for name in ("Anna", "Anna H."):
        run.handle(ProfileUpdated(customer_id="anna", email="new@example.com", name=name, occurred_at=run.now))
    noted = [effect.address for effect in run.effects if isinstance(effect, NoteAddress)]
    both = {address_hash(KEY, address).hex() for address in ("anna@example.com", "new@example.com")}
    assert sorted(noted) == sorted(both if is_key_late else both - {address_hash(KEY, "anna@example.com").hex()})
    deliver(run, "guest-17", buy(run, "guest-17", "NEW@example.com"))
    run.advance(30 * DAY)
    assert "address_suppressed" in skipped(run, "guest-17")


def test_a_newer_yes_under_another_id_counts() -> None:
    """A person unsubscribed as anna, and says yes to reviews as bo, with a notice: bo's review request is sent after their next order."""
    run = shop()
    buy(run, "anna", "anna@example.com")
    run.handle(refusals(run)["unsubscribed"])
    run.advance(DAY)
    yes = {"review_consent": True, "marketing_consent": True}
    run.handle(ProfileUpdated(customer_id="bo", email="Anna@example.com", occurred_at=run.now, **yes))
    deliver(run, "bo", buy(run, "bo", "anna@example.com"))
    run.advance(10 * DAY)
    assert "ask-first-time" not in run.messages("bo")  # without a notice there is no evidence
    run.handle(ProfileUpdated(customer_id="bo", consent_notice="n-2", occurred_at=run.now, **yes))
    deliver(run, "bo", buy(run, "bo", "anna@example.com", "o-2"))
    run.advance(10 * DAY)
    assert run.messages("bo")[-1] == "ask"


@pytest.mark.parametrize(("days", "is_allowed"), [(-1, False), (1, True)])
def test_an_older_refusal_of_a_person_who_gives_a_new_address(days: int, is_allowed: bool) -> None:
    """The refusal counts at the new address since it was made: a yes under another id counts more exactly if it is newer."""
    run = shop()
    buy(run, "anna", "anna@example.com")
    yes = {"review_consent": True, "marketing_consent": True, "consent_notice": "n-2"}
    run.advance(2 * DAY)
    run.handle(refusals(run)["unsubscribed"])
    at = run.now + days * DAY
    run.advance(2 * DAY)
    run.handle(ProfileUpdated(customer_id="bo", email="new@example.com", occurred_at=at, **yes))
    run.handle(ProfileUpdated(customer_id="anna", email="new@example.com", occurred_at=run.now))
    deliver(run, "bo", buy(run, "bo", "new@example.com"))
    run.advance(10 * DAY)
    assert bool({"ask", "ask-first-time"} & set(run.messages("bo"))) is is_allowed


def test_200_guests_with_one_address() -> None:
    """The address gets 20 receipts in the first day, and two other emails a day: all the guests together count as one customer."""
    run = Driver(ruleset_of(NEWS, rules="caps:\n  - {most: 2, per: 1d}\n", address_key=KEY))
    receipts = shop()
    for number in range(200):
        for each in (run, receipts):
            buy(each, f"guest-{number}", "anna@example.com" if number % 2 else "Anna@Example.com")
    agreed = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "send"]
    assert len(agreed) == 200
    assert len(run.mails()) == 2
    assert [effect.rule for effect in run.effects if isinstance(effect, LogDecision) and effect.outcome == "skip"] == [
        "address_cap"
    ] * 198
    assert len(receipts.mails()) == 20
    assert receipts.decisions().count(("order-confirmation", "skip", "address_limit")) == 180
    receipts.advance(DAY)
    before = len(receipts.mails())
    buy(receipts, "guest-500", "anna@example.com")
    assert len(receipts.mails()) > before


def test_the_limits_of_an_address_hold_a_single_customer_no_more_than_their_own() -> None:
    """A customer who is alone at an address gets every email that their own caps allow."""
    events: list[list[str]] = []
    for key in (b"", KEY):
        run = Driver(ruleset_of(NEWS, rules="caps:\n  - {most: 2, per: 1d}\n  - {most: 3, per: 7d}\n", address_key=key))
        for number in range(40):
            buy(run, "anna", "anna@example.com", f"o{number}")
            run.advance(7 * HOUR)
        run.advance(30 * DAY)
        events.append([mail.send_id for mail in run.mails()])
    assert events[0] == events[1] != []


def test_an_id_of_many_people_is_quarantined() -> None:
    """With a sixth address in a week the id is shared: each order gets its own receipts, nobody a review request, and no profile is learned.

    It is one decision, which alarms; emails that were commanded and may not have left are withdrawn.
    """
    run = Driver(shop_ruleset(), is_reporting=False)
    people = [f"guest{number}@example.com" for number in range(12)]
    for number, email in enumerate(people):
        deliver(run, "0", buy(run, "0", email, f"o{number}"))
        run.advance(HOUR)
    run.advance(3 * DAY)
    assert run.decisions().count(("", "limit", "shared_id")) == 1
    assert sorted(mail.to_address for mail in run.mails() if mail.message == "confirmation") == sorted(people)
    assert not {"ask", "ask-first-time"} & set(run.messages())
    assert "shared_id" in skipped(run, "0")
    customer = run.customers["0"]
    assert (customer.profile.email, customer.profile.name) == ("", "")
    assert len(customer.order_addresses) == 6 * 12
    assert all(
        mail.to_address == f"guest{mail.order_id.removeprefix('o')}@example.com"
        for mail in run.mails()
        if mail.order_id
    )


def test_emails_of_a_shared_id_are_withdrawn() -> None:
    """An email that waits at the mailer when the id turns out to be shared may be for somebody else."""
    run = Driver(ruleset_of(NEWS), is_reporting=False)
    for number in range(6):
        buy(run, "0", f"guest{number}@example.com", f"o{number}")
    commanded = {effect.send_id for effect in run.effects if isinstance(effect, SendMail)}
    withdrawn = {effect.send_id for effect in run.effects if isinstance(effect, WithdrawMail)}
    assert commanded == withdrawn != set()


@pytest.mark.parametrize(
    ("addresses", "pause"),
    [(5, HOUR), (40, 2 * DAY)],
    ids=["five addresses", "a new address every second day"],
)
def test_a_person_with_several_addresses_is_no_shared_id(addresses: int, pause: timedelta) -> None:
    """Five addresses in a week are not too many, and neither are many over months."""
    run = Driver(shop_ruleset())
    for number in range(addresses):
        buy(run, "anna", f"anna{number}@example.com", f"o{number}")
        run.advance(pause)
    assert ("", "limit", "shared_id") not in run.decisions()
    assert run.customers["anna"].profile.email == f"anna{addresses - 1}@example.com"


def test_a_quarantine_ends() -> None:
    """A month after its last order an id counts as one person's again, and learns a profile. Spellings of one address count once."""
    run = Driver(shop_ruleset())
    for spelling in (
        "a@x.example",
        "A@X.example",
        "a@x.EXAMPLE",
        " a@x.example",
        "A@x.example",
        "a@X.example",
        "a@x.example ",
    ):
        buy(run, "0", spelling, spelling)
    assert run.customers["0"].shared_until is None
    for number in range(6):
        buy(run, "0", f"g{number}@example.com", f"o{number}")
    assert run.customers["0"].profile.email == ""
    run.advance(31 * DAY)
    order_id = buy(run, "0", "anna@example.com", "o-late")
    assert run.customers["0"].profile.email == "anna@example.com"
    run.handle(MailDelivered(customer_id="0", send_id=run.mails()[-1].send_id, occurred_at=run.now))
    deliver(run, "0", order_id)
    run.advance(10 * DAY)
    assert run.messages()[-1] in ("ask", "ask-first-time")
    assert run.now > START
