"""Emails in a real Chromium: customers can read them in light and dark, with any brand that is valid, and reading one asks no server."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.definitions.loader import load_email_brand
from streams.mail.rendering.renderer import Renderer
from tests.harness.chromium import axe_source, browser, chromium
from tests.harness.commands import SENDER, TEMPLATES, command
from tests.harness.logos import png

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium")

#: Flow, message and purpose of emails that together have all parts of the layout.
EMAILS = [
    ("order-confirmation", "confirmation", "order"), ("shipment-confirmation", "shipped", "order"), ("review", "ask", "review"),
    ("nps", "ask", "survey"), ("goes-well-with", "products", "marketing"),
]  # fmt: skip
#: A brand of the least that a shop gives, and one whose colors are as near to each other as the check allows.
BRANDS = {
    "takk": None,
    "accent": 'name: Rosa\ncolors: {accent: "#b0004f"}\n',
    "near": 'name: Tea\nlogo: tea.png\ncolors: {accent: "#5a606e", accent_dark: "#a8a8a8", background: "#e0dcd6", background_dark: "#3c3c3c"}\n',
}
FINDINGS = (
    "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']}).then(r => r.passes.length < 5 "
    "? ['axe-core has tried hardly any rule'] "
    ": r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')))"
)


def html_of(folder: Path, flow: str, message: str, purpose: str) -> str:
    """Return the HTML of an email, with the logo in it as email programs show it."""
    order = command(flow=flow, message=message, purpose=purpose, locale="en")
    email = Renderer(folder, load_email_brand(folder, "Shop")).render(order, SENDER.links(order))
    if email.logo is None:
        return email.html
    data = base64.b64encode(email.logo.data).decode()
    return email.html.replace(f"cid:{email.logo.content_id}", f"data:{email.logo.media_type};base64,{data}")


@pytest.mark.parametrize("name", BRANDS)
async def test_can_be_read(tmp_path: Path, name: str) -> None:
    """Axe-core finds nothing, nothing is wider than a phone, and only pictures of products come from elsewhere."""
    axe = axe_source()
    if axe is None:
        pytest.skip("needs axe-core, which npm downloads")
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    if (own := BRANDS[name]) is not None:
        (folder / "shared" / "brand.yaml").write_text(own, encoding="utf-8")
        (folder / "shared" / "tea.png").write_bytes(png(400, 60))
    found: dict[str, Any] = {}
    async with browser() as tab:
        for flow, message, purpose in EMAILS:
            page = tmp_path / f"{flow}.html"
            page.write_text(html_of(folder, flow, message, purpose), encoding="utf-8")
            for is_dark in (False, True):
                await tab.show(390, is_dark=is_dark, is_mobile=True)
                await tab.open(page.as_uri())
                assert await tab.run("document.documentElement.scrollWidth") <= 390
                await tab.run(axe)
                found[f"{flow} {'dark' if is_dark else 'light'}"] = await tab.run(FINDINGS)
    assert {email: problems for email, problems in found.items() if problems} == {}
    elsewhere = {url for url in tab.requests if not url.startswith(("file:", "data:"))}
    assert elsewhere <= {"https://shop.example/s-7.jpg"}, elsewhere
