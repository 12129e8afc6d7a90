"""Emails in a real Chromium: customers can read them in light and dark, with any brand that is valid, and reading one asks no server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.definitions.loader import load_email_brand
from streams.mail.rendering.renderer import Renderer
from streams.tools.preview.shown_html import with_logos
from tests.harness import all_blocks
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
    return with_logos(Renderer(folder, load_email_brand(folder, "Shop")).render(order, SENDER.links(order)))


#: Texts with less contrast than WCAG 2.2 asks for (1.4.3), whatever their size: each with its colors.
FAINT = """(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(p => p / 255).map(p => p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4)
    .reduce((sum, p, i) => sum + p * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  for (let node; node = walk.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.checkVisibility() || e.tagName === "SCRIPT") continue;
    count++;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${node.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return count < 5 ? ["hardly any text"] : found;
})()"""


async def test_contrast_of_all_texts(tmp_path: Path) -> None:
    """Every text of every shipped email, and of all blocks, has a contrast of 4.5 in both modes, and fits a phone."""
    root = all_blocks.write_message(tmp_path)
    renderer = Renderer(root, load_email_brand(root, "Shop"))
    pages: dict[str, Path] = {}
    for page in sorted(root.glob("flows/*/*/*.html.j2")):
        flow, message = page.parent.name, page.name.removesuffix(".html.j2")
        context = all_blocks.data() if flow == "blocks" else None
        order = command(flow=flow, message=message, purpose="marketing", context=context)
        pages[f"{flow}.{message}"] = tmp_path / f"{flow}.{message}.html"
        html = renderer.render(order, SENDER.links(order)).html
        pages[f"{flow}.{message}"].write_text(
            html.replace("https://shop.example/pictures/", "data:,"), encoding="utf-8"
        )
    found: dict[str, Any] = {}
    async with browser() as tab:
        for name, page in pages.items():
            for is_dark in (False, True):
                await tab.show(390, is_dark=is_dark, is_mobile=True)
                if not is_dark:
                    await tab.open(page.as_uri())
                    assert await tab.run("document.documentElement.scrollWidth") <= 390, name
                assert await tab.run("matchMedia('(prefers-color-scheme: dark)').matches") == is_dark
                found[f"{name} {'dark' if is_dark else 'light'}"] = await tab.run(FAINT)
    assert {email: texts for email, texts in found.items() if texts} == {}


#: Old prices that are broken in two, or that stand on a line of their own and do not begin where the line does.
DISPLACED = """[...document.querySelectorAll(".was")].filter(e => {
  const [box, ...more] = e.getClientRects(), line = e.parentElement.getBoundingClientRect();
  const isBelow = box.top - line.top > box.height, isCentered = getComputedStyle(e).textAlign === "center";
  return more.length || (isBelow && !isCentered && Math.abs(box.left - line.left) > 1);
}).map(e => e.innerText)"""


async def test_old_prices_stand_in_line(tmp_path: Path) -> None:
    """A struck price that does not fit beside the new one begins at the left edge below it, as a whole, on phones and desktops."""
    renderer = Renderer(TEMPLATES, load_email_brand(TEMPLATES, "Shop"))
    found: dict[str, Any] = {}
    count = 0
    async with browser() as tab:
        for flow, message in (("price-dropped", "lower"), ("wish-list", "invite"), ("win-back", "picks")):
            for language in ("da", "nl"):
                order = command(flow=flow, message=message, purpose="marketing", locale=language)
                page = tmp_path / f"{flow}.{language}.html"
                html = renderer.render(order, SENDER.links(order)).html
                page.write_text(html.replace("https://shop.example/pictures/", "data:,"), encoding="utf-8")
                for width in (360, 390, 600):
                    await tab.show(width, is_mobile=width < 600)
                    await tab.open(page.as_uri())
                    count += await tab.run("document.querySelectorAll('.was').length")
                    found[f"{page.name} {width}"] = await tab.run(DISPLACED)
    assert count
    assert {email: texts for email, texts in found.items() if texts} == {}


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
    assert {url.rpartition("/")[0] for url in elsewhere} <= {"https://shop.example/pictures"}, elsewhere
