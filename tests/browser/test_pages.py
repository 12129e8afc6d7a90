"""The pages in a real Chromium: axe-core finds nothing, nothing is wider than a phone, no scripts are needed, and no other server is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from streams.gateway.pages.base.site import LANGUAGES
from tests.harness.chromium import Tab, axe_source, browser, chromium
from tests.harness.pages import Pages

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium")

#: Use, target and query of one page in each state that looks different.
STATES = [
    ("u", "marketing", ""), ("u", "marketing", "&done=marketing"), ("p", "", ""), ("p", "", "&done=saved"), ("s", "nps", "&value=9"),
    ("s", "quality", "&value=4"), ("s", "nps", "&done=answered"), ("r", "TEA-1", "&stars=3"), ("r", "", "&done=reviewed"), ("b", "o-1", ""),
    ("f", "ANNA-1", ""), ("k", "summer", ""), ("a", "erase-12", ""), ("a", "export-12", ""),
]  # fmt: skip
#: The rules of WCAG 2.2, levels A and AA, and what axe-core recommends beside them.
AXE = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
FINDINGS = (
    f"{AXE}.then(r => r.passes.length < 10 ? ['axe-core has tried hardly any rule'] : "
    "r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')))"
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Pages, str, Tab]]:
    """The pages, their address, and a tab."""
    pages = Pages(tmp_path)
    async with pages.client() as client, browser() as tab:
        yield pages, str(client.make_url("")).rstrip("/"), tab


@pytest.mark.parametrize(
    ("width", "is_dark"),
    [
        (390, False),
        (1280, True),
        pytest.param(390, True, marks=pytest.mark.campaign),
        pytest.param(1280, False, marks=pytest.mark.campaign),
    ],
)
async def test_accessibility(site: tuple[Pages, str, Tab], width: int, is_dark: bool) -> None:
    """Every page meets WCAG 2.2 AA as far as axe-core can tell, in light and dark, on a phone and on a desk, also with errors."""
    axe = axe_source()
    if axe is None:
        pytest.skip("needs axe-core, which npm downloads")
    pages, base, tab = site
    found: dict[str, Any] = {}
    await tab.show(width, is_dark=is_dark, is_mobile=width < 500)
    for use, target, query in STATES:
        await tab.open(f"{base}{pages.link(use, target)}?lang=en{query}")
        await tab.run(axe)
        found[f"{use}{query}"] = await tab.run(FINDINGS)
    for use, target in (("s", "nps"), ("r", ""), ("k", "summer")):
        await tab.open(f"{base}{pages.link(use, target)}?lang=en")
        await tab.press("main button")
        assert await tab.run("document.querySelector('[role=alert]') !== null"), use
        await tab.run(axe)
        found[f"{use} with an error"] = await tab.run(FINDINGS)
    await tab.open(f"{base}/u/unknown?lang=en")
    await tab.run(axe)
    found["unknown"] = await tab.run(FINDINGS)
    assert {page: problems for page, problems in found.items() if problems} == {}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_fits_a_phone(site: tuple[Pages, str, Tab], language: str) -> None:
    """Nothing is wider than a small phone in any language, also with text of twice the size, and every control is large enough."""
    pages, base, tab = site
    small = "[...document.querySelectorAll('button, .button, select, input:not([type=hidden])')].filter(e => e.offsetParent).filter(e => "
    small += "{ const r = e.getBoundingClientRect(); return r.height < 22 || r.width < 22; }).map(e => e.outerHTML)"
    for width in (320, 390):
        await tab.show(width, is_mobile=True)
        for use, target, query in STATES:
            await tab.open(f"{base}{pages.link(use, target)}?lang={language}{query}")
            assert await tab.run("document.documentElement.scrollWidth") <= width, (use, query)
            assert await tab.run(small) == []


async def test_works_without_scripts(site: tuple[Pages, str, Tab]) -> None:
    """A customer without JavaScript answers, unsubscribes, comes back and changes choices, with a mouse and a keyboard."""
    pages, base, tab = site
    await tab.show(390, is_mobile=False)
    await tab.without_scripts()
    await tab.open(f"{base}{pages.link('s', 'nps')}?value=9&lang=da")
    await tab.tap("#value-7 + label")
    await tab.press("button[value=answer]")
    await tab.type("#why", "Fin te")
    await tab.press("button[value=why]")
    await tab.open(f"{base}{pages.link('u', 'marketing')}?lang=da")
    await tab.tap("label[for=scope-survey]")
    await tab.press("button[value=leave]")
    await tab.press("button[value=return]")
    await tab.open(f"{base}{pages.link('p')}?lang=da")
    await tab.tap("label[for=on-survey]")
    await tab.press("button[value=save]")
    await tab.open(f"{base}{pages.link('r', 'TEA-1')}?lang=da")
    await tab.tap("#stars-4")
    await tab.type("#text", "God")
    await tab.press("button[value=review]")
    await tab.open(f"{base}{pages.link('b', 'o-1')}?lang=da")
    await tab.press("button[value=order]")
    assert [
        (topic, record.get("kind"), record.get("answer_thousandths") or record.get("scope") or record.get("stars"))
        for topic, record in pages.topics()
    ] == [
        ("email-engagement", "answered", 7000),
        ("email-engagement", "answered", None),
        ("email-engagement", "unsubscribed", "survey"),
        ("customer-requests", "preferences", None),
        ("customer-requests", "preferences", None),
        ("reviews", None, 4),
        ("email-engagement", "reviewed", 4),
        ("reorders", None, None),
    ]


async def test_asks_nobody_else(site: tuple[Pages, str, Tab]) -> None:
    """No page asks another server, and none breaks its own security policy."""
    pages, base, tab = site
    for use, target, query in STATES:
        await tab.open(f"{base}{pages.link(use, target)}?lang=en{query}")
        color = await tab.run("getComputedStyle(document.querySelector('main')).backgroundColor")
        assert color != "rgba(0, 0, 0, 0)", "the style sheet is used"
    assert {urlsplit(url).netloc for url in tab.requests if not url.startswith("data:")} == {urlsplit(base).netloc}
    assert tab.messages == []
