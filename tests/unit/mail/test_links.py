"""The signed links of emails, and their sender."""

from __future__ import annotations

import pytest

from streams.core.values.tokens import BadToken
from streams.mail.links import Sender
from streams.mail.mime import compose
from streams.mail.rendering.renderer import RenderedEmail
from tests.harness.commands import KEYS, NOW, SECRET, SENDER, command


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
    """Every email but one about an order has the two headers of RFC 8058, unfolded, with a token that only the secret can sign."""
    order = command(purpose=purpose)
    raw = compose(SENDER, order, RenderedEmail("Hej", "", ""), SENDER.links(order), NOW)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    (line,) = [line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe: ")]
    token = line.decode().partition("<https://links.example/u/")[2].rstrip(">")
    assert KEYS.verify("unsubscribe", token) == ("s1", "c1", scope)
    with pytest.raises(BadToken):
        KEYS.verify("open", token)
    with pytest.raises(BadToken):
        KEYS.verify("unsubscribe", token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1])


def test_tracking_needs_consent() -> None:
    """Only a command with tracking has a pixel, and never one of a transactional email."""
    assert SENDER.links(command(purpose="review")).pixel is None
    assert SENDER.links(command(purpose="review", tracking=True)).pixel is not None
    for purpose in ("order", "service"):
        assert SENDER.links(command(purpose=purpose, tracking=True)).pixel is None


def test_secret_is_not_shown() -> None:
    """The repr of a sender does not contain the secret."""
    assert SECRET.decode() not in repr(SENDER)
    assert Sender.parse("hej@shop.example", "shop.example", "https://l/", KEYS).base_url == "https://l"
