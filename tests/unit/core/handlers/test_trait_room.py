"""The room for traits: what is dropped when they do not fit beside the fingerprints of orders."""

from __future__ import annotations

from datetime import timedelta

from msgspec import msgpack
from msgspec.structs import replace

from streams.core.engine import advance
from streams.core.model.customer import Customer, Profile, new_customer
from streams.core.model.effects import Effect, LogDecision
from streams.core.model.person_events import CustomerActed, ProfileUpdated
from streams.core.model.traits import Attribute, Collected, Traits
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START
from tests.harness.events import shop_ruleset

HOUR = timedelta(hours=1)


def customer(*attributes: Attribute, wishes: tuple[Collected, ...] = (), orders: int = 0) -> Customer:
    """Return a customer with traits, and with the fingerprints of so many orders."""
    traits = Traits(attributes=attributes, collected=wishes)
    row = b"".join(number.to_bytes(8, "big") for number in range(orders))
    return replace(new_customer("c1"), profile=Profile(at=START, traits=traits), forgotten_order_fingerprints=row)


def wished(state: Customer, sku: str, most: int) -> tuple[Customer, list[Effect]]:
    """Return the customer after another wish, with room for so many bytes."""
    event = CustomerActed(customer_id="c1", kind="wished", sku=sku, occurred_at=START + 3 * HOUR)
    return advance(shop_ruleset(limits=Limits(trait_bytes=most)), state, event, START + 3 * HOUR)


def test_traits_that_fit_stay() -> None:
    """Values of full length have room beside a few orders, and all limits hold for a customer with as many orders as are recognised."""
    limits = Limits()
    text = "ø" * 100
    event = ProfileUpdated(
        customer_id="c1", occurred_at=START, attributes=tuple((f"a{n}", text) for n in range(limits.attributes))
    )
    ruleset = shop_ruleset()
    state, effects = advance(ruleset, customer(orders=1000), event, START)
    assert len(state.profile.traits.attributes) == limits.attributes
    assert not [effect for effect in effects if isinstance(effect, LogDecision)]
    state, _ = advance(ruleset, customer(orders=limits.order_fingerprints), event, START)
    assert 0 < len(state.profile.traits.attributes) < limits.attributes


def test_the_oldest_goes_first() -> None:
    """Removed values go before those that hold, whatever their age, and a decision says once that something was forgotten."""
    old = Attribute("size", "x" * 40, START)
    removed = Attribute("colour", None, START + 2 * HOUR)
    wish = Collected("wish", "S-1", START + HOUR)
    state = customer(old, removed, wishes=(wish,))
    size = len(msgpack.encode(state.profile.traits)) + len(msgpack.encode(wish))
    after, effects = wished(state, "S-2", size - 1)
    assert after.profile.traits.attributes == (old,)
    assert [each.sku for each in after.profile.traits.collected] == ["S-1", "S-2"]
    assert not [effect for effect in effects if isinstance(effect, LogDecision)]
    most = size - len(msgpack.encode(removed)) - 1
    after, effects = wished(state, "S-2", most)
    assert after.profile.traits.attributes == ()
    assert [each.sku for each in after.profile.traits.collected] == ["S-1", "S-2"]
    assert [(e.outcome, e.rule) for e in effects if isinstance(e, LogDecision)] == [("limit", "traits")]
    again, effects = wished(after, "S-3" * 20, most)
    assert again.profile.traits.skus("wish")[0] == "S-3" * 20
    assert len(again.profile.traits.collected) < 3
    assert not [effect for effect in effects if isinstance(effect, LogDecision)]


def test_fingerprints_of_orders_take_room() -> None:
    """The more orders the state has to recognise, the less room there is."""
    state = customer(Attribute("size", "43", START), orders=4)
    assert wished(state, "S-1", 100)[0].profile.traits.attributes
    assert not wished(replace(state, forgotten_order_fingerprints=bytes(64)), "S-1", 100)[0].profile.traits.attributes
