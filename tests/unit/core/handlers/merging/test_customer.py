"""The state of a merged customer: profile, address, history and limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.consent import Consent, Resubscription
from streams.core.model.customer import Customer, History, Merge, Profile, Sent, new_customer
from streams.core.model.effects import Effect, LogDecision, NoteAddress
from streams.core.model.events import HandedOver
from streams.core.model.orders import forgotten_orders
from streams.core.model.orders.order_state import OrderState
from streams.core.values.addresses import address_key
from tests.harness.driver import START
from tests.harness.events import shop_ruleset

HOUR = timedelta(hours=1)
RULESET = shop_ruleset()


def merged(own: Customer, other: Customer, ruleset: Any = RULESET) -> tuple[Customer, list[Effect]]:
    """Return the customer after another one was merged into it, and the effects."""
    event = HandedOver(customer_id="c1", handover_id="h", state=other, path=(other.customer_id,), occurred_at=START)
    return advance(ruleset, own, event, START + HOUR)


def customer(customer_id: str, **fields: Any) -> Customer:
    """Return a state with these fields."""
    return replace(new_customer(customer_id), **fields)


def test_the_newer_profile_wins() -> None:
    """Its values replace the older ones, whichever id they come from; a profile of unknown time is the older one."""
    old = Profile("old@example.com", "Anna", "da", "DK", at=START)
    new = Profile("new@example.com", at=START + HOUR)
    want = Profile("new@example.com", "Anna", "da", "DK", at=START + HOUR)
    for own, other in ((old, new), (new, old)):
        assert merged(customer("c1", profile=own), customer("g", profile=other))[0].profile == want
    assert merged(customer("c1"), customer("g", profile=old))[0].profile == old
    assert merged(customer("c1", profile=old), customer("g"))[0].profile == old


def test_bounces_belong_to_an_address() -> None:
    """Those of an address that the customer no longer has are dropped; those of the same address in another spelling stay."""
    bounced = Consent(hard_bounced=True, soft_bounces=3)
    new = customer("c1", profile=Profile("new@example.com", at=START + HOUR))
    typo = customer("g", profile=Profile("tpyo@example.com", at=START), consent=bounced)
    assert not merged(new, typo)[0].consent.hard_bounced
    same = customer("g", profile=Profile("NEW@example.com", at=START), consent=bounced)
    assert merged(new, same)[0].consent.hard_bounced
    assert merged(new, same)[0].consent.soft_bounces == 3


def test_a_return_to_service_emails_survives_a_merge() -> None:
    """A customer left service emails, returned to them, and left marketing: only marketing stays off after a merge."""
    consent = Consent(
        unsubscribed=("marketing", "service"),
        unsubscribed_at=(("marketing", START), ("service", START)),
        resubscriptions=(Resubscription("service", START + HOUR),),
    )
    state, _ = merged(customer("c1", consent=consent), customer("g"))
    assert not state.consent.is_opted_out("service")
    assert state.consent.is_unsubscribed()


def test_a_shared_id_teaches_no_profile() -> None:
    """A guest's id that several people share has nobody's address."""
    shared = customer("g", profile=Profile("bo@example.com", at=START + HOUR), shared_until=START + 24 * HOUR)
    state, _ = merged(customer("c1", profile=Profile("anna@example.com", at=START)), shared)
    assert (state.profile, state.shared_until) == (Profile(), shared.shared_until)


def test_the_history_of_both() -> None:
    """It is complete only if it is for both; nothing that was said is lost."""
    one, other = History("complete", START, 2, 500), History("partial", START + HOUR, 1, 100)
    assert merged(customer("c1", history=one), customer("g", history=other))[0].history == History(
        "partial", START + HOUR, 3, 600
    )
    assert merged(customer("c1", history=one), customer("g"))[0].history == one
    assert merged(customer("c1"), customer("g", history=other))[0].history == other


def test_the_newest_emails_stay() -> None:
    """At most as many emails are stored as a customer may have; an outcome of both is the final one."""
    sends = [Sent(f"s{n}", "f", 1, "0", "m", "order", None, START + n * HOUR, outcome="sent") for n in range(40)]
    state, _ = merged(customer("c1", sends=tuple(sends[20:])), customer("g", sends=tuple(sends[:20])))
    assert [sent.send_id for sent in state.sends] == [f"s{n}" for n in range(6, 40)]
    deferred = replace(sends[0], outcome="deferred", opened_at=START)
    state, _ = merged(customer("c1", sends=(deferred,)), customer("g", sends=(sends[0],)))
    assert state.sends == (replace(sends[0], opened_at=START),)


def test_own_values_of_flows_win() -> None:
    """Fields of the customer stay, and those of the other fill gaps; lists are joined."""
    own = customer("c1", fields=(("size", "M"),), lists=("vip",))
    other = customer("g", fields=(("colour", "red"), ("size", "L")), lists=("club", "vip"))
    state, _ = merged(own, other)
    assert (state.fields, state.lists) == ((("colour", "red"), ("size", "M")), ("club", "vip"))


def test_refusals_of_the_other_are_noted_for_the_address() -> None:
    """The refusals of a guest hold for the customer's address too, although its own refusals were noted before."""
    ruleset = shop_ruleset(address_key=address_key(b"a secret of the tests, long enough"))
    own = customer("c1", profile=Profile("anna@example.com", at=START))
    other = customer("g", consent=Consent(unsubscribed=("marketing",)))
    _, effects = merged(own, other, ruleset)
    assert [effect.reason for effect in effects if isinstance(effect, NoteAddress)] == ["unsubscribed"]


def test_more_customers_than_are_remembered() -> None:
    """The newest are remembered, and a decision says that the oldest are not."""
    own = customer("c1", merge=Merge(ids=tuple(f"g{n}" for n in range(20))))
    state, effects = merged(own, customer("g20"))
    assert state.merge is not None
    assert state.merge.ids == tuple(f"g{n}" for n in range(1, 21))
    rules = [effect.rule for effect in effects if isinstance(effect, LogDecision)]
    assert rules == ["merged_ids", "merged"]


def test_an_order_that_both_have_forgotten() -> None:
    """Its amount is no longer known, so it counts twice, and a decision has the number; of an order that one has forgotten nothing is said."""
    row = forgotten_orders.add_order(b"", 4, OrderState("o1"), is_open=False)
    own = customer("c1", purchases=1, forgotten_order_fingerprints=row)
    state, effects = merged(own, customer("g", purchases=1, forgotten_order_fingerprints=row))
    assert (state.purchases, state.forgotten_order_fingerprints) == (2, row)
    assert [effect.rule for effect in effects if isinstance(effect, LogDecision)] == ["forgotten_orders", "merged"]
    _, effects = merged(own, customer("g", purchases=1))
    assert [effect.rule for effect in effects if isinstance(effect, LogDecision)] == ["merged"]
