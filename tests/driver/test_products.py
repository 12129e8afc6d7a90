"""Changes of the catalogue on a virtual clock: products that are in stock again, cost less, or replace an older one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from streams.core.model.effects import NoteInterest
from streams.core.model.events import CustomerErased, CustomerMerged, OrderCancelled, OrderLine
from streams.core.model.person_events import ActivityKind, CustomerActed
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.product_changes import ProductVersion
from streams.core.offers.product_index import Interest
from streams.core.offers.shown_product import completed
from streams.core.sending.content import template_data
from streams.core.triggers.walk_plans import walk_plans
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of, update_profile
from tests.harness.products import product

SEND = "steps: [{send: {message: a}}]"
BACK = f"trigger: {{on: product.back_in_stock}}\n{SEND}"
DROPPED = f"trigger: {{on: product.price_dropped}}\n{SEND}"
REPLACED = f"trigger: {{on: product.replaced}}\n{SEND}"


def run_on(body: str) -> Driver:
    """A driver with one flow of marketing, and the customer c1 who agreed to it."""
    run = run_of(body, purpose="marketing")
    update_profile(run, email="anna@example.com", marketing_consent=True)
    return run


def wish(run: Driver, sku: str = "s1", kind: ActivityKind = "wished", customer_id: str = "c1") -> None:
    """Put a product on the wish list, or take it off."""
    run.handle(CustomerActed(customer_id=customer_id, kind=kind, sku=sku, occurred_at=run.now))


def line(sku: str) -> OrderLine:
    """A line of an order."""
    return OrderLine(sku, sku.upper(), "tea", 1, 100)


def change(run: Driver, sku: str = "s1", *, at: datetime | None = None, **values: Any) -> None:
    """Let the catalogue have a new version of a product, an hour later, unless it is of the time `at`."""
    run.advance(HOUR)
    same: dict[str, Any] = {"is_in_stock": True, "price_minor": 100, "currency": "DKK"}
    count = len(run.products.entries) + len(run.effects) + run.decided
    run.change_product(ProductVersion(sku=sku, offset=count, updated_at=at or run.now, **(same | values)))


def indexed(run: Driver) -> dict[bytes, Interest]:
    """The interests in the index."""
    return {key: entry for key, entry in run.products.entries.items() if isinstance(entry, Interest)}


def test_a_wish_that_is_in_stock_again_starts_the_flow_once() -> None:
    """Only the customer who wishes for the product is notified, once, also if it is sold out and back again."""
    run = run_on(BACK)
    change(run, is_in_stock=False)
    wish(run)
    wish(run, "s2", customer_id="c2")
    change(run)
    assert run.messages() == run.messages("c1") == ["a"]
    change(run, is_in_stock=False)
    change(run)
    assert run.messages() == ["a"]


def test_again_after_starts_the_flow_at_a_later_return() -> None:
    """With `again_after` the flow starts at a return after that time, and at none before."""
    run = run_on(f"trigger: {{on: product.back_in_stock, again_after: 30d}}\n{SEND}")
    wish(run)
    for days, count in ((0, 1), (10, 1), (40, 2)):
        run.advance(days * DAY)
        change(run, is_in_stock=False)
        change(run)
        assert len(run.messages()) == count


def test_a_replay_of_product_records_starts_nothing() -> None:
    """Records of a product that arrive again, with their old times, start nothing."""
    run = run_on(f"trigger: {{on: product.back_in_stock, again_after: 1s}}\n{SEND}")
    wish(run)
    out_at = run.now + HOUR
    change(run, is_in_stock=False)
    back_at = run.now + HOUR
    change(run)
    for _ in range(2):
        change(run, at=out_at, is_in_stock=False)
        change(run, at=back_at)
    assert run.messages() == ["a"]


def test_other_wishes_start_nothing() -> None:
    """A wish that was taken back, and one after the change, start nothing. An erased customer leaves the index."""
    run = run_on(BACK)
    change(run, is_in_stock=False)
    wish(run)
    assert len(indexed(run)) == 1
    wish(run, kind="unwished")
    assert not indexed(run)
    change(run)
    run.advance(HOUR)
    wish(run)
    assert run.messages() == []
    run.handle(CustomerErased(customer_id="c1", occurred_at=run.now))
    assert not indexed(run)


def test_a_launch_is_not_a_return_and_the_first_version_not_a_change() -> None:
    """A product that appears, or that is launched, was not out of stock before."""
    run = run_on(BACK)
    wish(run)
    wish(run, "s2")
    change(run)
    change(run, "s2", is_in_stock=False, is_launched=False)
    change(run, "s2")
    assert run.messages() == []


def test_a_wish_that_arrives_after_the_change_counts() -> None:
    """A wish of a time before the change starts the flow also if its record arrives after it."""
    run = run_on(BACK)
    change(run, is_in_stock=False)
    wished_at = run.now
    change(run)
    run.handle(CustomerActed(customer_id="c1", kind="wished", sku="s1", occurred_at=wished_at))
    assert run.messages() == ["a"]


def test_a_merged_customer_takes_the_wishes_along() -> None:
    """The index has the wish under the id that the customer was merged into, and no longer under the old one."""
    run = run_on(BACK)
    change(run, is_in_stock=False)
    wish(run, customer_id="guest")
    run.handle(CustomerMerged(customer_id="guest", into="c1", occurred_at=run.now))
    assert list(indexed(run)) == [b"i\0s1\0c1\0"]
    change(run)
    assert run.messages("c1") == ["a"]


def test_the_email_shows_the_product() -> None:
    """Its data has the product and both prices; the mailer adds what the catalogue has, if it has the product."""
    run = run_on(DROPPED)
    change(run, price_minor=10_000)
    wish(run)
    change(run, price_minor=8_000)
    (mail,) = run.mails()
    data = template_data(mail.content)
    shown = data["product"]
    assert (shown["sku"], shown["price"]) == ("s1", {"minor": 8_000, "currency": "DKK"})
    assert shown["old_price"] == {"minor": 10_000, "currency": "DKK"}
    page = "https://shop.example/s1"
    catalogue = Catalogue([product("s1", "lamps", title="Lamp", url=page)])
    known = {**shown, "title": "Lamp", "category": "lamps", "url": page}
    assert completed(data, catalogue) == {"product": known}
    assert completed({"product": [], "products": [shown]}, catalogue) == {"product": [], "products": [known]}
    assert completed(data, Catalogue()) == {"product": shown}


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("product.price == 80 and product.old_price == 100", 1),
        ("product.price_drop >= 20 and product.price_drop_percent >= 20", 1),
        ("product.price_drop > 20", 0),
        ("product.price_drop_percent > 20", 0),
    ],
)
def test_a_wish_that_costs_less_starts_the_flow(where: str, count: int) -> None:
    """Conditions read the old price, the new one, and the difference."""
    run = run_on(f"trigger: {{on: product.price_dropped, where: {where}}}\n{SEND}")
    change(run, price_minor=10_000)
    wish(run)
    change(run, price_minor=8_000)
    assert len(run.messages()) == count


def test_other_prices_start_nothing() -> None:
    """A higher price, another currency, and a product that is sold out start nothing."""
    run = run_on(DROPPED)
    change(run, price_minor=100)
    wish(run)
    change(run, price_minor=200)
    change(run, price_minor=100, currency="EUR")
    change(run, price_minor=50, currency="EUR", is_in_stock=False)
    assert run.messages() == []


def test_a_newer_version_starts_the_flow_of_those_who_bought_the_old_one() -> None:
    """It starts once, when the new product can be bought; a cancelled order and other products start nothing."""
    run = run_on(f"trigger: {{on: product.replaced, where: product.replaces == 's1'}}\n{SEND}")
    buy(run, lines=(line("s1"), line("s3")))
    buy(run, "o2", customer_id="c2", lines=(line("s2"),))
    run.handle(OrderCancelled(order("o2", run.now, customer_id="c2", lines=(line("s2"),)), run.now))
    for sku in ("s1", "s2", "s3"):
        change(run, sku, is_in_stock=False)
    change(run, "s1-new", replaces="s1", is_in_stock=False)
    assert run.messages() == []
    change(run, "s1-new", replaces="s1")
    change(run, "s1-new", replaces="s1", price_minor=50)
    change(run, "s2-new", replaces="s2")
    change(run, "s3-new", replaces="s3")
    assert run.messages() == ["a"]


def test_versions_that_come_together_are_not_a_replacement() -> None:
    """At an import of the catalogue the newer versions in it start nothing."""
    run = run_on(REPLACED)
    buy(run, lines=(line("s1"),))
    change(run, "s1-new", replaces="s1")
    change(run, "s1", is_in_stock=False)
    change(run, "s1-new", replaces="s1", price_minor=50)
    assert run.messages() == []


def test_wishes_from_before_the_flow_count() -> None:
    """A walk over the customers adds the wishes that were there when the flow went live; a new version of the flow repeats it."""
    run = run_on(f"trigger: {{on: product.wished}}\n{SEND}")
    wish(run)
    state, later = run.customers["c1"], run_on(BACK)
    later.customers["c1"] = state
    (plan,) = walk_plans(later.ruleset)
    effects = plan.effects(later.ruleset, state, later.now)
    assert [(effect.sku, effect.interest_id[:6]) for effect in effects if isinstance(effect, NoteInterest)] == [
        ("s1", "known-")
    ]
    later.advance(HOUR)
    assert list(indexed(later)) == [b"i\0s1\0c1\0"]
    again = ruleset_of(flow_text(BACK, purpose="marketing").replace("version: 1", "version: 2"))
    assert walk_plans(again)[0].name != plan.name


def test_flows_without_these_triggers_keep_no_index() -> None:
    """Without a flow that starts by a change of the catalogue, nothing is published."""
    run = run_on(f"trigger: {{on: product.wished}}\n{SEND}")
    wish(run)
    buy(run, lines=(line("s1"),))
    assert not [effect for effect in run.effects if isinstance(effect, NoteInterest)]
