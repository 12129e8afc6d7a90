"""Simulation results: what is counted, the variants of flows, and the table."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.effects import SendMail
from streams.core.model.events import Event, OrderLine, OrderPlaced
from streams.core.model.person_events import CustomerActed, ProfileUpdated
from streams.core.model.product_events import NoteInterest
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.product_changes import ProductVersion
from streams.tools.simulation.history import (
    History,
)
from streams.tools.simulation.outcome import UnknownFlow, simulate, table, with_changes
from streams.tools.simulation.products import SimulatedProducts
from streams.tools.simulation.simulator import Simulator
from tests.harness.driver import START
from tests.harness.events import order, shop_flows, shop_ruleset
from tests.harness.examples import examples
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.products import product
from tests.unit.tools.simulation.samples import result_of

DAY = timedelta(days=1)


def bought(*customers: str) -> History:
    """A history in which each customer buys, one hour after the other."""
    events = [
        OrderPlaced(order(f"o{n}", START + timedelta(hours=n), customer_id=name), START + timedelta(hours=n))
        for n, name in enumerate(customers)
    ]
    return History([(event.occurred_at, event) for event in events])


def test_pools_are_never_empty() -> None:
    """A history does not contain the codes of the past, so each claim gets an invented code."""
    flow = flow_text(
        "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: ten}}, "
        "{split: [{when: reward.is_given, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]"
    )
    assert simulate(ruleset_of(flow), bought("c1", "c2"), 5).by_flow == {"f/a": 2}


def test_emails_are_counted() -> None:
    """Emails are counted by flow, day (also days without emails) and customer; emails that were not sent, by flow and rule."""
    flow = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]")
    missing = flow_text(
        "trigger: {on: order.placed, where: order.total > 9999}\nsteps: [{send: {message: c}}]", name="g"
    )
    found = simulate(ruleset_of(flow, missing), bought("c1", "c1", "c2"), 1)
    assert (found.mails, found.customers, found.by_flow) == (3, 2, {"f/a": 3})
    found = simulate(ruleset_of(flow, missing), bought("c1", "c1", "c2"), 5)
    assert found.by_flow == {"f/a": 3, "f/b": 3}
    assert found.by_day == {"2026-03-02": 3, "2026-03-03": 0, "2026-03-04": 3}
    assert found.percentiles == {"p50": 2, "p90": 4, "p99": 4, "most": 4}
    assert found.not_sent == {"g skip where": 3}
    assert found.events >= 3 + 6
    nothing = simulate(ruleset_of(flow), History([]), 5)
    assert (nothing.mails, nothing.by_day, nothing.percentiles["most"]) == (0, {}, 0)


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_matter(customers: list[str], random: Any) -> None:
    """The same events, read in another order, give the same table."""
    history, mixed = bought(*customers), list(bought(*customers).events)
    random.shuffle(mixed)
    mixed.sort(key=lambda event: event[0])
    assert table([simulate(shop_ruleset(), history, 5)]) == table([simulate(shop_ruleset(), History(mixed), 5)])


@settings(max_examples=examples(20), deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1, max_size=8))
def test_customers_are_independent(customers: list[str]) -> None:
    """Simulating each customer alone gives the same counts as one clock for all customers."""
    history, emails = bought(*customers), Counter[str]()
    run = Simulator(
        shop_ruleset(), START, on_effect=lambda effect, now: emails.update([effect.flow] * isinstance(effect, SendMail))
    )
    for at, event in history.events:
        run.advance_to(at)
        run.handle(event)
    run.advance(5 * DAY)
    found = simulate(shop_ruleset(), history, 5)
    assert (found.mails, found.events, found.customers) == (emails.total(), run.decided, len(run.customers))
    by_flow: Counter[str] = Counter()
    for name, count in found.by_flow.items():
        by_flow[name.partition("/")[0]] += count
    assert by_flow == emails


def test_deferred_emails() -> None:
    """Each deferral is counted by rule; an email that is sent later does not count as not sent."""
    flow = flow_text(
        "trigger: {on: order.placed, once_per: order}\nsteps: [{send: {message: a, expires: 20d}}]", purpose="marketing"
    )
    found = simulate(ruleset_of(flow, rules="caps: [{most: 1, per: 2d}]"), bought("c1", "c1", "c2"), 9)
    assert (found.by_flow, found.deferred, found.not_sent) == ({"f/a": 3}, {"f cap": 1}, {})
    assert [line.split() for line in table([found]) if line.startswith("deferred")] == [["deferred:", "f", "cap", "1"]]


def test_variants_of_flows() -> None:
    """A draft can be made live and a flow removed; an unknown change is reported with the known ones."""
    draft = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", status="draft")
    ruleset = ruleset_of(draft)
    assert simulate(ruleset, bought("c1"), 1).mails == 0
    assert simulate(ruleset.with_flows(with_changes(ruleset.flows, ["f@draft"])), bought("c1"), 1).mails == 1
    without = with_changes(shop_flows(), ["review@off"])
    assert {flow.name for flow in shop_flows()} - {flow.name for flow in without} == {"review"}
    for change, message in (
        ("nothing@off", "known: order-confirmation, review"),
        ("review@draft", "it is live"),
        ("review", "review@draft"),
    ):
        with pytest.raises(UnknownFlow, match=message):
            with_changes(shop_flows(), [change])


def test_long_variant_names_keep_their_columns() -> None:
    """Each number is below the name of its variant, however long the name is."""
    lines = table([result_of(), result_of("review@off thank-you@off goes-well-with@off"), result_of("t")])
    assert {len(line) for line in lines} == {len(lines[0])}


def test_two_variants_are_compared() -> None:
    """Every line has the difference, also lines that only one of the two has."""
    other = result_of("without g", mails=2, by_flow={"f/a": 2}, not_sent={})
    lines = table([result_of(), other])
    assert lines[0].split() == ["as", "it", "is", "without", "g", "difference"]
    assert next(line for line in lines if line.startswith("emails ")).split() == ["emails", "3", "2", "-1"]
    assert next(line for line in lines if "g/b" in line).split()[-3:] == ["1", "0", "-1"]


@pytest.mark.parametrize("catalogue", [None, Catalogue()])
def test_progress_of_simulating(catalogue: Catalogue | None) -> None:
    """Progress is reported every 5,000 events, with one clock for each customer and with one for all."""
    flow = flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a, products: 2}}]", purpose="marketing")
    history = bought(*[f"c{number}" for number in range(10_001)])
    progress: list[tuple[int, int]] = []
    simulate(
        ruleset_of(flow),
        history,
        0,
        catalogue=catalogue,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert progress == [(5_000, 10_001), (10_000, 10_001)]


def test_emails_without_products() -> None:
    """With a catalogue, an email with too few products is not sent, and its rule is counted; without one it counts as sent."""
    flow = flow_text(
        "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 2}}]", purpose="marketing"
    )
    for catalogue, mails, not_sent in (
        (None, 2, {}),
        (Catalogue(), 0, {"f skip too_few_products": 2}),
        (Catalogue([product("s2"), product("s1", complements=("s3",)), product("s3")]), 2, {}),
    ):
        found = simulate(ruleset_of(flow), bought("c1", "c2"), 3, catalogue=catalogue)
        assert (found.mails, found.not_sent) == (mails, not_sent)


WISHES = {"back": "product.back_in_stock", "cheaper": "product.price_dropped", "newer": "product.replaced"}


def version(days: float, sku: str = "lamp", **changes: Any) -> ProductVersion:
    """A version of a product, some days after the start."""
    values: dict[str, Any] = {"offset": 0, "is_in_stock": True, "price_minor": 100, "currency": "DKK"}
    return ProductVersion(sku=sku, updated_at=START + days * DAY, **(values | changes))


def wished_and_bought() -> History:
    """A history in which c1 wishes for a lamp after a day, and c2 has bought one."""
    events: list[Event] = [
        OrderPlaced(order("o1", START, customer_id="c2", lines=(OrderLine("lamp", "Lamp", "lamps", 1, 100),)), START),
        ProfileUpdated(
            customer_id="c1", email="c1@example.com", country="DK", marketing_consent=True, occurred_at=START
        ),
        CustomerActed(customer_id="c1", kind="wished", sku="lamp", occurred_at=START + DAY),
    ]
    return History([(event.occurred_at, event) for event in events])


@pytest.mark.parametrize(
    ("versions", "by_flow"),
    [
        ([version(0, is_in_stock=False), version(2)], {"back/a": 1}),
        ([version(0), version(2, price_minor=80)], {"cheaper/a": 1}),
        ([version(-1), version(2, "lamp-2", replaces="lamp")], {"newer/a": 1}),
        ([version(0, is_in_stock=False), version(9, price_minor=80)], {"back/a": 1, "cheaper/a": 1}),
        ([version(0), version(0.5, price_minor=80)], {}),  # before the wish
        ([version(2)], {}),
    ],
)
def test_changes_of_the_catalogue(versions: list[ProductVersion], by_flow: dict[str, int]) -> None:
    """The versions of products are played at their times, also after the last event; the customers whom they concern get the emails."""
    flows = [
        flow_text(f"trigger: {{on: {on}}}\nsteps: [{{send: {{message: a}}}}]", name=name, purpose="marketing")
        for name, on in WISHES.items()
    ]
    found = simulate(ruleset_of(*flows), wished_and_bought(), 1, versions=versions)
    assert (found.by_flow, found.customers) == (by_flow, 2)
    assert simulate(ruleset_of(*flows), wished_and_bought(), 1).by_flow == {}


def test_changes_of_the_catalogue_that_no_flow_is_about() -> None:
    """Without a flow on changes of the catalogue, versions of products change nothing, and customers are simulated one by one."""
    ruleset = ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]"))
    versions = [version(number) for number in range(9)]
    found, same = (
        simulate(ruleset, wished_and_bought(), 5, versions=versions),
        simulate(ruleset, wished_and_bought(), 5),
    )
    assert (found.by_flow, found.by_day, found.events) == (same.by_flow, same.by_day, same.events)


def wish_of(customer_id: str, sku: str, wished_at: datetime | None) -> NoteInterest:
    """The interest of a customer who wishes for a product, or no longer does."""
    return NoteInterest(interest_id="i", customer_id=customer_id, sku=sku, wished_at=wished_at, bought_at=None)


def test_the_index_of_products_looks_at_the_entries_of_one_product_only() -> None:
    """The index finds the customers of a change among those of its product; an entry that is deleted is gone."""
    products = SimulatedProducts(frozenset(("back_in_stock",)))
    for sku in ("a", "a1", "ab", "b"):
        for customer in ("c1", "c2"):
            products.note(wish_of(customer, sku, START), START)
        products.compare(version(0, sku, is_in_stock=False), START)
    products.note(wish_of("c2", "a", None), START)
    changed = products.compare(version(1, "a"), START + DAY)
    assert [(event.customer_id, event.sku) for event in changed] == [("c1", "a")]
    assert len(products.entries) == 7 + 4 + 1
