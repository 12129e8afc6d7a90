"""The brand in emails: name, logo, colors and legal lines come from one file, and customers can read all of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from streams.definitions.language.contrast import CARD, CARD_DARK, TEXT, TEXT_DARK, contrast
from streams.definitions.loader import load_email_brand
from streams.mail.click_links import track_links
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import RenderedEmail, Renderer
from tests.harness.commands import SENDER, TEMPLATES, command
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
    assert email.logo is not None
    (picture,) = re.findall(r"<img[^>]* class=\"logo\"[^>]*>|<img class=\"logo\"[^>]*>", email.html)
    assert f'src="cid:{email.logo.content_id}"' in picture
    assert 'alt="Tea &amp; Søn"' in picture
    assert 'width="200"' in picture
    assert 'height="30"' in picture


def test_layout_without_a_logo(shop: Path) -> None:
    """An email whose layout does not show the logo does not carry it."""
    layout = shop / "shared" / "layout.html.j2"
    layout.write_text(layout.read_text(encoding="utf-8").replace("brand.logo.src", "brand.shop_url"), encoding="utf-8")
    assert render(shop).logo is None


def test_picture_that_emails_cannot_carry(shop: Path) -> None:
    """Emails show the name instead."""
    (shop / "shared" / "tea.png").write_bytes(b"<svg/>")
    email = render(shop)
    assert email.logo is None
    assert "cid:" not in email.html
    assert "Tea &amp; Søn</td>" in email.html


def test_without_a_file(shop: Path) -> None:
    """Without a brand, emails have the sender's name and Takk's colors, and no legal lines."""
    (shop / "shared" / "brand.yaml").unlink()
    email = render(shop)
    assert "Sender</td>" in email.html
    assert "#2f5d50" in email.html
    assert "Privacy" not in email.html + email.text


def test_unknown_colors_stay() -> None:
    """Only the colors of the brand are filled in."""
    assert EmailBrand(name="Tea").fill_colors("a{color:var( --accent );top:var(--x, 1px)}") == (
        "a{color:#2f5d50;top:var(--x, 1px)}"
    )


def test_texts_can_be_read() -> None:
    """The check of a brand knows the colors of the layout: the cards, and the weakest text on the backgrounds."""
    styles = (TEMPLATES / "shared" / "style.css").read_text(encoding="utf-8")
    layout = (TEMPLATES / "shared" / "layout.html.j2").read_text(encoding="utf-8")
    assert f"background: {CARD};" in styles
    assert f"color: {TEXT};" in styles
    assert f".card {{ background: {CARD_DARK} !important; }}" in layout
    assert f"color: {TEXT_DARK} !important" in layout
    on_card = set(re.findall(r"[^-]color: (#[0-9a-f]{6})", styles)) - {"#ffffff"}
    assert min(contrast(color, CARD) for color in on_card) >= 4.5
