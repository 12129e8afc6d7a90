"""The pages of stories: the list, a story with its choices, the frame of each email, and problems of files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from streams.settings import load_settings
from streams.tools.preview.server import PreviewServer
from streams.tools.preview.state import PreviewState
from tests.harness.preview_checks import checked
from tests.harness.small_templates import FLOW
from tests.harness.story_templates import STORY, write_story_templates


class Page:
    """The running pages of a folder."""

    def __init__(self, client: TestClient, state: PreviewState) -> None:
        self.client, self.state = client, state

    async def text(self, path: str) -> str:
        """Return a page, which must answer 200."""
        response = await self.client.get(path)
        assert response.status == 200, await response.text()
        return await response.text()

    async def change(self, path: str, text: str) -> None:
        """Write a file, and wait until the page has seen it."""
        await checked(self.state)
        version = self.state.version
        (self.state.root / path).write_text(text)
        async for _ in self.state.changes(version):
            return


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """The pages of the small folder with the story `ada`."""
    root = write_story_templates(tmp_path / "templates")
    state = PreviewState(load_settings(templates_dir=root, mail_from="Tea <hi@tea.test>"), root)
    async with TestClient(TestServer(PreviewServer(state).app())) as client:
        yield Page(client, state)


async def test_the_list(page: Page) -> None:
    """The list has each story with a link."""
    text = await page.text("/stories")
    assert 'href="/story/ada"' in text
    assert "your own" in text
    assert 'href="/story/first-time"' in text


async def test_a_story(page: Page) -> None:
    """The page has each event and email, why an email is sent, and what did not come; each frame is the email of that send."""
    text = await page.text("/story/ada")
    assert "2 days after: the parcel of order 1001 is delivered, on Wed 4 Mar" in text
    assert "order.is_pickup is true" in text
    assert "the flow is a draft: nothing is sent" in text
    frames = re.findall(r'src="(/story/ada/email/\d+)"', text)
    assert len(frames) == 7
    for address in frames:
        frame = await page.text(address)
        assert "Ada" in frame
        assert "https://shop.example" not in frame


async def test_choices(page: Page) -> None:
    """Language, first day, length, drafts and colors can be chosen. Invalid values count as missing."""
    text = await page.text("/story/ada?language=en&start=2026-12-04&days=30&drafts=on")
    assert "Hello there" in text
    assert "Fri 4 Dec" in text
    assert text.count("<iframe") == 11
    frame = re.findall(r'src="(/story/ada/email/\d+[^"]*)"', text)[0].replace("&amp;", "&")
    assert "Hello" in await page.text(frame)
    assert "color-scheme:only dark" in await page.text(frame + "&scheme=dark")
    plain = await page.text("/story/ada")
    odd = await page.text("/story/ada?language=%3Cb%3E&start=0001-01-01&days=1e9&drafts=x&width=1&scheme=z")
    # The check of the folder may end between the two pages, which then have another version.
    assert re.sub(r'"[0-9a-f]{8}-\d+"', "", odd) == re.sub(r'"[0-9a-f]{8}-\d+"', "", plain)


async def test_unknown_pages(page: Page) -> None:
    """Unknown stories and points without an email answer 404."""
    for path in (
        "/story/none",
        "/story/ada/email/1",
        "/story/ada/email/999",
        "/story/none/email/2",
        "/story/ada/email/x",
    ):
        assert (await page.client.get(path)).status == 404, path


async def test_policies(page: Page) -> None:
    """The page runs its own script only, and the email none."""
    policy = (await page.client.get("/story/ada")).headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    text = await page.text("/story/ada")
    assert "<style" not in text
    assert " style=" not in re.sub(r'srcdoc="[^"]*"', "", text)
    policy = (await page.client.get("/story/ada/email/2")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy


async def test_a_saved_story_is_shown(page: Page) -> None:
    """A change of a story is shown; a story with an error is listed with its place, and is gone until it is mended."""
    await page.change("stories/ada.yaml", STORY.replace("A pickup", "Another title"))
    assert "Another title" in await page.text("/story/ada")
    await page.change("stories/ada.yaml", STORY.replace("TEA: 2", "COFFEE: 2"))
    text = await page.text("/stories")
    assert "stories/ada.yaml:5:43" in text
    assert (await page.client.get("/story/ada")).status == 404


async def test_broken_flows(page: Page) -> None:
    """With errors in the flows, the page says so and does not break."""
    await page.change(f"{FLOW}/flow.yaml", "flow: hello\n")
    assert "because the flows contain errors" in await page.text("/story/ada")
    assert "hello" in await page.text("/story/ada/email/2")


async def test_a_message_that_cannot_be_rendered(page: Page) -> None:
    """The story is played all the same, and shows why."""
    await page.change(f"{FLOW}/hi.html.j2", "{{ ordr.total }}")
    text = await page.text("/story/ada")
    assert "This email cannot be rendered" in text
    assert "ordr" in text
