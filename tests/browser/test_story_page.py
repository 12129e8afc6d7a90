"""The page of a story in a real Chromium: for everybody, without a mouse, and without a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from streams.settings import load_settings
from streams.tools.preview.server import PreviewServer
from streams.tools.preview.state import PreviewState
from tests.harness.chromium import Tab, browser, chromium
from tests.harness.page_findings import findings
from tests.harness.preview_checks import checked
from tests.harness.story_templates import write_story_templates
from tests.unit.tools.cli.runner import run

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium")

SHOWN = "[...document.querySelectorAll('.entry')].filter(e => e.offsetHeight).map(e => e.id).join()"


async def press(tab: Tab, key: str) -> None:
    """Press a key, as a keyboard does."""
    for kind in ("rawKeyDown", "keyUp"):
        code = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36}[key]
        await tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


async def test_everybody_can_use_the_pages(tmp_path: Path) -> None:
    """The list and the story have no findings in axe-core, on a phone and a desk, in light and dark; nothing fails in the console."""
    root = write_story_templates(tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root), root)
    async with TestServer(PreviewServer(state).app()) as server, browser() as tab:
        await checked(state)
        found: dict[str, list[str]] = {}
        for path in ("/stories", "/story/ada", "/story/ada?drafts=on&width=600"):
            found |= await findings(tab, str(server.make_url(path)))
        assert found == {}
        assert tab.messages == []
        own = str(server.make_url("/"))
        assert [url for url in tab.requests if not url.startswith((own, "data:", "about:"))] == []


async def test_stepping_with_the_keyboard(tmp_path: Path) -> None:
    """Arrow keys step through the points, the frame fits its email, and a reload stays at the point."""
    root = write_story_templates(tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root), root)
    async with TestServer(PreviewServer(state).app()) as server, browser() as tab:
        await checked(state)
        address = str(server.make_url("/story/ada"))
        await tab.show(1280)
        await tab.open(address)
        assert await tab.run(SHOWN) == "e2"
        await tab.requested(str(server.make_url("/story/ada/email/2")))
        await tab.run(
            "new Promise(done => { const look = () => parseInt(document.querySelector('#e2 iframe').style.height) > 20"
            " ? done(true) : requestAnimationFrame(look); look(); })"
        )
        await press(tab, "ArrowRight")
        assert await tab.run(SHOWN) == "e3"
        await press(tab, "ArrowLeft")
        await press(tab, "ArrowLeft")
        await press(tab, "ArrowLeft")
        assert await tab.run(SHOWN) == "e1"
        await tab.run("document.getElementById('step').focus()")
        await press(tab, "ArrowRight")
        assert await tab.run(SHOWN) == "e2"
        assert "Hej there" in await tab.run("document.getElementById('step').getAttribute('aria-valuetext')")
        await tab.tap('.days a[data-number="5"]')
        assert await tab.run(SHOWN) == "e5"
        await tab.tap('.mark-of[data-number="2"] .point')
        assert await tab.run(SHOWN) == "e2"
        await tab.open(address + "?days=30#at5")
        assert await tab.run(SHOWN) == "e5"
        assert await tab.run("scrollY") == 0
        assert tab.messages == []


async def test_without_a_script(tmp_path: Path) -> None:
    """Without scripts the first email is shown, and the links of the list choose a point."""
    root = write_story_templates(tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root), root)
    async with TestServer(PreviewServer(state).app()) as server, browser() as tab:
        await tab.show(390, is_mobile=True)
        await tab.without_scripts()
        await tab.open(str(server.make_url("/story/ada")))
        assert await tab.run(SHOWN) == "e2"
        await tab.open(str(server.make_url("/story/ada?days=30#e5")))
        assert await tab.run(SHOWN) == "e5"


async def test_a_story_in_one_file(tmp_path: Path) -> None:
    """The file works without a server: it steps, shows its emails, and asks nobody."""
    root, file = write_story_templates(tmp_path / "templates"), tmp_path / "ada.html"
    assert run("story", "ada", "--templates", str(root), "--html", str(file))[0] == 0
    async with browser() as tab:
        assert await findings(tab, file.as_uri()) == {}
        await tab.show(1280)
        await tab.open(file.as_uri())
        await press(tab, "ArrowRight")
        assert await tab.run(SHOWN) == "e3"
        await press(tab, "ArrowLeft")
        assert "Ada" in await tab.run("document.querySelector('#e2 iframe').srcdoc")
        assert tab.messages == []
        assert [url for url in tab.requests if url.startswith("http")] == []
