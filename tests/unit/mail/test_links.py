"""The sealed links of emails, and their sender."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.values.tokens import MAX_CHARS
from streams.mail.links import Links, Sender
from streams.mail.mime import compose
from streams.mail.rendering.renderer import RenderedEmail
from streams.mail.tokens import BadLink, Link, Use
from tests.harness.commands import KEYS, NOW, SECRET, SENDER, command

#: The day of the commands of the tests, in days since 1970.
DAY = NOW.toordinal() - 719_163


def opened(use: Use, address: str | None) -> Link:
    """Return the content of a link."""
    assert address is not None
    path, _, token = address.removeprefix("https://links.example/").partition("/")
    assert path == use
    return KEYS.open(use, token, NOW)


@pytest.mark.parametrize(
    ("purpose", "scope"),
    [
        ("review", "review"),
        ("survey", "survey"),
        ("marketing", "marketing"),
        ("profile", "marketing"),
        ("service", "service"),
    ],
)
def test_one_click_unsubscribe(purpose: str, scope: str) -> None:
    """Every email but one about an order has the two headers of RFC 8058, unfolded, with a token that only the secret can seal."""
    order = command(purpose=purpose)
    raw = compose(SENDER, order, RenderedEmail("Hej", "", ""), SENDER.links(order), NOW)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    (line,) = [line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe: ")]
    token = line.decode().partition("<https://links.example/u/")[2].rstrip(">")
    assert KEYS.open("u", token, NOW) == Link("shop", "c1", "s1", scope, DAY)
    with pytest.raises(BadLink):
        KEYS.open("o", token, NOW)
    with pytest.raises(BadLink):
        KEYS.open("u", token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1], NOW)


def test_links_of_an_email() -> None:
    """Each link has its own use, names the customer and the email, and contains its target."""
    links = SENDER.links(command(purpose="marketing", tracking=True, context={"reward": {"code": "ABCD-1234"}}))
    expected: list[tuple[Use, str | None, str]] = [
        ("u", links.unsubscribe, "marketing"),
        ("o", links.pixel, ""),
        ("r", links.review, ""),
        ("p", links.preferences, ""),
        ("b", links.reorder, "1001"),
        ("f", links.referral, "ABCD-1234"),
        ("s", links.survey("nps"), "nps"),
        ("k", links.contest("summer"), "summer"),
        ("c", links.click("https://shop.example/ø?a=1&b=2"), "https://shop.example/ø?a=1&b=2"),
    ]
    for use, address, target in expected:
        assert opened(use, address) == Link("shop", "c1", "s1", target, DAY)


def test_every_attempt_has_the_same_links() -> None:
    """The links depend on the email, not on the time at which it is rendered."""
    first = command(purpose="marketing", tracking=True)
    again = replace(first, attempt=3, not_after=first.not_after + timedelta(hours=1), raw=b"again")
    for other, is_same in ((again, True), (replace(first, commanded_at=NOW + timedelta(days=1)), False)):
        links, others = SENDER.links(first), SENDER.links(other)
        assert (links.unsubscribe == others.unsubscribe) == is_same
        assert (links.click("https://shop.example") == others.click("https://shop.example")) == is_same


def test_tracking_needs_consent() -> None:
    """Only a command with tracking has a pixel and tracked links, and never one of a transactional email."""

    def tracks(links: Links) -> bool:
        assert (links.pixel is not None) == links.is_tracked
        return links.is_tracked

    assert not tracks(SENDER.links(command(purpose="review")))
    assert tracks(SENDER.links(command(purpose="review", tracking=True)))
    for purpose in ("order", "service"):
        assert not tracks(SENDER.links(command(purpose=purpose, tracking=True)))


def test_links_that_an_email_lacks() -> None:
    """Emails to the address of an order have no link to the preferences. A link to order again needs an order, a referral a code."""
    for purpose in ("order", "service"):
        assert SENDER.links(command(purpose=purpose)).preferences is None
    order, service = SENDER.links(command()), SENDER.links(command(purpose="service"))
    assert (order.reorder, order.referral, order.unsubscribe) == (None, None, None)
    assert service.reorder is not None
    assert SENDER.links(command(purpose="service", order_id=None)).reorder is None


@given(st.sampled_from(["reward", {"code": 7}, {"code": ""}, {}, None, ["code"]]))
def test_a_reward_without_a_code(reward: object) -> None:
    """A command with a malformed reward has an email without a referral link."""
    assert SENDER.links(command(purpose="marketing", context={"reward": reward})).referral is None


def test_a_link_that_is_too_long() -> None:
    """An address whose token no gateway would accept is not sealed."""
    links = SENDER.links(command(purpose="marketing", tracking=True))
    assert links.click("https://shop.example/" + "x" * 2000) is not None
    assert links.click("https://shop.example/" + "x" * MAX_CHARS) is None


def test_links_of_takk() -> None:
    """A link of Takk is known by its address, also if the shop's own pages have the same domain."""
    links = SENDER.links(command(purpose="marketing"))
    for address in (links.review, links.preferences, links.survey("nps") + "?value=9"):
        assert address is not None
        assert SENDER.is_own(address)
    for other in ("https://links.example", "https://links.example/", "https://links.example/u", "https://links.example/tea/green",
                  "https://links.example.org/u/x", "https://shop.example/u/x"):  # fmt: skip
        assert not SENDER.is_own(other)


def test_secret_is_not_shown() -> None:
    """The repr of a sender does not contain the secret."""
    assert SECRET.decode() not in repr(SENDER)
    assert Sender.parse("hej@shop.example", "shop.example", "https://l/", KEYS).base_url == "https://l"
