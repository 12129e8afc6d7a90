"""The findings of axe-core on a page of the tools, on a phone and on a desk, in light and dark colors."""

from __future__ import annotations

from tests.harness.chromium import Tab, axe_source

#: Returns the findings of axe-core outside of the frames of emails.
FINDINGS = (
    "axe.run({exclude: ['iframe']}, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'], iframes: false})"
    ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')))"
)


async def findings(tab: Tab, url: str) -> dict[str, list[str]]:
    """Return what axe-core finds on a page, in light and dark, on a phone and on a desk. Nothing may be wider than the window."""
    axe = axe_source()
    found: dict[str, list[str]] = {}
    for width in (390, 1280):
        for is_dark in (False, True):
            await tab.show(width, is_dark=is_dark, is_mobile=width == 390)
            await tab.open(url)
            wide = await tab.run("document.documentElement.scrollWidth")
            problems = [] if wide <= width else [f"{wide} pixels wide"]
            if axe is not None:
                await tab.run(axe)
                problems += await tab.run(FINDINGS)
            if problems:
                found[f"{url} {width} {'dark' if is_dark else 'light'}"] = problems
    return found
