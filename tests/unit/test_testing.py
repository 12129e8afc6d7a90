"""The public test kit, on the flows of this repository."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.core.model.events import OrderLine
from streams.definitions.problems import FlowFileError
from streams.testing import START, Scenario
from tests.harness.events import TEMPLATES
from tests.harness.flow_texts import flow_text, ruleset_of


def test_orders_and_emails() -> None:
    """An order and a delivery give a review request within 30 days."""
    shop = Scenario(TEMPLATES)
    shop.order("anna", total="500 DKK")
    shop.parcel("anna", "delivered")
    shop.after(days=30)
    expected = ["review/ask-first-time", "goes-well-with/products", "nps/ask"]
    assert [mail for mail in shop.mails("anna") if mail in expected] == expected


def test_decisions() -> None:
    """A refund ends the review, and the decision and the state show it."""
    shop = Scenario(TEMPLATES)
    order_id = shop.order("anna")
    shop.parcel("anna", "delivered")
    shop.order("anna", kind="refunded")
    shop.after(days=9)
    assert ("review", "exit", "order.refunded") in shop.why("anna")
    state = shop.state("anna")
    assert state is not None
    assert [order.order_id for order in state.orders] == [order_id]
    assert shop.state("nobody") is None


@pytest.mark.parametrize(("answer", "reward"), [("9", ["f/a"]), ("8.5", []), ("yes", [])])
def test_numbers_as_answers(answer: str, reward: list[str]) -> None:
    """An answer that is a number can be compared as one, like an answer on the pages of the gateway."""
    flow = "trigger: {on: survey.answered, where: event.number >= 9}\nsteps: [{send: {message: a}}]\n"
    shop = Scenario(ruleset_of(flow_text(flow, purpose="marketing")))
    shop.profile("bo", email="bo@example.com", marketing_consent=True)
    shop.answers("bo", "nps", answer)
    shop.after(days=1)
    assert shop.mails("bo") == reward


def test_actions_of_customers() -> None:
    """Opens, clicks, profiles, answers and unsubscriptions are handled; an unknown email is an error."""
    shop = Scenario(TEMPLATES)
    shop.order("bo", total="12000 DKK")
    shop.after(days=2)
    assert shop.mails("bo")[-1] == "thank-you/first-time"
    shop.opens("bo")
    shop.clicks("bo", "confirmation")
    shop.profile("bo", name="Bo Holm", marketing_consent=True)
    shop.answers("bo", "happy", "yes")
    shop.unsubscribes("bo")
    shop.order("bo")
    shop.after(days=2)
    assert shop.mails("bo")[-1] == "order-confirmation/confirmation"
    assert ("thank-you", "skip", "unsubscribed") in shop.why("bo")
    assert shop.mail("bo").context["customer"]["purchases"] == 2
    assert shop.now == START + timedelta(days=4)
    with pytest.raises(LookupError, match="bo has no email 'vip'"):
        shop.opens("bo", "vip")


def test_several_clicks() -> None:
    """Clicks count at once, also right after the email and on several links: the clock advances so that they are not a scanner's."""
    shop = Scenario(TEMPLATES)
    shop.order("bo")
    for link in ("a", "b", "c"):
        shop.clicks("bo", link=link)
        assert (state := shop.state("bo")) is not None
        assert state.sends[0].clicked_at == shop.now
    assert shop.now == START + timedelta(seconds=21.5, microseconds=2)


def test_changed_order() -> None:
    """A change updates the given fields of an order, and keeps the others."""
    shop = Scenario()
    shop.order("anna", total="900 DKK", country="SE")
    shop.order("anna", total="300 DKK", kind="changed", email="new@example.com")
    shop.order("anna", kind="paid")
    state = shop.state("anna")
    assert state is not None
    (facts,) = [order_state.facts for order_state in state.orders if order_state.facts is not None]
    assert (facts.total_minor, facts.currency, facts.country, facts.email) == (300_00, "DKK", "SE", "new@example.com")
    assert [line.unit_price_minor for line in facts.lines] == [900_00]


def test_launch() -> None:
    """A viewed product starts a flow at its launch, and a newer view moves it."""
    flow = "trigger: {on: product.launch, before: 1d}\nsteps: [{send: {message: a}}]"
    shop = Scenario(ruleset_of(flow_text(flow, name="launch")))
    shop.profile("anna", email="anna@example.com")
    shop.views("anna", "tea-9", launches_at=START + timedelta(days=5))
    shop.after(days=2)
    shop.views("anna", "tea-9", launches_at=START + timedelta(days=8), kind="added_to_cart")
    shop.after(days=4.9)
    assert shop.mails("anna") == []
    shop.after(days=0.1)
    assert shop.mails("anna") == ["launch/a"]


def test_recommendations() -> None:
    """Products and sales decide the recommendations. Without enough of them there is no email, and a decision has the rule."""
    shop = Scenario(TEMPLATES)
    for customer in ("anna", "bo"):
        shop.order(
            customer, lines=(OrderLine("LMP-1", "Lamp", "light", 1, 100), OrderLine("VAS-1", "Vase", "home", 1, 100))
        )
        shop.parcel(customer, "delivered")
    shop.product("LMP-1", title="Lamp", category="light", complements=("LMP-3",), price="899 DKK")
    shop.product("LMP-3", title="Bulb", category="light", is_consumable=True)
    shop.after(days=8)
    assert ("goes-well-with", "skip", "too_few_products") in shop.why("anna")
    assert "goes-well-with/products" not in shop.mails("anna")
    with pytest.raises(LookupError, match="anna has no email with recommendations"):
        shop.recommended("anna")
    shop.product("VAS-2", title="New vase", category="home", replaces="VAS-1")
    shop.product("gone", category="light", is_available=False)
    shop.order("anna", lines=(OrderLine("VAS-1", "Vase", "home", 1, 100), OrderLine("LMP-1", "Lamp", "light", 1, 100)))
    shop.parcel("anna", "delivered")
    shop.after(days=8)
    assert shop.mails("anna")[-1] == "goes-well-with/products"
    assert shop.recommended("anna") == ["LMP-3", "VAS-2"]


def test_sales_before_the_products() -> None:
    """Sales before the products were added count too."""
    flow = "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: a, products: 2}}]"
    shop = Scenario(ruleset_of(flow_text(flow, purpose="marketing")))
    shop.order("bo", lines=(OrderLine("a", "A", "x", 1, 100), OrderLine("b", "B", "y", 1, 100)))
    shop.order("anna", lines=(OrderLine("a", "A", "x", 1, 100),))
    shop.product("b", category="y")
    shop.after(days=1)
    assert shop.recommended("anna") == ["b"]


def test_errors_in_flows(tmp_path: object) -> None:
    """A folder without flows is an error."""
    with pytest.raises(FlowFileError):
        Scenario(str(tmp_path))


def test_pool_codes(tmp_path: Path) -> None:
    """One customer gets the code of a pool, and the other continues without one after a day."""
    folder = tmp_path / "flows" / "selling" / "spring"
    folder.mkdir(parents=True)
    (folder / "a.html.j2").touch()
    (folder / "flow.yaml").write_text(
        "flow: spring\nversion: 1\nstatus: live\npurpose: marketing\ntrigger: {on: order.placed}\nsteps:\n"
        "  - reward: {name: ten, pool: ten}\n  - split: [{when: reward.is_given, steps: [{send: {message: a}}]}]\n"
    )
    shop = Scenario(tmp_path)
    shop.codes("ten", "A1")
    for customer in ("anna", "bo"):
        shop.profile(customer, marketing_consent=True)
        shop.order(customer)
    assert shop.mail("anna").context["reward"]["code"] == "A1"
    shop.after(days=1)
    assert shop.mails("bo") == []
    assert ("spring", "skip", "pool_empty") in shop.why("bo")
