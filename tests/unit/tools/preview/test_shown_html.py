"""The HTML of an email on a page of this machine: no request, forced colors, its logo, its preheader."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.mail.rendering.logo import Logo
from streams.mail.rendering.renderer import RenderedEmail
from streams.tools.preview.shown_html import (
    MAX_PICTURE_BYTES,
    preheader,
    shown_html,
    with_policy,
    with_scheme,
    without_requests,
)


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://shop.example/a.jpg" alt="A">',
        "<img alt='A' src='http://shop.example/a.jpg'>",
        '<IMG SRC = "//shop.example/a.jpg">',
        '<source srcset="https://shop.example/a.jpg 2x" media="x">',
        '<img src="a.jpg">',
    ],
)
def test_pictures_are_drawn(html: str) -> None:
    """A picture from a server is replaced by a drawing, the same for the same address, and nothing else changes."""
    shown = without_requests(html)
    assert "data:image/svg+xml;base64," in shown
    assert "shop.example" not in shown
    assert shown == without_requests(html)
    assert "data:" not in without_requests(html, has_pictures=False)


def test_pictures_in_the_email_stay() -> None:
    """A picture within the HTML stays, and so does one of a server that is allowed."""
    html = '<img src="data:image/png;base64,AA=="><img src="http://127.0.0.1:1/p">'
    assert without_requests(html, origin="http://127.0.0.1:1") == html
    assert "http://127.0.0.1:1" not in without_requests(html, origin="http://127.0.0.1:12")


def test_pictures_of_examples(tmp_path: Path) -> None:
    """A picture in the folder of the examples is shown for an address that ends with its name; no other file ever is."""
    (tmp_path / "tea.png").write_bytes(b"tea")
    (tmp_path / "large.png").write_bytes(bytes(MAX_PICTURE_BYTES + 1))
    (tmp_path / "secret.txt").write_text("secret")
    shown = without_requests('<img src="https://shop.example/a/tea.png?w=80">', pictures=tmp_path)
    assert shown == '<img src="data:image/png;base64,dGVh">'
    for address in ("/cup.png", "/large.png", "/secret.txt", "/..%2Ftea.png", "/tea.png/x"):
        assert "image/svg" in without_requests(f'<img src="https://shop.example{address}">', pictures=tmp_path)


def test_the_logo() -> None:
    """The logo that an email carries is shown."""
    logo = Logo(b"picture", "image/png", 10, 10)
    shown = shown_html(RenderedEmail("s", f'<img src="cid:{logo.content_id}">', "t", (logo,)))
    assert shown == '<img src="data:image/png;base64,cGljdHVyZQ==">'


@pytest.mark.parametrize(
    ("scheme", "dark", "light"), [("dark", "min-width:0", "max-width:0"), ("light", "max-width:0", "min-width:0")]
)
def test_colors(scheme: str, dark: str, light: str) -> None:
    """Rules for dark colors apply in dark colors only, and those for light ones in light ones."""
    html = "<html><head><style>@media (prefers-color-scheme: dark) {a{}} @media ( Prefers-Color-Scheme:light ) {b{}}</style></head></html>"
    shown = with_scheme(html, scheme)  # type: ignore[arg-type]
    assert f"@media ({dark}) {{a{{}}}} @media ({light}) {{b{{}}}}" in shown
    assert f"<style>:root{{color-scheme:only {scheme}}}</style></head>" in shown
    assert with_scheme(html, None) == html


def test_the_policy_is_first() -> None:
    """The policy is at the start of the head, and also in HTML without a head."""
    assert with_policy("<html><head><title>x").startswith("<html><head><meta http-equiv=")
    assert with_policy("<p>x").startswith("<meta http-equiv=")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ('<div class="preview">Two &amp; <b>more</b></div>', "Two & more"),
        ('<span style="display:none;x">A word\u200c\u00a0\u200c</span>', "A word"),
        ("<p>Hello</p>", ""),
    ],
)
def test_the_preheader(html: str, words: str) -> None:
    """The words after the subject are those of the hidden text, without its padding."""
    assert preheader(html) == words
