"""Erasure of a customer: what goes, what stays, and what later records of the same customer id do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.agents import flows, scheduler
from streams.core.engine import advance
from streams.core.model.consent import Consent
from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import CancelTimers, EndMail, LogDecision, ScheduleTimer, WithdrawMail
from streams.core.model.events import (
    CodeGranted,
    Event,
    MailBounced,
    MailClicked,
    MailComplained,
    MailDelivered,
    MailOpened,
    MailReported,
    OrderPlaced,
    RetryDue,
    SurveyAnswered,
    TimerFired,
    Unsubscribed,
)
from streams.core.model.person_events import CustomerErased, ProfileUpdated
from streams.wire import topics
from tests.harness import records
from tests.harness.agents import CODEC, Agent
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.stage_records import CUSTOMER

RULESET = shop_ruleset()
HOUR = timedelta(hours=1)
#: The key of a customer whose partition the agents of these tests own.
KEY = CUSTOMER.encode()


def erased(run: Driver) -> CustomerErased:
    """Return the erasure of the customer now."""
    return CustomerErased(customer_id="c1", occurred_at=run.now)


@pytest.fixture
def run() -> Driver:
    """A customer with an order, whose confirmation the mailer has not reported, and whose flows wait."""
    run = Driver(RULESET, is_reporting=False)
    run.handle(OrderPlaced(order("o1", START), START))
    assert run.customers["c1"].instances
    return run


def test_nothing_is_left_of_a_customer(run: Driver) -> None:
    """The state equals that of a customer who is not known, all timers are cancelled, and no email follows within a year."""
    sent = len(run.mails())
    run.handle(erased(run))
    assert run.customers["c1"] == new_customer("c1")
    assert [type(effect) for effect in run.effects if isinstance(effect, CancelTimers)] == [CancelTimers]
    run.advance(timedelta(days=365))
    assert len(run.mails()) == sent
    assert run.customers["c1"] == new_customer("c1")


def test_emails_that_may_not_have_left_are_withdrawn(run: Driver) -> None:
    """A confirmation without a report is withdrawn, although it is transactional. One that was sent is not."""
    (mail,) = run.mails()
    assert mail.purpose == "order"
    other = Driver(RULESET)
    other.handle(OrderPlaced(order("o1", START), START))
    for one in (run, other):
        one.handle(erased(one))
    withdrawn = [effect for effect in run.effects if isinstance(effect, WithdrawMail)]
    assert [(effect.send_id, effect.rule) for effect in withdrawn] == [(mail.send_id, "erased")]
    assert not [effect for effect in other.effects if isinstance(effect, WithdrawMail)]


def test_a_deferred_email_ends_with_its_customer(run: Driver) -> None:
    """Its retry is cancelled, so its last outcome is reported at once. An email without a report is left to the mailer."""
    (mail,) = run.mails()
    run.effects.clear()
    other = Driver(RULESET, is_reporting=False)
    other.handle(OrderPlaced(order("o1", START), START))
    run.handle(MailReported(customer_id="c1", send_id=mail.send_id, outcome="deferred", occurred_at=run.now))
    for one in (run, other):
        one.handle(erased(one))
    (end,) = [effect for effect in run.effects if isinstance(effect, EndMail)]
    assert (end.send_id, end.message, end.outcome, end.reason) == (mail.send_id, mail.message, "suppressed", "erased")
    assert (end.commanded_at, end.occurred_at) == (START, run.now)
    assert not [effect for effect in other.effects if isinstance(effect, EndMail)]


def test_the_decision_has_no_personal_data(run: Driver) -> None:
    """One decision says that the customer was erased. It contains neither address nor name, order or flow."""
    run.effects.clear()
    run.handle(erased(run))
    (decision,) = [effect for effect in run.effects if isinstance(effect, LogDecision)]
    assert (decision.outcome, decision.rule, decision.customer_id) == ("exit", "erased", "c1")
    assert (decision.flow, decision.instance_id, decision.order_id, decision.send_id) == ("", "", None, None)


def test_a_repeated_erasure_does_nothing(run: Driver) -> None:
    """Neither an erased customer nor one who was never known has anything to erase."""
    run.handle(erased(run))
    run.effects.clear()
    run.handle(erased(run), CustomerErased(customer_id="c2", occurred_at=run.now))
    assert run.effects == []
    assert run.customers["c2"] == new_customer("c2")


def follow_ups(send_id: str) -> list[Event]:
    """Return what may arrive about the emails and the instances of a customer after the erasure."""
    at = START + HOUR
    return [
        MailReported(customer_id="c1", send_id=send_id, outcome="sent", occurred_at=at),
        MailDelivered(customer_id="c1", send_id=send_id, occurred_at=at),
        MailOpened(customer_id="c1", send_id=send_id, agent="human", occurred_at=at),
        MailClicked(customer_id="c1", send_id=send_id, link="https://shop.example/", agent="human", occurred_at=at),
        SurveyAnswered(customer_id="c1", send_id=send_id, question="q", answer="good", occurred_at=at),
        TimerFired(customer_id="c1", timer_id="t", instance_id="i", flow="f", step="0", due_at=at, occurred_at=at),
        RetryDue(
            customer_id="c1", timer_id="t", send_id=send_id, attempt=2, purpose="order", not_after=at + HOUR, command=b"", due_at=at,
            occurred_at=at,
        ),
        CodeGranted(
            customer_id="c1", reward_id="r", pool="spring", flow="f", flow_version=1, instance_id="i", step="0", order_id=None, code="X",
            expires_at=None, occurred_at=at,
        ),
    ]  # fmt: skip


def test_later_events_about_emails_leave_no_state(run: Driver) -> None:
    """Reports, engagement, timers and codes of an erased customer change nothing. A retry is reported and logged as ended."""
    (mail,) = run.mails()
    run.handle(erased(run))
    run.effects.clear()
    run.handle(*follow_ups(mail.send_id))
    assert run.customers["c1"] == new_customer("c1")
    assert [(type(effect), getattr(effect, "rule", "")) for effect in run.effects] == [
        (EndMail, ""),
        (LogDecision, "erased"),
    ]


def test_a_late_shipment_sends_nothing(run: Driver) -> None:
    """A parcel of an erased order is stored without order, name and address, and no email follows."""
    run.handle(erased(run))
    run.effects.clear()
    run.handle(shipment("o1", "shipped", START + HOUR), shipment("o1", "delivered", START + 2 * HOUR))
    run.advance(timedelta(days=60))
    assert run.mails() == []
    customer = run.customers["c1"]
    assert [one.facts for one in customer.orders] == [None]
    assert customer.profile == new_customer("c1").profile


def test_a_new_order_starts_from_nothing(run: Driver) -> None:
    """A customer who orders again is a new customer, whose flows run as for any other."""
    run.handle(erased(run))
    run.effects.clear()
    run.handle(OrderPlaced(order("o2", run.now), run.now))
    assert run.messages() == ["confirmation"]
    assert run.customers["c1"].purchases == 1
    assert any(isinstance(effect, ScheduleTimer) for effect in run.effects)


def test_an_unsubscription_survives(run: Driver) -> None:
    """The scopes and times of unsubscriptions stay, and nothing else. A later profile that says yes without evidence does not undo them."""
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=START))
    run.handle(erased(run))
    kept = Customer("c1", consent=Consent(unsubscribed=("marketing",), unsubscribed_at=(("marketing", START),)))
    assert run.customers["c1"] == kept
    run.handle(erased(run))
    assert run.customers["c1"] == kept
    run.handle(
        ProfileUpdated(customer_id="c1", email="a@example.org", marketing_consent=True, occurred_at=START + HOUR),
        OrderPlaced(order("o2", run.now), run.now),
    )
    assert run.customers["c1"].consent.is_unsubscribed()


@pytest.mark.parametrize(("hours", "is_unsubscribed"), [(-1, True), (0, True), (1, False)])
def test_a_yes_with_evidence_counts_after_an_erasure_if_it_is_later(
    run: Driver, hours: int, is_unsubscribed: bool
) -> None:
    """A yes with a notice that is newer than the unsubscription ends it, also after an erasure. An older one does not."""
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=START))
    run.handle(erased(run))
    yes = ProfileUpdated(
        customer_id="c1", marketing_consent=True, consent_notice="n1", occurred_at=START + hours * HOUR
    )
    run.handle(yes)
    assert run.customers["c1"].consent.is_unsubscribed() is is_unsubscribed


def test_an_unsubscription_that_a_yes_has_ended_does_not_come_back(run: Driver) -> None:
    """A customer who unsubscribed, said yes with evidence and was erased has refused nothing. Their unsubscription from reviews holds."""
    for scope in ("marketing", "review"):
        run.handle(Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=START))
    run.handle(
        ProfileUpdated(customer_id="c1", marketing_consent=True, consent_notice="n1", occurred_at=START + HOUR),
        erased(run),
    )
    assert run.customers["c1"].consent == Consent(unsubscribed=("review",), unsubscribed_at=(("review", START),))
    run.handle(erased(run))
    assert run.customers["c1"].consent.unsubscribed == ("review",)


def test_a_complaint_survives_as_an_unsubscription(run: Driver) -> None:
    """A complaint leaves the scope of everything that needs consent. A bounce is about the erased address and leaves nothing."""
    run.handle(Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=START))
    run.handle(MailComplained(customer_id="c1", send_id="x", occurred_at=START))
    run.handle(MailBounced(customer_id="c1", send_id="x", hard=True, reason="5.1.1", occurred_at=START))
    run.handle(erased(run))
    assert run.customers["c1"].consent == Consent(unsubscribed=("marketing",))


def test_only_a_later_yes_counts(run: Driver) -> None:
    """A "no" stays with its time: a record with an older yes does not start marketing, one with a fresh yes does."""

    def profile(answer: bool, hours: int) -> ProfileUpdated:
        return ProfileUpdated(
            customer_id="c1",
            marketing_consent=answer,
            consent_notice="n1",
            country="DK",
            occurred_at=START + hours * HOUR,
        )

    run.handle(profile(False, 5))
    run.handle(erased(run))
    assert run.customers["c1"].consent == Consent(marketing=False, marketing_at=START + 5 * HOUR)
    run.handle(profile(True, 4))
    assert run.customers["c1"].consent.marketing is False
    run.handle(profile(True, 6))
    assert run.customers["c1"].consent.marketing is True


def test_an_erasure_starts_no_flow() -> None:
    """A customer who leaves or enters a segment by being erased starts no flow."""
    text = "trigger: {{on: segment.{0}, segment: {1}}}\nsteps: [{{send: {{message: a}}}}]"
    ruleset = ruleset_of(
        flow_text(text.format("left", "buyers"), name="left"),
        flow_text(text.format("entered", "others"), name="entered"),
        segments="buyers: customer.orders > 0\nothers: customer.orders == 0",
    )
    run = Driver(ruleset)
    run.handle(OrderPlaced(order("o1", START), START))
    run.effects.clear()
    run.handle(erased(run))
    run.advance(timedelta(days=30))
    assert {type(effect) for effect in run.effects} == {CancelTimers, LogDecision}
    assert run.customers["c1"] == new_customer("c1")


def test_an_instance_of_an_unknown_version_is_erased(run: Driver) -> None:
    """An instance whose flow this worker does not know, with the events that it keeps, goes at once like all others."""
    state = run.customers["c1"]
    unknown = tuple([replace(instance, flow="of-tomorrow", flow_version=9) for instance in state.instances])
    after, effects = advance(RULESET, replace(state, instances=unknown), erased(run), run.now)
    assert after == new_customer("c1")
    assert not [effect for effect in effects if isinstance(effect, ScheduleTimer)]


def test_the_stages_delete_what_is_stored(tmp_path: Path) -> None:
    """A tombstone on `customers` deletes the state from the table of the flows agent, and the timers from that of the scheduler."""
    agent = Agent(tmp_path / "flows", lambda app, own: flows.register(app, own, RULESET))
    timers = Agent(tmp_path / "timers", scheduler.register)
    at_ms = records.AT_MS
    placed = agent.run([(topics.ORDERS, KEY, CODEC.encode("order", records.order(customer_id=CUSTOMER)))], at_ms=at_ms)
    delays = [output for output in placed if output[0] == topics.DELAYS]
    timers.run(delays, at_ms=at_ms)
    assert delays
    assert dict(agent.store.items()).keys() == {KEY}
    assert len(dict(timers.store.items())) == len(delays)
    outputs = agent.run([(topics.CUSTOMERS, KEY, None)], at_ms=at_ms + 1000)
    assert dict(agent.store.items()) == {}
    assert topics.DEAD_LETTERS not in {topic for topic, _, _ in outputs}
    cancellations = [output for output in outputs if output[0] == topics.DELAYS]
    assert cancellations == [(topics.DELAYS, KEY, None)]
    assert timers.run(cancellations, at_ms=at_ms + 2000) == []
    assert dict(timers.store.items()) == {}
    assert not timers.is_due


def test_a_refusal_is_all_that_is_stored(tmp_path: Path) -> None:
    """The table keeps the scope and the time of an unsubscription under the customer id."""
    agent = Agent(tmp_path, lambda app, own: flows.register(app, own, RULESET))
    goodbye = records.engagement("unsubscribed", scope="review", customer_id=CUSTOMER)
    agent.run([(topics.ORDERS, KEY, CODEC.encode("order", records.order(customer_id=CUSTOMER)))], at_ms=records.AT_MS)
    agent.run([(topics.ENGAGEMENT, KEY, CODEC.encode("engagement", goodbye))], at_ms=records.AT_MS)
    agent.run([(topics.CUSTOMERS, KEY, None)], at_ms=records.AT_MS)
    at = records.AT
    kept = Customer(CUSTOMER, consent=Consent(unsubscribed=("review",), unsubscribed_at=(("review", at),)))
    assert dict(agent.store.items()) == {KEY: encode_customer(kept)}


@pytest.mark.parametrize(("key", "reason"), [(b"", "no_customer"), (b"\xff", "bad_id"), (b"k" * 300, "bad_id")])
def test_a_tombstone_without_a_customer_is_a_dead_letter(tmp_path: Path, key: bytes, reason: str) -> None:
    """A tombstone whose key is not a customer id is kept with its reason."""
    agent = Agent(tmp_path, lambda app, own: flows.register(app, own, RULESET))
    ((topic, _, letter),) = agent.run([(topics.CUSTOMERS, key, None)], at_ms=records.AT_MS)
    assert topic == topics.DEAD_LETTERS
    assert CODEC.decode("dead_letter", letter or b"")["reason"] == reason
