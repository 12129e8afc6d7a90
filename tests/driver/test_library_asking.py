"""The shipped flows that ask: whom they write to, when, and when they do not."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from streams.core.model.person_events import ActivityKind, CustomerActed
from streams.core.rules.ruleset import Ruleset
from streams.testing import Scenario
from tests.harness.events import TEMPLATES
from tests.harness.library import emails_of

ASKING = ("how-was-it", "review", "nps", "refer-a-friend", "friend-ordered", "about-you", "wish-list", "photo-contest")


@pytest.fixture
def shop(ruleset: Ruleset) -> Scenario:
    """A shop with the shipped flows, and Anna, who agreed to all emails."""
    shop = Scenario(ruleset)
    shop.profile("anna", email="anna@example.com", marketing_consent=True)
    return shop


def buys(shop: Scenario, orders: int = 1) -> None:
    """Place orders of Anna, of which the newest is delivered two days later."""
    for _ in range(orders):
        shop.order("anna")
    shop.after(days=2)
    shop.parcel("anna", "delivered")


def acts(shop: Scenario, kind: ActivityKind, **fields: Any) -> None:
    """Report that Anna writes a review, enters a contest and so on."""
    shop.tell(CustomerActed(customer_id="anna", kind=kind, occurred_at=shop.now, **fields))


def asked(shop: Scenario, *flows: str) -> list[str]:
    """The emails of Anna by these flows, of all that ask without names."""
    return emails_of(shop, *(flows or ASKING))


def test_a_first_order(shop: Scenario) -> None:
    """A customer who is new is asked for a review, the score and the profile, and not how it was."""
    buys(shop)
    shop.after(days=60)
    assert asked(shop) == ["review/ask", "nps/ask", "about-you/profile"]


def test_how_was_it(shop: Scenario) -> None:
    """A returning customer answers, reviews and is invited to tell a friend. No other flow asks about the order, and a year passes between."""
    buys(shop, 2)
    shop.after(days=2, hours=1)
    assert asked(shop) == ["how-was-it/ask"]
    shop.answers("anna", "how-was-it", "5")
    shop.after(days=2)
    assert asked(shop)[1:] == ["how-was-it/rate"]
    acts(shop, "reviewed", stars=5)
    shop.after(days=3)
    assert asked(shop)[2:] == ["how-was-it/refer"]
    assert shop.mail("anna", "refer").context["reward"]["code"]
    shop.after(days=80)
    buys(shop)
    shop.after(days=4)
    assert asked(shop, "how-was-it", "review")[3:] == ["review/ask"]


def test_how_was_it_without_an_answer(shop: Scenario) -> None:
    """A customer who does not answer gets nothing more about the order."""
    buys(shop, 2)
    shop.after(days=40)
    assert asked(shop, "how-was-it", "review", "nps") == ["how-was-it/ask"]


def test_an_unhappy_customer(shop: Scenario) -> None:
    """Customer service writes first. A week later the customer is asked for the same review as everybody, and for no friend."""
    buys(shop, 2)
    shop.after(days=2, hours=1)
    shop.answers("anna", "how-was-it", "1")
    shop.after(days=2)
    assert asked(shop) == ["how-was-it/ask", "how-was-it/sorry"]
    shop.after(days=6)
    assert asked(shop)[2:] == ["how-was-it/rate"]
    acts(shop, "reviewed", stars=2)
    shop.after(days=20)
    assert asked(shop, "how-was-it", "refer-a-friend")[3:] == []


def test_a_draft_holds_no_reviews_back(tmp_path: Path) -> None:
    """While `how-was-it` is a draft, `review` asks returning customers too."""
    root = Path(shutil.copytree(TEMPLATES, tmp_path / "templates"))
    file = root / "flows" / "asking" / "how-was-it" / "flow.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("status: live", "status: draft"), encoding="utf-8")
    shop = Scenario(root)
    buys(shop, 2)
    shop.after(days=3)
    assert asked(shop) == ["review/ask"]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("0", ["nps/sorry"]),
        ("6", ["nps/sorry"]),
        ("7", ["photo-contest/invite"]),
        ("8", ["photo-contest/invite"]),
        ("9", ["nps/glad", "photo-contest/invite"]),
        ("10", ["nps/glad", "photo-contest/invite"]),
    ],
)
def test_nps(shop: Scenario, score: str, expected: list[str]) -> None:
    """Customer service answers a low score, and a high one gets thanks. The contest is for those who are not disappointed."""
    buys(shop)
    shop.after(days=14, hours=1)
    shop.answers("anna", "nps", score)
    shop.after(days=5)
    assert asked(shop, "nps", "photo-contest") == ["nps/ask", *expected]


def test_photo_contest(shop: Scenario) -> None:
    """An entry is thanked for."""
    buys(shop)
    shop.answers("anna", "nps", "8")
    shop.after(days=4)
    acts(shop, "contest_entered", contest="photos")
    shop.after(days=1)
    assert asked(shop, "photo-contest") == ["photo-contest/invite", "photo-contest/thanks"]


def test_refer_a_friend(shop: Scenario) -> None:
    """A good review is followed by an invitation, once in half a year; another review is not. Each friend's order earns a code."""
    buys(shop)
    acts(shop, "reviewed", stars=3)
    shop.after(days=3)
    assert asked(shop, "refer-a-friend") == []
    for _ in range(2):
        acts(shop, "reviewed", stars=5)
        shop.after(days=10)
    assert asked(shop, "refer-a-friend") == ["refer-a-friend/invite"]
    for _ in range(2):
        acts(shop, "referral_redeemed")
        shop.after(hours=1)
    codes = {shop.mail("anna", "reward").context["reward"]["code"]}
    assert asked(shop, "friend-ordered") == ["friend-ordered/reward"] * 2
    shop.after(days=1)
    acts(shop, "referral_redeemed")
    shop.after(hours=1)
    assert shop.mail("anna", "reward").context["reward"]["code"] not in codes


def test_about_you(shop: Scenario) -> None:
    """The profile is asked for once, a month after the first parcel or three days after a second order, unless the birthday is known."""
    buys(shop)
    shop.after(days=29)
    assert asked(shop, "about-you") == []
    shop.after(days=2)
    assert asked(shop, "about-you") == ["about-you/profile"]
    buys(shop)
    shop.after(days=60)
    assert asked(shop, "about-you") == ["about-you/profile"]


def test_about_you_after_a_second_order(shop: Scenario) -> None:
    """A second order brings the question forward."""
    buys(shop)
    shop.after(days=5)
    shop.order("anna")
    shop.after(days=4)
    assert asked(shop, "about-you") == ["about-you/profile"]


def test_a_known_birthday(shop: Scenario) -> None:
    """A customer whose birthday is known, also since the flow started, is not asked; one who did not agree to it is not either."""
    shop.order("bo")
    shop.parcel("bo", "delivered")
    buys(shop)
    shop.after(days=5)
    shop.profile("anna", birthday=date(1990, 5, 1))
    shop.after(days=40)
    assert "about-you/profile" not in shop.mails("anna") + shop.mails("bo")


@pytest.mark.parametrize("then", ["nothing", "wished", "bought", "in the cart"])
def test_wish_list(shop: Scenario, then: str) -> None:
    """A customer who looked at products and did nothing more gets to know the wish list, and sees these products."""
    for sku in ("TEA", "POT"):
        shop.product(sku)
    shop.order("anna")
    shop.after(days=30)
    for sku in ("TEA", "POT"):
        shop.views("anna", sku)
    shop.after(days=1)
    if then == "wished":
        shop.wishes("anna", "TEA")
    elif then == "bought":
        shop.order("anna")
    elif then == "in the cart":
        shop.views("anna", "TEA", kind="added_to_cart")
    shop.after(days=6)
    assert asked(shop, "wish-list") == ["wish-list/invite"] * (then == "nothing")
    if then == "nothing":
        assert {product["sku"] for product in shop.mail("anna", "invite").context["products"]} == {"TEA", "POT"}


def test_no_wish_list_for_others(shop: Scenario) -> None:
    """Customers with a wish list, and visitors who have bought nothing, get no such email."""
    shop.product("TEA")
    shop.profile("bo", email="bo@example.com", marketing_consent=True)
    shop.order("anna")
    shop.wishes("anna", "POT")
    for customer in ("anna", "bo"):
        shop.views(customer, "TEA")
    shop.after(days=8)
    assert "wish-list/invite" not in shop.mails("anna") + shop.mails("bo")


def test_imported_history(shop: Scenario) -> None:
    """Parcels of an imported history, delivered long ago, start nothing."""
    shop.order("anna", is_imported=True)
    shop.after(days=30)
    assert shop.mails("anna") == []
