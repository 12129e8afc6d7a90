"""Tracked links: which addresses of an email lead through the gateway, and which stay."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from streams.core.values.tokens import MAX_CHARS
from streams.mail.click_links import track_links
from streams.mail.rendering.renderer import RenderedEmail
from tests.harness.commands import KEYS, NOW, SENDER, command

LINKS = SENDER.links(command(purpose="marketing", tracking=True))
_HREF = re.compile(r'href="([^"]*)"')


def track(html: str, text: str = "") -> RenderedEmail:
    """Return an email with tracked links."""
    return track_links(RenderedEmail("Hej", html, text), LINKS, SENDER)


def target(address: str) -> str:
    """Return where a tracked address leads, or the address itself if it is not tracked."""
    token = address.removeprefix("https://links.example/c/")
    return address if token == address else KEYS.open("c", token, NOW).target


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTP://shop.example/a?b=1&amp;c=2#d", "HTTP://shop.example/a?b=1&c=2#d"),
        ("http://shop.example/a?b=1&amp;c=2#d", "http://shop.example/a?b=1&c=2#d"),
        ("https://shop.example/?a=1&copy=2", "https://shop.example/?a=1&copy=2"),
        ("https://shop.example/&#34;&#x27;&quot;", 'https://shop.example/"\'"'),
        ("https://blåbær.example/øl?q=å", "https://blåbær.example/øl?q=å"),
        ("mailto:hej@shop.example", None),
        ("tel:+4512345678", None),
        ("javascript:alert(1)", None),
        ("#top", None),
        ("", None),
        ("https://", None),
        ("https:///path", None),
        ("https://[", None),
        ("https://shop.example/a b", None),
        ("https://shop.example/a&#10;b", None),
        ("https://shop.example/a\u00a0b", None),
        ("https://shop.example/a\u200bb", None),
        ("https://shop.example/" + "x" * MAX_CHARS, None),
        ("https://links.example/u/abc", None),
        ("https://links.example/s/abc?value=9", None),
        ("https://links.example/tea", "https://links.example/tea"),
    ],
)
def test_addresses(href: str, address: str | None) -> None:
    """An http address is sealed as a browser reads it; every other one stays as it is."""
    html = f'<p>1 &lt; 2</p><a class="x" href="{href}" style="color: red"><img src="https://shop.example/a.png"></a>'
    tracked = track(html).html
    (found,) = _HREF.findall(tracked)
    if address is None:
        assert tracked == html
    else:
        assert found.startswith("https://links.example/c/")
        assert target(unescape(found)) == address
        assert tracked.replace(found, href) == html


@pytest.mark.parametrize(
    "html",
    [
        '<a data-legal href="https://shop.example/terms">Terms</a>',
        '<a href="https://shop.example/terms" data-legal="">Terms</a>',
        '<link href="https://shop.example/style.css">',
        '<abbr href="https://shop.example">x</abbr>',
        '<a data-href="https://shop.example">x</a>',
        "<a href=https://shop.example>x</a>",
        '<a title="<" href="https://shop.example">x</a>',
        "<a",
    ],
)
def test_links_that_stay(html: str) -> None:
    """Legal links, other elements and markup that is not clear stay as they are."""
    assert track(html, "https://shop.example/terms").html == html
    assert track(html, "https://shop.example/terms").text == "https://shop.example/terms"


def test_single_quotes() -> None:
    """Elements in capitals and an address in single quotes are read too."""
    html = track("<A HREF='https://shop.example/?a=1&amp;b=2' id='x'>x</A>").html
    (found,) = re.findall("<A HREF='([^']*)' id='x'>x</A>", html)
    assert target(unescape(found)) == "https://shop.example/?a=1&b=2"


def test_text() -> None:
    """The text part has the same tracked addresses as the HTML part. Other addresses in it, such as a customer's, stay."""
    html = "".join(
        f'<a href="{escape(each)}">x</a>' for each in ("https://shop.example/a?b=1&c=2", "https://shop.example/(x)")
    )
    text = (
        "See https://shop.example/a?b=1&c=2.\n<https://shop.example/(x)>, https://shop.example/a\n"
        "https://evil.example and https://shop.example/(x)."
    )
    email = track(html, text)
    tracked = [unescape(each) for each in _HREF.findall(email.html)]
    assert list(map(target, tracked)) == ["https://shop.example/a?b=1&c=2", "https://shop.example/(x)"]
    assert email.text == (
        f"See {tracked[0]}.\n<{tracked[1]}>, https://shop.example/a\nhttps://evil.example and {tracked[1]}."
    )
    legal = '<a data-legal href="https://shop.example/(x)">x</a>'
    assert track(html + legal, "https://shop.example/(x)").text == "https://shop.example/(x)"


def test_no_tracking() -> None:
    """An email that may not be tracked stays as it is."""
    email = RenderedEmail("Hej", '<a href="https://shop.example">x</a>', "https://shop.example")
    for order in (command(purpose="marketing"), command(tracking=True), command(purpose="service", tracking=True)):
        assert track_links(email, SENDER.links(order), SENDER) is email


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_address(path: str, around: str) -> None:
    """Whatever an address and the text beside it contain, the rest of the markup stays, and the address leads where it did."""
    address = f"https://shop.example/{path}"
    before, after = f'<p title="{escape(around)}">{escape(around)}<a href="', f'">{escape(around)}</a></p>'
    html = track(f"{before}{escape(address)}{after}").html
    assert html.startswith(before)
    assert html.endswith(after)
    assert target(unescape(html[len(before) : len(html) - len(after)])) == address


@pytest.mark.parametrize(
    "piece", ["<a ", '<a href="', "<a href='https://x.example' ", '<a "', "https://", "<a href=https://x <"]
)
def test_hostile_markup_takes_little_time(piece: str) -> None:
    """The time grows with the length of the markup, not with its square."""
    html = piece * (200_000 // len(piece))
    started = time.process_time()
    track(html, html)
    assert time.process_time() - started < 2
