"""The brand in emails: name, logo, colors and legal lines come from one file, and customers can read all of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from streams.definitions.loader import load_email_brand
from streams.mail.click_links import track_links
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from tests.harness.commands import SENDER, TEMPLATES, command, example
from tests.harness.logos import png

OWN = """name: Tea & Søn
logo: tea.png
colors:
  accent: "#0b3d24"
  background: "#e9efe6"
legal:
  - Tea & Søn ApS, Skovvej 12
  - CVR 12345678
privacy_url: https://tea.example/privacy
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A templates folder with a brand of its own."""
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    (folder / "shared" / "brand.yaml").write_text(OWN, encoding="utf-8")
    (folder / "shared" / "tea.png").write_bytes(png(400, 60))
    return folder


def render(folder: Path, flow: str = "review", message: str = "ask", purpose: str = "review") -> RenderedEmail:
    """Return an email of a templates folder, with tracked links."""
    order = command(flow=flow, message=message, purpose=purpose, tracking=True, locale="en")
    links = SENDER.links(order)
    return track_links(Renderer(folder, load_email_brand(folder, "Sender")).render(order, links), links, SENDER)


def test_name_colors_and_legal_lines(shop: Path) -> None:
    """All of them are in the email, nothing of Takk's own brand is, and the link to the page on privacy is not tracked."""
    email = render(shop)
    for part in (email.html.replace("&amp;", "&"), email.text):
        assert "Tea & Søn" in part
        assert "Tea & Søn ApS, Skovvej 12" in part
        assert "CVR 12345678" in part
        assert "https://tea.example/privacy" in part
        assert "Takk" not in part
    own = load_email_brand(TEMPLATES, "").colors
    assert "#0b3d24" in email.html
    assert "#e9efe6" in email.html
    assert not [color for color in (own.accent, own.accent_dark, own.background) if color in email.html]
    assert "var(" not in email.html


def test_transactional_email_has_the_legal_lines(shop: Path) -> None:
    """An email without a link to unsubscribe has the legal lines, and its text part has one separator."""
    email = render(shop, "order-confirmation", "confirmation", "order")
    assert email.text.endswith(
        "Tea & Søn\n\n-- \nTea & Søn ApS, Skovvej 12\nCVR 12345678\nPrivacy: https://tea.example/privacy\n"
    )
    assert email.html.count("CVR 12345678") == 1


def test_logo(shop: Path) -> None:
    """The HTML part shows the logo with the name as its text, and the email carries the picture. No address is asked for it."""
    email = render(shop)
    (logo,) = email.logos
    (picture,) = re.findall(r"<img[^>]* class=\"logo on-white\"[^>]*>|<img class=\"logo on-white\"[^>]*>", email.html)
    assert f'src="cid:{logo.content_id}"' in picture
    assert 'alt="Tea &amp; Søn"' in picture
    assert 'width="200"' in picture
    assert 'height="30"' in picture


def test_layout_without_a_logo(shop: Path) -> None:
    """An email whose layout does not show the logo does not carry it."""
    (shop / "shared" / "blocks" / "shop.html.j2").write_text("{{ brand.name }}\n", encoding="utf-8")
    assert render(shop).logos == ()


def test_picture_that_emails_cannot_carry(shop: Path) -> None:
    """Emails show the name instead."""
    (shop / "shared" / "tea.png").write_bytes(b"<svg/>")
    email = render(shop)
    assert email.logos == ()
    assert "cid:" not in email.html
    assert re.search(r'<td class="shop"[^>]*>\s*Tea &amp; Søn\s*</td>', email.html)


def test_without_a_file(shop: Path) -> None:
    """Without a brand, emails have the sender's name and Takk's colors, and no legal lines."""
    (shop / "shared" / "brand.yaml").unlink()
    email = render(shop)
    assert re.search(r'<td class="shop"[^>]*>\s*Sender\s*</td>', email.html)
    assert "#2f5d50" in email.html
    assert "Privacy" not in email.html + email.text


def test_unknown_values_stay() -> None:
    """Only the values of the brand are filled in."""
    assert EmailBrand(name="Tea").fill("a{color:var( --accent );top:var(--x, 1px)}") == (
        "a{color:#2f5d50;top:var(--x, 1px)}"
    )


def test_logo_of_dark_mode(shop: Path) -> None:
    """An email with a logo for dark backgrounds carries both pictures, and shows one of them."""
    (shop / "shared" / "dark.png").write_bytes(png(300, 60))
    (shop / "shared" / "brand.yaml").write_text(f"{OWN}logo_dark: dark.png\n", encoding="utf-8")
    email = render(shop)
    light, dark = email.logos
    assert (light.width, dark.width) == (200, 200)
    assert email.html.count("cid:") == 2
    shown = dict(re.findall(r'<img[^>]*class="logo (logo-light|logo-dark)"[^>]*style="([^"]*)"', email.html))
    assert "display: none" in shown["logo-dark"]
    assert "display: none" not in shown["logo-light"]


def test_details_of_a_country(shop: Path) -> None:
    """Emails to a country have its lines and addresses, and everything else of the shop; so have the headers."""
    own = """company: Tea ApS
phone: "+45 11"
senders: {review: {name: Tea Reviews, reply_to: reviews@tea.example}}
countries:
  "NO": {company: Te AS, phone: "+47 22", senders: {review: {reply_to: omtaler@tea.example}}}
"""
    (shop / "shared" / "brand.yaml").write_text(OWN + own, encoding="utf-8")
    renderer = Renderer(shop, load_email_brand(shop, "Sender"))
    emails = {}
    for country in ("DK", "NO"):
        order = command(flow="review", message="ask", purpose="review", locale="en", country=country)
        emails[country] = renderer.render(order, SENDER.links(order))
    assert "Tea ApS\nTea & Søn ApS, Skovvej 12" in emails["DK"].text
    assert "Te AS\nTea & Søn ApS, Skovvej 12" in emails["NO"].text
    assert (emails["DK"].from_name, emails["DK"].reply_to) == ("Tea Reviews", "reviews@tea.example")
    assert (emails["NO"].from_name, emails["NO"].reply_to) == ("", "omtaler@tea.example")


def test_fonts_and_corners(shop: Path) -> None:
    """Fonts and radius are in the styles, with the first font that Windows has for Outlook, and no quotes end an attribute."""
    own = """radius: 0
fonts:
  text: '"Tea Sans", Verdana, sans-serif'
"""
    (shop / "shared" / "brand.yaml").write_text(OWN + own, encoding="utf-8")
    html = render(shop).html
    assert "font-family: 'Tea Sans', Verdana, sans-serif" in html
    assert "font-family: 'Verdana', sans-serif !important" in html
    assert "border-radius: 0px" in html
    assert "border-radius: 12px" not in html


def test_places_for_reviews(shop: Path) -> None:
    """Templates know where customers of a country can review the shop; those of a country without its own line get the common ones."""
    (shop / "shared" / "brand.yaml").write_text(
        f'{OWN}countries:\n  SE: {{phone: "1"}}\nreviews:\n  "*": {{google: "https://g.example/tea"}}\n'
        '  DK: {trustpilot: "https://t.example/tea", pricerunner: "https://p.example/tea"}\n',
        encoding="utf-8",
    )
    brand = load_email_brand(shop, "Sender")
    values = brand.for_templates()
    assert [place["name"] for place in values[brand.key("DK")]["reviews"]] == ["Trustpilot", "PriceRunner"]
    for country in ("SE", "FR"):
        assert values[brand.key(country)]["reviews"] == [{"name": "Google", "url": "https://g.example/tea"}]


@pytest.mark.parametrize(
    ("added", "button"),
    [
        ("cart_url: https://tea.example/cart\nshop_url: https://tea.example/\n", "Go to your basket"),
        ("cart_url: https://tea.example/\n", "Go to your basket"),
        ("shop_url: https://tea.example/\n", "Visit the shop"),
        ("", None),
    ],
)
def test_a_left_cart_leads_to_the_cart(shop: Path, added: str, button: str | None) -> None:
    """The button leads to the page of the cart, else to the shop. Without both, the email has no button."""
    (shop / "shared" / "brand.yaml").write_text(OWN + added, encoding="utf-8")
    order = command(
        flow="cart-left", message="left", purpose="marketing", locale="en", context=example("cart-left", "left")
    )
    email = Renderer(shop, load_email_brand(shop, "Sender")).render(order, SENDER.links(order))
    for part in (email.html, email.text):
        assert [text for text in ("Go to your basket", "Visit the shop") if text in part] == (
            [button] if button else []
        )
    if button:
        address = added.split()[1]
        assert f'href="{address}"' in email.html
        assert address in email.text
